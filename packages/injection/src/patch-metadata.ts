import { podAnnotations, type SidecarSet } from '@outrigger/api'
import { InjectionFailure } from './injection-failure.ts'
import { isSameJson, MergeError, mergeJson } from './merge-json.ts'

type Annotations = Readonly<Record<string, string>>

/**
 * A pod's annotations after the `patchPodMetadata` of these SidecarSets, in their order. The very
 * object given if nothing changes. @throws InjectionFailure when a merge meets what is no JSON.
 */
export function patchAnnotations(annotations: Annotations, sidecarSets: readonly SidecarSet[]): Annotations {
  let patched = annotations
  const injected = injectedSets(annotations)
  for (const { spec, metadata } of sidecarSets) {
    const isRepeated = injected.has(metadata.name)
    for (const { annotations: entries, patchPolicy } of spec.patchPodMetadata ?? []) {
      for (const [key, value] of Object.entries(entries ?? {})) {
        const current = annotationOf(patched, key)
        // What is stored as it is written need not be JSON; that shows only when it is merged.
        if (isRepeated && current === value) continue
        const next = patchedValue(
          current,
          value,
          patchPolicy ?? 'Retain',
          () => `SidecarSet ${metadata.name}, annotation ${key}`,
        )
        if (next !== current && next !== undefined) patched = { ...patched, [key]: next }
      }
    }
  }
  return patched === annotations ? annotations : withoutRepetition(annotations, patched, sidecarSets)
}

/** Annotations come from outside: `constructor` is a key like any other. */
function annotationOf(annotations: Annotations, key: string): string | undefined {
  return Object.hasOwn(annotations, key) ? annotations[key] : undefined
}

function injectedSets(annotations: Annotations): ReadonlySet<string> {
  return new Set(annotations[podAnnotations.injectedList]?.split(','))
}

/**
 * A pod that these SidecarSets have patched before keeps the text it has wherever patching again means the same: the first
 * time a patch is stored as it is written, later it would be merged into itself.
 */
function withoutRepetition(
  before: Annotations,
  after: Annotations,
  sidecarSets: readonly SidecarSet[],
): Annotations {
  const injected = injectedSets(before)
  if (!sidecarSets.every(({ metadata }) => injected.has(metadata.name))) return after
  const mergedKeys = new Set(
    sidecarSets.flatMap(({ spec }) =>
      (spec.patchPodMetadata ?? [])
        .filter(({ patchPolicy }) => patchPolicy === 'MergePatchJson')
        .flatMap(({ annotations }) => Object.keys(annotations ?? {})),
    ),
  )
  const kept = [...mergedKeys].flatMap((key) => {
    const [text, next] = [annotationOf(before, key), annotationOf(after, key)]
    return text !== undefined && next !== undefined && isSameJson(text, next) ? [[key, text] as const] : []
  })
  return kept.length === 0 ? after : { ...after, ...Object.fromEntries(kept) }
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
  try {
    return mergeJson(current, patch)
  } catch (error) {
    if (error instanceof MergeError) throw new InjectionFailure(culprit(), error.message, { cause: error })
    throw error
  }
}
