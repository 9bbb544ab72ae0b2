/**
 * The known word that somebody meant who wrote this one: it differs in upper case, by one letter more, less or other, or by two
 * neighbours that changed places. `undefined` where none is that near.
 */
export function closestWord(word: string, known: readonly string[]): string | undefined {
  return known.find((candidate) => candidate.toLowerCase() === word.toLowerCase() || isNear(candidate, word))
}

function isNear(left: string, right: string): boolean {
  let start = 0
  while (start < left.length && left[start] === right[start]) start++
  let end = 0
  const shorter = Math.min(left.length, right.length)
  while (end < shorter - start && left.at(-1 - end) === right.at(-1 - end)) end++
  const [one, other] = [left.slice(start, left.length - end), right.slice(start, right.length - end)]
  if (one.length <= 1 && other.length <= 1) return true
  return one.length === 2 && other.length === 2 && one[0] === other[1] && one[1] === other[0]
}
