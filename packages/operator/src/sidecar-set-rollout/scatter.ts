import type { Labels } from '@outrigger/kube'

/** A label that pods of one kind have in common; value `*` stands for each value found. */
export interface ScatterTerm {
  readonly key: string
  readonly value: string
}

/**
 * Spreads pods that have a label in common over the whole list, in place of one after the other. `all` are the
 * labels of every matched pod, `waiting` those whose turn is to be decided, in order. Source: OpenKruise.
 */
export function scattered<T>(
  waiting: readonly T[],
  all: readonly Labels[],
  terms: readonly ScatterTerm[],
  labelsOf: (item: T) => Labels,
): T[] {
  const expanded = expandedTerms(terms, all)
  let order = [...waiting]
  for (const term of relevantTerms(expanded, order.map(labelsOf)))
    order = scatteredByOne(order, all.filter((labels) => matches(term, labels)).length, all.length, (item) =>
      matches(term, labelsOf(item)),
    )
  return order
}

const matches = ({ key, value }: ScatterTerm, labels: Labels) => labels[key] === value

function expandedTerms(terms: readonly ScatterTerm[], all: readonly Labels[]): ScatterTerm[] {
  const found = new Map<string, ScatterTerm>()
  const add = (term: ScatterTerm) => found.set(JSON.stringify([term.key, term.value]), term)
  for (const term of terms) {
    if (term.value !== '*') add(term)
    else
      for (const labels of all)
        if (labels[term.key] !== undefined) add({ key: term.key, value: labels[term.key] as string })
  }
  return [...found.values()]
}

/** The most frequent first; a single term is used even if nothing matches. */
function relevantTerms(terms: readonly ScatterTerm[], waiting: readonly Labels[]): ScatterTerm[] {
  if (terms.length === 1) return [...terms]
  return terms
    .map((term) => ({ term, count: waiting.filter((labels) => matches(term, labels)).length }))
    .filter(({ count }) => count > 0)
    .sort((left, right) => right.count - left.count)
    .map(({ term }) => term)
}

function scatteredByOne<T>(
  waiting: readonly T[],
  matchedOfAll: number,
  total: number,
  isMatched: (item: T) => boolean,
): T[] {
  const matched = waiting.filter(isMatched)
  const unmatched = waiting.filter((item) => !isMatched(item))
  if (matched.length <= 1 || unmatched.length <= 1) return [...waiting]
  const last = matched.pop() as T
  const { number, sizeMatched, sizeUnmatched, remainder } = grouping(
    matched.length,
    unmatched.length,
    matchedOfAll - 1,
    total - matchedOfAll,
  )
  const result = unmatched.splice(0, remainder)
  for (let group = 0; group < number; group++)
    result.push(...matched.splice(0, sizeMatched), ...unmatched.splice(0, sizeUnmatched))
  return [...result, ...matched, ...unmatched, last]
}

interface Grouping {
  readonly number: number
  readonly sizeMatched: number
  readonly sizeUnmatched: number
  readonly remainder: number
}

function grouping(matched: number, unmatched: number, allMatched: number, allUnmatched: number): Grouping {
  // Compared in single precision, as the original does.
  if (Math.fround(allUnmatched / allMatched) >= Math.fround(unmatched / matched))
    return { ...group(matched, unmatched), remainder: 0 }
  const { sizeMatched, sizeUnmatched } = group(allMatched, allUnmatched)
  const number = Math.min(Math.floor(matched / sizeMatched), Math.floor(unmatched / sizeUnmatched))
  return { number, sizeMatched, sizeUnmatched, remainder: unmatched - number * sizeUnmatched }
}

function group(one: number, other: number) {
  const number = Math.max(1, Math.min(one, other))
  return {
    number,
    sizeMatched: Math.max(1, Math.round(one / number)),
    sizeUnmatched: Math.max(1, Math.round(other / number)),
  }
}
