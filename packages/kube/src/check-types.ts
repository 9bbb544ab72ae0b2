import { parseQuantity, quantityFormMessage } from './quantity.ts'
import { isRecord } from './record.ts'
import type { Schema } from './schema.ts'

/** Who reads a value: Go's decoder of JSON, or what makes structs of the result of a strategic merge. */
export type TypeReader = 'decoder' | 'converter'

/**
 * The first value whose type is not the one its field has, in the words its reader has for it:
 * `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`, or
 * `unrecognized type: int32`. Undefined when all types are right. Null is right everywhere. Quantities, times and
 * base64 are parsed too.
 */
export function checkTypes(
  value: unknown,
  schema: Schema,
  reader: TypeReader = 'decoder',
): string | undefined {
  return check(value, schema, { struct: nameOf(schema), path: '', reader })
}

/** Where a value is: the innermost struct, and the fields to it from the root. */
interface Place {
  readonly struct: string
  readonly path: string
  readonly reader: TypeReader
}

function check(value: unknown, schema: Schema, place: Place): string | undefined {
  if (value === null || value === undefined) return undefined
  switch (schema.type) {
    case 'string':
      return checkString(value, schema, place)
    case 'integer':
      return checkInteger(value, schema, place)
    case 'number':
      return typeof value === 'number' ? undefined : mismatch(value, 'float64', place)
    case 'boolean':
      return typeof value === 'boolean' ? undefined : mismatch(value, 'bool', place)
    case 'int-or-string':
      return checkIntOrString(value)
    case 'array':
      return Array.isArray(value) ? checkItems(value, schema, place) : mismatch(value, goType(schema), place)
    case 'object':
      return isRecord(value) ? checkFields(value, schema, place) : mismatch(value, goType(schema), place)
    default:
      return undefined
  }
}

function checkItems(value: readonly unknown[], schema: Schema, place: Place): string | undefined {
  const items = schema.items
  if (items === undefined || items.type === 'any') return undefined
  for (const item of value) {
    const problem = check(item, items, place)
    if (problem !== undefined) return problem
  }
  return undefined
}

function checkFields(value: Record<string, unknown>, schema: Schema, place: Place): string | undefined {
  const { properties, values } = schema
  const struct = schema.definition === undefined ? place.struct : nameOf(schema)
  for (const key in value) {
    const declared = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined
    if (declared === undefined) {
      const problem = values === undefined ? undefined : check(value[key], values, place)
      if (problem !== undefined) return problem
      continue
    }
    const path = place.path === '' ? key : `${place.path}.${key}`
    const problem = check(value[key], declared, { struct, path, reader: place.reader })
    if (problem !== undefined) return problem
  }
  return undefined
}

function checkString(value: unknown, schema: Schema, place: Place): string | undefined {
  switch (schema.format) {
    case 'quantity':
      return checkQuantity(value)
    case 'date-time':
      return checkTime(value, schema)
    case 'byte':
      if (typeof value !== 'string') return mismatch(value, '[]uint8', place)
      return checkBase64(value)
    default:
      return typeof value === 'string' ? undefined : mismatch(value, 'string', place)
  }
}

function checkQuantity(value: unknown): string | undefined {
  const isReadable =
    (typeof value === 'string' || typeof value === 'number') && parseQuantity(value) !== undefined
  return isReadable ? undefined : quantityFormMessage
}

const secondsExpression = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}/
const zoneExpression = /^(?:Z|[+-]\d{2}:\d{2})$/

