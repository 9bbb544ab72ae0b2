import { isRecord } from './record.ts'

/**
 * A JSON value the way Go's `json.Marshal` writes a map: keys sorted by their bytes, and `<`, `>`, `&`, U+2028
 * and U+2029 escaped. Undefined fields are left out. Two equal values give the same text, so it can be hashed.
 */
export function formatGoJson(value: unknown): string {
  if (Array.isArray(value))
    return `[${value.map((item) => formatGoJson(item === undefined ? null : item)).join(',')}]`
  if (!isRecord(value))
    return typeof value === 'string' ? formatGoString(value) : JSON.stringify(value ?? null)
  const fields: string[] = []
  for (const key of Object.keys(value).sort(compareBytes)) {
    if (value[key] !== undefined) fields.push(`${formatGoString(key)}:${formatGoJson(value[key])}`)
  }
  return `{${fields.join(',')}}`
}

/** A text as Go quotes it in JSON. */
export function formatGoString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** UTF-8 order: by code point, which differs from JavaScript's own order beyond U+FFFF. */
function compareBytes(one: string, two: string): number {
  if (one === two) return 0
  const length = Math.min(one.length, two.length)
  for (let index = 0; index < length; index++) {
    const left = one.charCodeAt(index)
    const right = two.charCodeAt(index)
    if (left === right) continue
    const isLeftSurrogate = left >= 0xd800 && left <= 0xdfff
    const isRightSurrogate = right >= 0xd800 && right <= 0xdfff
    if (isLeftSurrogate !== isRightSurrogate) return isLeftSurrogate ? 1 : -1
    return left - right
  }
  return one.length - two.length
}
