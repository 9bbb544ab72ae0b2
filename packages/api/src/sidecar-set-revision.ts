import { type ControllerRevision, isRecord, type Volume } from '@outrigger/kube'
import { goJson, type JsonValue, withSortedKeys } from './go-json.ts'
import { outriggerResources, sidecarSetAnnotations, sidecarSetLabels } from './names.ts'
import { projectSidecarContainers } from './sidecar-container-shape.ts'
import { customVersionOf, type SidecarSet, type SidecarSetSpec } from './sidecar-set.ts'
import { safeEncode, sidecarSetHashes } from './sidecar-set-hash.ts'
import { typedVolume } from './typed-volume.ts'

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
        volumes: spec.volumes?.map(recordedVolume) ?? null,
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

/** What every revision says, for those of OpenKruise's first releases, which left some of it out. */
const silence = {
  $patch: 'replace',
  containers: null,
  imagePullSecrets: null,
  initContainers: null,
  patchPodMetadata: null,
  volumes: null,
} as const

/**
 * What a ControllerRevision records, as the text `revisionData` gives for the same content, whichever release of
 * OpenKruise wrote it: the first ones wrote no `$patch` and no `patchPodMetadata`.
 */
export function recordedData({ data }: Pick<ControllerRevision, 'data'>): string {
  const recorded: unknown = data ?? null
  const spec = isRecord(recorded) ? recorded['spec'] : undefined
  const whole =
    isRecord(recorded) && isRecord(spec) ? { ...recorded, spec: { ...silence, ...spec } } : recorded
  return goJson(withSortedKeys(whole as JsonValue))
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/**
 * The ControllerRevision that records the present content of a **defaulted** SidecarSet. `revision` counts up from 1.
 * It carries the SidecarSet's labels and annotations; what kubectl keeps for itself stays behind.
 */
export function controllerRevisionOf(
  sidecarSet: SidecarSet,
  { namespace, revision, collisionCount }: { namespace: string; revision: number; collisionCount: number },
): ControllerRevision {
  const { name, uid = '', labels, annotations } = sidecarSet.metadata
  const data = revisionData(sidecarSet.spec)
  const hash = revisionHash(data, collisionCount)
  const customVersion = customVersionOf(sidecarSet)
  const { [lastApplied]: _, ...kept } = annotations ?? {}
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name.slice(0, 223)}-${hash}`,
      namespace,
      labels: {
        ...labels,
        [sidecarSetLabels.revisionHash]: hash,
        ...(customVersion && { [sidecarSetLabels.customVersion]: customVersion }),
        [sidecarSetLabels.name]: name,
      },
      annotations: kept,
      ownerReferences: [
        {
          apiVersion: `${outriggerResources.sidecarSetsV1beta1.group}/${outriggerResources.sidecarSetsV1beta1.version}`,
          kind: 'SidecarSet',
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    revision,
    data: JSON.parse(data) as Record<string, unknown>,
  }
}

/**
 * The SidecarSet with the content a revision recorded: containers, volumes, pull secrets and annotations are those of
 * the revision, nothing else of the spec is there, metadata is the present one with the hashes of the content.
 * `undefined` when the revision records no SidecarSet.
 */
export function sidecarSetAtRevision(
  sidecarSet: SidecarSet,
  revision: ControllerRevision,
): SidecarSet | undefined {
  const recorded = isRecord(revision.data) ? revision.data['spec'] : undefined
  if (!isRecord(recorded)) return undefined
  const { $patch: _, ...content } = recorded
  const spec = content as SidecarSetSpec
  const { hash, hashWithoutImage } = recordedHashes(revision, spec)
  return {
    ...sidecarSet,
    metadata: {
      ...sidecarSet.metadata,
      annotations: {
        ...sidecarSet.metadata.annotations,
        [sidecarSetAnnotations.hash]: hash,
        [sidecarSetAnnotations.hashWithoutImage]: hashWithoutImage,
      },
    },
    spec,
    status: {
      matchedPods: 0,
      updatedPods: 0,
      readyPods: 0,
      ...sidecarSet.status,
      latestRevision: revision.metadata.name,
    },
  }
}

function recordedHashes({ metadata }: ControllerRevision, spec: SidecarSetSpec) {
  const hash = metadata.annotations?.[sidecarSetAnnotations.hash]
  const hashWithoutImage = metadata.annotations?.[sidecarSetAnnotations.hashWithoutImage]
  return hash && hashWithoutImage ? { hash, hashWithoutImage } : sidecarSetHashes(spec)
}

/** A volume as a typed serialisation prints it: nothing that is null, an empty list or an empty text inside a source. */
function recordedVolume(volume: Volume): JsonValue {
  return typedVolume(pruned(volume as unknown as JsonValue) as JsonValue)
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