/** RFC 3339. A MicroTime must have six digits of a second, a Time may have any number of them. */
function checkTime(value: unknown, schema: Schema): string | undefined {
  if (typeof value !== 'string')
    return `json: cannot unmarshal ${jsonType(value)} into Go value of type string`
  const isMicro = schema.definition?.endsWith('MicroTime') === true
  const layout = isMicro ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00'
  const wrong = (rest: string, part: string) =>
    `parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(part)}`
  const seconds = secondsExpression.exec(value)?.[0]
  if (seconds === undefined) return wrong(value, '2006')
  const rest = value.slice(seconds.length)
  const fraction = (isMicro ? /^\.\d{6}/ : /^\.\d+/).exec(rest)?.[0] ?? ''
  if (isMicro && fraction === '') return wrong(rest, '.000000')
  const zone = rest.slice(fraction.length)
  if (!zoneExpression.test(zone)) return wrong(zone, 'Z07:00')
  return Number.isNaN(Date.parse(`${seconds}${zone}`))
    ? `parsing time ${JSON.stringify(value)}: day out of range`
    : undefined
}

/** Go skips line breaks and wants full groups of four. */
function checkBase64(value: string): string | undefined {
  const text = /[\r\n]/.test(value) ? value.replace(/[\r\n]/g, '') : value
  const wrong = text.search(/[^A-Za-z0-9+/]/)
  if (wrong < 0) return text.length % 4 === 0 ? undefined : illegalBase64(text.length - (text.length % 4))
  const padding = text.slice(wrong)
  const isPadded = (padding === '=' || padding === '==') && text.length % 4 === 0
  return isPadded ? undefined : illegalBase64(wrong)
}

function illegalBase64(position: number): string {
  return `illegal base64 data at input byte ${position}`
}

function checkInteger(value: unknown, schema: Schema, place: Place): string | undefined {
  const type = schema.format === 'int32' ? 'int32' : 'int64'
  if (typeof value !== 'number') return mismatch(value, type, place)
  const limit = type === 'int32' ? 2 ** 31 : 2 ** 63
  if (Number.isInteger(value) && value >= -limit && value < limit) return undefined
  return `json: cannot unmarshal number ${value} into Go struct field ${place.struct}.${place.path} of type ${type}`
}

function checkIntOrString(value: unknown): string | undefined {
  if (typeof value === 'string') return undefined
  if (typeof value !== 'number')
    return `json: cannot unmarshal ${jsonType(value)} into Go value of type int32`
  const isInt32 = Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31
  return isInt32 ? undefined : `json: cannot unmarshal number ${value} into Go value of type int32`
}

function mismatch(value: unknown, type: string, place: Place): string {
  if (place.reader === 'converter') return unconverted(value, type)
  const target =
    place.path === '' ? `value of type ${type}` : `struct field ${place.struct}.${place.path} of type ${type}`
  return `json: cannot unmarshal ${jsonType(value)} into Go ${target}`
}

/** The converter knows kinds of Go, and neither structs nor fields by name. */
function unconverted(value: unknown, type: string): string {
  if (type.startsWith('[]')) return `cannot restore slice from ${goKind(value)}`
  if (type.startsWith('map[')) return `cannot restore map from ${goKind(value)}`
  if (type.includes('.')) return `cannot restore struct from: ${goKind(value)}`
  if (type === 'string' && goKind(value) === 'int64') return 'cannot convert int64 to string'
  return `unrecognized type: ${type}`
}

function goKind(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'string' ? 'string' : Array.isArray(value) ? 'slice' : 'map'
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function nameOf(schema: Schema): string {
  const name = schema.definition ?? ''
  return name.slice(name.lastIndexOf('.') + 1)
}

/** The Go type of a field, as near as the schema tells: pointers and named strings are not in it. */
function goType(schema: Schema): string {
  switch (schema.type) {
    case 'array':
      return `[]${goType(schema.items ?? { type: 'any' })}`
    case 'object':
      if (schema.definition !== undefined) return schema.definition.split('.').slice(-2).join('.')
      return `map[string]${goType(schema.values ?? { type: 'any' })}`
    case 'integer':
      return schema.format === 'int32' ? 'int32' : 'int64'
    case 'number':
      return 'float64'
    case 'boolean':
      return 'bool'
    case 'int-or-string':
      return 'intstr.IntOrString'
    case 'any':
      return 'interface {}'
    default:
      return schema.format === 'quantity' ? 'resource.Quantity' : 'string'
  }
}
