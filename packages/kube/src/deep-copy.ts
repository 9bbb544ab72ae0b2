/**
 * A private copy of a JSON tree (plain objects, arrays, scalars). Several times faster than
 * `structuredClone`. Frozen input gives an unfrozen copy.
 */
export function deepCopy<T>(value: T): T {
  return copyOf(value) as T
}

function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const length = value.length
    const list = new Array<unknown>(length)
    for (let index = 0; index < length; index++) list[index] = copyOf(value[index])
    return list
  }
  const copy: Record<string, unknown> = {}
  const source = value as Record<string, unknown>
  for (const key in source) {
    const field = source[key]
    const own = typeof field === 'object' && field !== null ? copyOf(field) : field
    if (key === '__proto__') define(copy, own)
    else copy[key] = own
  }
  return copy
}

/** JSON.parse makes an own field of "__proto__"; a plain assignment would change the prototype instead. */
function define(target: Record<string, unknown>, value: unknown): void {
  Object.defineProperty(target, '__proto__', { value, enumerable: true, configurable: true, writable: true })
}
