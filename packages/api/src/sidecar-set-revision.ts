import type { Volume } from '@outrigger/kube'
import { goJson, type JsonValue, withSortedKeys } from './go-json.ts'
import { projectSidecarContainers } from './sidecar-container-shape.ts'
import type { SidecarSetSpec } from './sidecar-set.ts'
import { safeEncode } from './sidecar-set-hash.ts'

/**
 * What a ControllerRevision records of a **defaulted** SidecarSet, as the text its name is made from:
 * keys of every level sorted, absent lists `null`.
 */
export function revisionData(spec: SidecarSetSpec): string {
  return goJson(
    withSortedKeys({
      spec: {
        $patch: 'replace',
        containers: projectSidecarContainers(spec.containers),
        imagePullSecrets: (spec.imagePullSecrets ?? null) as JsonValue,
        initContainers: projectSidecarContainers(spec.initContainers),
        patchPodMetadata: (spec.patchPodMetadata ?? null) as JsonValue,
        volumes: spec.volumes?.map(withoutEmpty) ?? null,
      },
    }),
  )
}

/** `<name>-<hash>`, the name of the ControllerRevision for this content. */
export function revisionName(sidecarSet: string, spec: SidecarSetSpec, collisionCount: number): string {
  return `${sidecarSet.slice(0, 223)}-${revisionHash(revisionData(spec), collisionCount)}`
}

/** FNV-1, 32 bits, over the data and the decimal collision count, in letters that form no word. */
export function revisionHash(data: string, collisionCount: number): string {
  let hash = 2166136261
  for (const byte of new TextEncoder().encode(`${data}${collisionCount}`))
    hash = Math.imul(hash, 16777619) ^ byte
  return safeEncode(String(hash >>> 0))
}

/** A volume as a typed serialisation prints it: nothing that is null, an empty list or an empty text inside a source. */
function withoutEmpty(volume: Volume): JsonValue {
  return pruned(volume as unknown as JsonValue) as JsonValue
}

function pruned(value: JsonValue): JsonValue | undefined {
  if (value === null) return undefined
  if (typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item) => pruned(item) ?? null)
  const kept: Record<string, JsonValue> = {}
  for (const [key, field] of Object.entries(value)) {
    const isEmptyList = Array.isArray(field) && field.length === 0
    // hostPath.type is a pointer: an empty text in it was set on purpose, by defaulting.
    const isEmptyText = field === '' && key !== 'type'
    const content = isEmptyList || isEmptyText ? undefined : pruned(field)
    if (content !== undefined) kept[key] = content
  }
  return kept
}
