import { isRecord } from './record.ts'

/** A JSON value as Go's `%v` prints it: `map[$patch:x name:y]`. Messages of the real server contain it. */
export function formatGoValue(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(formatGoValue).join(' ')}]`
  if (!isRecord(value)) return String(value)
  const fields = Object.keys(value)
    .sort()
    .map((key) => `${key}:${formatGoValue(value[key])}`)
  return `map[${fields.join(' ')}]`
}
