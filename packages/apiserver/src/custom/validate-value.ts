import {
  deepEqual,
  duplicate,
  type FieldError,
  invalid,
  isRecord,
  required,
  tooLong,
  unsupported,
} from '@outrigger/kube'
import { hasFormat } from './formats.ts'
import type { NestedChecks, StructuralSchema, ValueChecks } from './structural-schema.ts'

/** No object gets more errors than this; the rest would only cost time. */
const maxErrors = 100

/** Where a value is: as fields of errors name it, and as texts of the schema library do. */
interface Place {
  readonly field: string
  readonly shown: string
}

/**
 * Everything about a value that its schema does not allow, in the words of kube-apiserver. `field` is the path of
 * `value`, empty for a whole object. `shown` is the path in texts; it differs for status writes, where Kubernetes
 * looks at the status alone.
 */
export function validateValue(
  value: unknown,
  schema: StructuralSchema,
  field = '',
  shown = field,
): readonly FieldError[] {
  const errors: FieldError[] = []
  validateNode(value, schema, { field, shown }, errors, field === '')
  return errors.slice(0, maxErrors)
}

function validateNode(
  value: unknown,
  schema: StructuralSchema,
  place: Place,
  errors: FieldError[],
  isObjectRoot: boolean,
): void {
  if (errors.length >= maxErrors) return
  if (value === null && schema.nullable === true) return
  const before = errors.length
  checkType(value, schema.checks, place, errors)
  if (errors.length > before) return
  // Errors inside come before those of the value itself; clients compare sets, people read top down.
  if (Array.isArray(value) && schema.items !== undefined) {
    for (let index = 0; index < value.length; index++)
      validateNode(value[index], schema.items, inItem(place, index), errors, false)
  } else if (isRecord(value)) {
    for (const name of Object.keys(value)) {
      // The metadata of objects has checks of its own, everywhere the same.
      if (isObjectRoot && (name === 'metadata' || name === 'apiVersion' || name === 'kind')) continue
      const field =
        schema.properties !== undefined && Object.hasOwn(schema.properties, name)
          ? schema.properties[name]
          : schema.values
      if (field?.checks !== undefined) validateNode(value[name], field, inField(place, name), errors, false)
    }
    if (schema.isEmbeddedResource === true) checkEmbedded(value, place, errors)
  }
  checkValue(value, schema.checks, place, errors)
  if (Array.isArray(value)) checkList(value, schema, place, errors)
}

const inItem = (place: Place, index: number): Place => ({
  field: `${place.field}[${index}]`,
  shown: `${place.shown}[${index}]`,
})
const inField = (place: Place, name: string): Place => ({
  field: place.field === '' ? name : `${place.field}.${name}`,
  shown: place.shown === '' ? name : `${place.shown}.${name}`,
})

function typeNameOf(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function checkType(value: unknown, checks: ValueChecks, place: Place, errors: FieldError[]): void {
  const actual = typeNameOf(value)
  const wanted = checks.isIntOrString ? 'integer,string' : checks.type
  if (wanted === '' || (actual === 'null' && checks.isNullable)) return
  const isFine = checks.isIntOrString
    ? actual === 'integer' || actual === 'string'
    : actual === wanted || (wanted === 'number' && actual === 'integer')
  if (isFine) return
  errors.push({
    type: 'type-invalid',
    field: place.field === '' ? '<nil>' : place.field,
    value: actual,
    detail: `${place.shown} in body must be of type ${wanted}: ${JSON.stringify(actual)}`,
  })
}

function checkEmbedded(value: Readonly<Record<string, unknown>>, place: Place, errors: FieldError[]): void {
  for (const name of ['apiVersion', 'kind'] as const) {
    const given = value[name]
    if (typeof given !== 'string' || given === '')
      errors.push(required(`${place.field}.${name}`, 'must not be empty'))
  }
}

function checkValue(value: unknown, checks: ValueChecks, place: Place, errors: FieldError[]): void {
  if (typeof value === 'string') checkText(value, checks, place, errors)
  else if (typeof value === 'number') checkNumber(value, checks, place, errors)
  else if (Array.isArray(value))
    checkSize(value.length, 'items', checks.minItems, checks.maxItems, place, errors)
  else if (isRecord(value)) {
    checkSize(
      Object.keys(value).length,
      'properties',
      checks.minProperties,
      checks.maxProperties,
      place,
      errors,
    )
    for (const name of checks.required)
      if (value[name] === undefined) errors.push(required(inField(place, name).field))
  }
  if (checks.enum !== undefined && !checks.enum.some((entry) => deepEqual(entry, value))) {
    errors.push(
      unsupported(
        place.field,
        value,
        checks.enum.map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry))),
      ),
    )
  }
  checkCombined(value, checks, place, errors)
}

function checkText(value: string, checks: ValueChecks, place: Place, errors: FieldError[]): void {
  if (checks.format !== undefined && !hasFormat(value, checks.format)) {
    errors.push({
      type: 'type-invalid',
      field: place.field,
      value,
      detail: `${place.shown} in body must be of type ${checks.format}: ${JSON.stringify(value)}`,
    })
  }
  if (checks.maxLength !== undefined || checks.minLength !== undefined) {
    const length = value.length > 1000 ? Buffer.byteLength(value, 'utf16le') / 2 : Array.from(value).length
    if (checks.maxLength !== undefined && length > checks.maxLength)
      errors.push(tooLong(place.field, checks.maxLength))
    if (checks.minLength !== undefined && length < checks.minLength)
      errors.push(
        invalid(
          place.field,
          value,
          `${place.shown} in body should be at least ${checks.minLength} chars long`,
        ),
      )
  }
  if (checks.pattern !== undefined && !checks.pattern.compiled.test(value))
    errors.push(invalid(place.field, value, `${place.shown} in body should match '${checks.pattern.source}'`))
}

