import { isRecord } from './record.ts'

/** Splits elements into those the order list names and the others. */
export function partitionByPresence(
  elements: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): { present: unknown[]; absent: unknown[] } {
  const present: unknown[] = []
  const absent: unknown[] = []
  const positions = positionsIn(order, mergeKey)
  for (const element of elements)
    (positions.has(identityOf(element, mergeKey)) ? present : absent).push(element)
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
  const patched = sortedBy(fromPatch, positionsIn(order, mergeKey), mergeKey)
  const oldPositions = positionsIn(oldOrder, mergeKey)
  const served = sortedBy(fromServer, oldPositions, mergeKey)
  const result: unknown[] = []
  let next = 0
  for (const element of patched) {
    const place = oldPositions.get(identityOf(element, mergeKey))
    while (next < served.length && place !== undefined) {
      const old = oldPositions.get(identityOf(served[next], mergeKey))
      if (old === undefined || old >= place) break
      result.push(served[next++])
    }
    result.push(element)
  }
  for (; next < served.length; next++) result.push(served[next])
  return result
}

function sortedBy(
  elements: readonly unknown[],
  positions: ReadonlyMap<string, number>,
  mergeKey: string | undefined,
): readonly unknown[] {
  return elements
    .map((element) => ({ element, position: positions.get(identityOf(element, mergeKey)) ?? -1 }))
    .sort((one, two) => one.position - two.position)
    .map(({ element }) => element)
}

/** First position of each element. */
function positionsIn(list: readonly unknown[], mergeKey: string | undefined): ReadonlyMap<string, number> {
  const positions = new Map<string, number>()
  list.forEach((element, index) => {
    const identity = identityOf(element, mergeKey)
    if (!positions.has(identity)) positions.set(identity, index)
  })
  return positions
}

/** What makes two elements the same: the value of the merge key, or a scalar itself, as text. */
export function identityOf(element: unknown, mergeKey: string | undefined): string {
  const value = mergeKey !== undefined && isRecord(element) ? element[mergeKey] : element
  return value === undefined ? '' : JSON.stringify(value)
}
