/** A value as `JSON.parse` yields it. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue }

/**
 * The text Go's `encoding/json` prints for a value: compact, keys in the order they stand in, and
 * `<`, `>`, `&`, U+2028 and U+2029 escaped inside strings.
 */
export function goJson(value: JsonValue): string {
  // These characters occur in JSON only inside strings, so the whole text can be treated at once.
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The same value with the keys of all objects in bytewise order. */
export function withSortedKeys(value: JsonValue): JsonValue {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(withSortedKeys)
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, withSortedKeys(value[key] as JsonValue)]),
  )
}