function checkNumber(value: number, checks: ValueChecks, place: Place, errors: FieldError[]): void {
  const say = (text: string) =>
    errors.push(invalid(place.field, value, `${place.shown} in body should be ${text}`))
  const { minimum, maximum, multipleOf, format } = checks
  if (maximum !== undefined && (checks.isMaximumExclusive ? value >= maximum : value > maximum))
    say(`less than ${checks.isMaximumExclusive ? '' : 'or equal to '}${maximum}`)
  if (minimum !== undefined && (checks.isMinimumExclusive ? value <= minimum : value < minimum))
    say(`greater than ${checks.isMinimumExclusive ? '' : 'or equal to '}${minimum}`)
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) say(`a multiple of ${multipleOf}`)
  if (format === 'int32' && (value < -(2 ** 31) || value >= 2 ** 31)) {
    errors.push(
      invalid(
        '<nil>',
        '',
        `Checked value must be of type ${checks.type} with format ${format} in ${place.shown}`,
      ),
    )
  }
}

function isMultiple(value: number, step: number): boolean {
  const ratio = value / step
  return Math.abs(ratio - Math.round(ratio)) < 1e-9
}

function checkSize(
  size: number,
  what: 'items' | 'properties',
  min: number | undefined,
  max: number | undefined,
  place: Place,
  errors: FieldError[],
): void {
  if (max !== undefined && size > max) {
    // Kubernetes says "items" for both.
    errors.push({
      type: 'too-many',
      field: place.field,
      value: size,
      detail: `must have at most ${max} ${max === 1 ? 'item' : 'items'}`,
    })
  }
  if (min !== undefined && size < min)
    errors.push(invalid(place.field, size, `${place.shown} in body should have at least ${min} ${what}`))
}

function checkCombined(value: unknown, checks: ValueChecks, place: Place, errors: FieldError[]): void {
  const complain = (text: string) =>
    errors.push(invalid(place.field, '', `${JSON.stringify(place.shown)} must ${text}`))
  for (const nested of checks.allOf) {
    const inner = nestedErrors(value, nested, place)
    if (inner.length > 0) {
      complain('validate all the schemas (allOf)')
      errors.push(...inner)
    }
  }
  if (checks.anyOf.length > 0) {
    const tries = checks.anyOf.map((nested) => nestedErrors(value, nested, place))
    if (tries.every((inner) => inner.length > 0)) {
      complain('validate at least one schema (anyOf)')
      errors.push(...fewest(tries))
    }
  }
  if (checks.oneOf.length > 0) {
    const tries = checks.oneOf.map((nested) => nestedErrors(value, nested, place))
    const valid = tries.filter((inner) => inner.length === 0).length
    if (valid === 0) {
      complain('validate one and only one schema (oneOf). Found none valid')
      errors.push(...fewest(tries))
    } else if (valid > 1)
      complain(`validate one and only one schema (oneOf). Found ${valid} valid alternatives`)
  }
  if (checks.not !== undefined && nestedErrors(value, checks.not, place).length === 0)
    complain('not validate the schema (not)')
}

const fewest = (tries: readonly (readonly FieldError[])[]): readonly FieldError[] =>
  tries.reduce((best, inner) => (inner.length < best.length ? inner : best))

function nestedErrors(value: unknown, nested: NestedChecks, place: Place): readonly FieldError[] {
  const errors: FieldError[] = []
  checkType(value, nested.checks, place, errors)
  if (errors.length > 0) return errors
  if (Array.isArray(value) && nested.items !== undefined) {
    for (let index = 0; index < value.length && errors.length < maxErrors; index++)
      errors.push(...nestedErrors(value[index], nested.items, inItem(place, index)))
  } else if (isRecord(value)) {
    for (const name of Object.keys(value)) {
      const inner = Object.hasOwn(nested.properties, name) ? nested.properties[name] : nested.values
      if (inner !== undefined) errors.push(...nestedErrors(value[name], inner, inField(place, name)))
    }
  }
  checkValue(value, nested.checks, place, errors)
  return errors
}

/** Sets have no equal items, keyed lists no two items with the same keys. */
function checkList(
  value: readonly unknown[],
  schema: StructuralSchema,
  place: Place,
  errors: FieldError[],
): void {
  if (schema.listType !== 'set' && schema.listType !== 'map') return
  const seen = new Set<string>()
  value.forEach((item, index) => {
    const identity = schema.listType === 'set' ? item : keysOf(item, schema)
    const text = stableText(identity)
    if (seen.has(text)) errors.push(duplicate(inItem(place, index).field, identity))
    seen.add(text)
  })
}

function keysOf(item: unknown, schema: StructuralSchema): unknown {
  if (!isRecord(item)) return item
  const keys: Record<string, unknown> = {}
  for (const name of schema.listMapKeys ?? []) {
    const value = item[name] ?? schema.items?.properties?.[name]?.default
    if (value !== undefined) keys[name] = value
  }
  return keys
}

/** JSON with sorted keys: equal values give equal texts. */
function stableText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stableText).join()}]`
  if (!isRecord(value)) return JSON.stringify(value) ?? 'null'
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${stableText(value[key])}`)
    .join()}}`
}
