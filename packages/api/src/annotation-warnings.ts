import { closestWord, type ObjectMeta } from '@outrigger/kube'
import { sidecarSetAnnotations } from './names.ts'

export interface AnnotationWarning {
  readonly annotation: string
  /** Goes on from the name of the annotation. */
  readonly message: string
}

const prefix = 'outrigger.dev/'
const known: readonly string[] = Object.values(sidecarSetAnnotations).filter((annotation) =>
  annotation.startsWith(prefix),
)

/** Annotations of ours that know a few words each, and the word that any other counts as. */
const words: readonly (readonly [annotation: string, known: readonly string[], fallback: string])[] = [
  [sidecarSetAnnotations.failurePolicy, ['Fail', 'Ignore'], 'Fail'],
  [sidecarSetAnnotations.missedPods, ['evict', 'evict-all', 'report'], 'report'],
  [sidecarSetAnnotations.assignBy, ['Pod', 'Workload'], 'Pod'],
]

/** Annotations of ours on a SidecarSet that do not say what they seem to: unknown ones, and known ones with unknown words. */
export function annotationWarnings({ metadata }: { readonly metadata: ObjectMeta }): AnnotationWarning[] {
  const given = metadata.annotations ?? {}
  const unknown = Object.keys(given)
    .filter((annotation) => annotation.startsWith(prefix) && !known.includes(annotation))
    .map((annotation) => {
      const meant = closestWord(annotation, known)
      const remedy = meant === undefined ? 'remove it' : `did you mean ${meant}?`
      return { annotation, message: `is not known on SidecarSets and does nothing; ${remedy}` }
    })
  const misread = words.flatMap(([annotation, allowed, fallback]) => {
    const value = given[annotation]
    if (value === undefined || allowed.includes(value)) return []
    const message = `${JSON.stringify(value)} counts as ${fallback}; write ${allowed.join(' or ')}`
    return [{ annotation, message }]
  })
  return [...unknown, ...misread]
}
