import { deepEqual } from './deep-equal.ts'
import { isRecord } from './record.ts'

/** Splits elements into those the order list names and the others. */
export function partitionByPresence(
  elements: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): { present: unknown[]; absent: unknown[] } {
  const present: unknown[] = []
  const absent: unknown[] = []
  for (const element of elements) (positionIn(order, element, mergeKey) < 0 ? absent : present).push(element)
  return { present, absent }
}

/**
 * The elements of a patch in the order it wants, with the elements only the server had woven in: each before
 * the first patch element that came after it in the old list. Both keep their order among themselves.
 */
export function elementsInOrder(
  fromPatch: readonly unknown[],
  fromServer: readonly unknown[],
  order: readonly unknown[],
  oldOrder: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const patched = sortedBy(fromPatch, order, mergeKey)
  const served = sortedBy(fromServer, oldOrder, mergeKey)
  const result: unknown[] = []
  let next = 0
  for (const element of patched) {
    const place = positionIn(oldOrder, element, mergeKey)
    while (next < served.length && place >= 0) {
      const old = positionIn(oldOrder, served[next], mergeKey)
      if (old < 0 || old >= place) break
      result.push(served[next++])
    }
    result.push(element)
  }
  for (; next < served.length; next++) result.push(served[next])
  return result
}

function sortedBy(
  elements: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): readonly unknown[] {
  return elements
    .map((element) => ({ element, position: positionIn(order, element, mergeKey) }))
    .sort((one, two) => one.position - two.position)
    .map(({ element }) => element)
}

function positionIn(list: readonly unknown[], element: unknown, mergeKey: string | undefined): number {
  const identity = identityOf(element, mergeKey)
  return list.findIndex((candidate) => deepEqual(identityOf(candidate, mergeKey), identity))
}

function identityOf(element: unknown, mergeKey: string | undefined): unknown {
  return mergeKey !== undefined && isRecord(element) ? element[mergeKey] : element
}
