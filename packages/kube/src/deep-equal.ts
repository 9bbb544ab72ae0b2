/**
 * Whether two JSON trees hold the same. The order of fields does not matter, the order of list items does,
 * and a field that is `undefined` counts as missing.
 */
export function deepEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left)) return Array.isArray(right) && equalLists(left, right)
  if (Array.isArray(right)) return false
  return equalFields(left as Record<string, unknown>, right as Record<string, unknown>)
}

/**
 * As `deepEqual`, except that nothing, `null`, an empty list and an empty object count as the same in a
 * field, as `apiequality.Semantic.DeepEqual` has it for the nil and empty collections of Go.
 */
export function semanticEqual(left: unknown, right: unknown): boolean {
  if (left === right || (isNothing(left) && isNothing(right))) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) !== Array.isArray(right)) return false
  if (Array.isArray(left)) {
    const other = right as readonly unknown[]
    return left.length === other.length && left.every((item, index) => semanticEqual(item, other[index]))
  }
  const one = left as Record<string, unknown>
  const two = right as Record<string, unknown>
  for (const key in one) if (!semanticEqual(one[key], two[key])) return false
  for (const key in two) if (!(key in one) && !isNothing(two[key])) return false
  return true
}

function equalLists(left: readonly unknown[], right: readonly unknown[]): boolean {
  if (left.length !== right.length) return false
  for (let index = 0; index < left.length; index++) if (!deepEqual(left[index], right[index])) return false
  return true
}

function equalFields(left: Record<string, unknown>, right: Record<string, unknown>): boolean {
  let count = 0
  for (const key in left) {
    const value = left[key]
    if (value === undefined) continue
    count++
    if (!Object.hasOwn(right, key) || !deepEqual(value, right[key])) return false
  }
  for (const key in right) if (right[key] !== undefined) count--
  return count === 0
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (typeof value !== 'object') return false
  if (Array.isArray(value)) return value.length === 0
  for (const _ in value) return false
  return true
}
