/** The whole numbers in a text such as `0,2-4`; parts that are none are passed over. At most 100,000 of them. */
export function parseIndexes(text: string | undefined): Set<number> {
  const indexes = new Set<number>()
  for (const part of (text ?? '').split(',')) {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part)
    if (match === null) continue
    const first = Number(match[1])
    const last = match[2] === undefined ? first : Number(match[2])
    for (let index = first; index <= last && indexes.size < mostIndexes; index++) indexes.add(index)
  }
  return indexes
}

const mostIndexes = 100_000

/** The shortest text for the numbers, as in `status.completedIndexes`: three and more in a row become a range. */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...indexes].sort((left, right) => left - right)
  const parts: string[] = []
  for (let at = 0; at < sorted.length; ) {
    let end = at
    while (end + 1 < sorted.length && sorted[end + 1] === (sorted[end] ?? 0) + 1) end++
    if (end - at >= 2) parts.push(`${sorted[at]}-${sorted[end]}`)
    else for (let index = at; index <= end; index++) parts.push(String(sorted[index]))
    at = end + 1
  }
  return parts.join(',')
}
