import type { Schema } from '@outrigger/kube'

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)

/**
 * A field name as CEL rules write it: what CEL cannot say is escaped the way Kubernetes does
 * (`__dot__`, `__dash__`, `__slash__`, `__underscores__`, `__namespace__`).
 */
export function escapeName(name: string): string {
  if (reserved.has(name)) return `__${name}__`
  if (/^[A-Za-z0-9]*(?:_[A-Za-z0-9]+)*_?$/.test(name)) return name
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__')
}

/**
 * A JSON value as the CEL engine wants it. The schema tells integers (bigint) from doubles, times from strings
 * and fields from map keys; without one every whole number is an integer.
 */
export function toCel(value: unknown, schema: Schema | undefined): unknown {
  switch (typeof value) {
    case 'number':
      return schema?.type === 'number' || !Number.isInteger(value) ? value : BigInt(value)
    case 'string':
      return schema?.type === 'string' ? stringToCel(value, schema.format) : value
    case 'object':
      if (value === null) return null
      if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items))
      return objectToCel(value as Readonly<Record<string, unknown>>, schema)
    default:
      return value
  }
}

function objectToCel(value: Readonly<Record<string, unknown>>, schema: Schema | undefined): unknown {
  const converted: Record<string, unknown> = {}
  const hasFields = schema?.properties !== undefined
  for (const key of Object.keys(value)) {
    if (key === '__proto__') continue
    const field =
      hasFields && Object.hasOwn(schema.properties ?? {}, key) ? schema.properties?.[key] : undefined
    if (field !== undefined) converted[escapeName(key)] = toCel(value[key], field)
    else converted[hasFields ? escapeName(key) : key] = toCel(value[key], schema?.values)
  }
  return converted
}

function stringToCel(value: string, format: string | undefined): unknown {
  if (format === 'date-time' || format === 'date') {
    const time = new Date(value)
    return Number.isNaN(time.getTime()) ? value : time
  }
  if (format === 'byte') return Uint8Array.from(Buffer.from(value, 'base64'))
  return value
}
