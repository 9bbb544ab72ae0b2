import { goJson, type JsonValue, type SidecarSet } from '@outrigger/api'
import { isRecord } from '@outrigger/kube'
import { InjectionFailure } from './injection-failure.ts'

type Annotations = Readonly<Record<string, string>>

/**
 * A pod's annotations after the `patchPodMetadata` of these SidecarSets, in their order. The very
 * object given if nothing changes. @throws InjectionFailure when a merge meets what is no JSON.
 */
export function patchAnnotations(annotations: Annotations, sidecarSets: readonly SidecarSet[]): Annotations {
  let patched = annotations
  for (const { spec, metadata } of sidecarSets) {
    for (const { annotations: entries = {}, patchPolicy } of spec.patchPodMetadata ?? []) {
      for (const [key, value] of Object.entries(entries)) {
        const next = patchedValue(
          patched[key],
          value,
          patchPolicy ?? 'Retain',
          () => `SidecarSet ${metadata.name}, annotation ${key}`,
        )
        if (next !== patched[key] && next !== undefined) patched = { ...patched, [key]: next }
      }
    }
  }
  return patched
}

function patchedValue(
  current: string | undefined,
  value: string,
  policy: string,
  culprit: () => string,
): string | undefined {
  switch (policy) {
    case 'Retain':
    case '':
      return current ?? value
    case 'Overwrite':
      return value
    case 'MergePatchJson':
      return current ? mergedJson(current, value, culprit) : value
    default:
      return current
  }
}

function mergedJson(current: string, patch: string, culprit: () => string): string {
  const target = parse(current, culprit)
  const change = parse(patch, culprit)
  if (target === null || change === null || typeof change !== 'object')
    throw new InjectionFailure(culprit(), 'MergePatchJson needs JSON objects on both sides')
  return goJson(merge(target, change))
}

function parse(text: string, culprit: () => string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    throw new InjectionFailure(culprit(), 'MergePatchJson needs JSON, and one side is not', { cause })
  }
}

/** RFC 7386, with the keys of every object it touches in order. */
function merge(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isRecord(patch)) return patch
  const merged: Record<string, JsonValue> = isRecord(target)
    ? { ...(target as Record<string, JsonValue>) }
    : {}
  for (const [key, value] of Object.entries(patch as Record<string, JsonValue>)) {
    if (value === null) delete merged[key]
    else merged[key] = merge(merged[key], value)
  }
  return Object.fromEntries(
    Object.keys(merged)
      .sort()
      .map((key) => [key, merged[key] as JsonValue]),
  )
}
