import type { LabelSelector } from '@outrigger/kube'

/** Decides about labels. Made once from a selector and asked often. */
export type LabelTest = (labels: Readonly<Record<string, string>> | undefined) => boolean

const none: Readonly<Record<string, string>> = {}

/** A selector as a function; undefined when it lets everything through, so that callers can skip look-ups. */
export function compileLabelSelector(selector: LabelSelector | undefined | null): LabelTest | undefined {
  const wanted = Object.entries(selector?.matchLabels ?? {})
  const expressions = selector?.matchExpressions ?? []
  if (wanted.length === 0 && expressions.length === 0) return undefined
  const tests = expressions.map(
    ({ key, operator, values }): ((labels: Readonly<Record<string, string>>) => boolean) => {
      const set = new Set(values ?? [])
      switch (operator) {
        case 'In':
          return (labels) => labels[key] !== undefined && set.has(labels[key])
        case 'NotIn':
          return (labels) => labels[key] === undefined || !set.has(labels[key])
        case 'Exists':
          return (labels) => labels[key] !== undefined
        case 'DoesNotExist':
          return (labels) => labels[key] === undefined
        default:
          return () => false
      }
    },
  )
  return (given) => {
    const labels = given ?? none
    return wanted.every(([key, value]) => labels[key] === value) && tests.every((test) => test(labels))
  }
}
