import type { LabelSelector } from '@outrigger/kube'

export type Labels = Readonly<Record<string, string>>

/** Answers whether labels satisfy a selector. */
export type LabelMatcher = (labels: Labels) => boolean

/** A selector made ready for many questions. An empty one matches everything, an operator unknown nothing. */
export function labelMatcher(selector: LabelSelector): LabelMatcher {
  const pairs = Object.entries(selector.matchLabels ?? {})
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    const set = new Set(values)
    return (labels: Labels): boolean => {
      const value = Object.hasOwn(labels, key) ? labels[key] : undefined
      switch (operator) {
        case 'In':
          return value !== undefined && set.has(value)
        case 'NotIn':
          return value === undefined || !set.has(value)
        case 'Exists':
          return value !== undefined
        case 'DoesNotExist':
          return value === undefined
        default:
          return false
      }
    }
  })
  return (labels) =>
    pairs.every(([key, value]) => labels[key] === value) && expressions.every((test) => test(labels))
}

export function isEmptySelector(selector: LabelSelector): boolean {
  return Object.keys(selector.matchLabels ?? {}).length === 0 && !selector.matchExpressions?.length
}
