import { messageOf } from '@outrigger/foundation'
import {
  type FieldError,
  forbidden,
  invalid,
  isRecord,
  type JSONSchemaProps,
  pruneUnknown,
  required,
} from '@outrigger/kube'
import { compilePattern } from './cel/re2.ts'
import { applySchemaDefaults } from './fill-in.ts'
import { checkRules } from './rule-problems.ts'
import { createStructuralSchema, type StructuralSchema } from './structural-schema.ts'
import { validateValue } from './validate-value.ts'

/** Schemas nested deeper are refused. */
const maxDepth = 100

/** Everything that keeps the schema of a version from being one, each problem at its path below `field`. */
export function schemaProblems(root: JSONSchemaProps, field: string): readonly FieldError[] {
  const errors: FieldError[] = []
  if (root.type !== 'object') {
    errors.push(
      root.type === undefined || root.type === ''
        ? required(`${field}.type`, 'must not be empty at the root')
        : invalid(`${field}.type`, root.type, 'must be object at the root'),
    )
  }
  if (root.nullable === true)
    errors.push(forbidden(`${field}.nullable`, 'nullable cannot be true at the root'))
  checkNode(root, field, { place: 'root', depth: 0 }, errors)
  checkMetadata(root, field, errors)
  // Rules and defaults can only be looked at in a schema that holds together.
  if (errors.length > 0) return errors
  checkDefaults(root, field, errors)
  if (errors.length > 0) return errors
  checkRules(root, createStructuralSchema(root), field, errors)
  return errors
}

interface Context {
  readonly place: 'root' | 'field' | 'item' | 'nested'
  readonly depth: number
}

function checkNode(raw: JSONSchemaProps, field: string, context: Context, errors: FieldError[]): void {
  if (context.depth > maxDepth) {
    errors.push(forbidden(field, `the schema is nested deeper than ${maxDepth} levels`))
    return
  }
  checkUnsupported(raw, field, errors)
  checkType(raw, field, context, errors)
  checkPattern(raw, field, errors)
  checkListMarks(raw, field, errors)
  const below = { depth: context.depth + 1 }
  const isNested = context.place === 'nested'
  for (const [name, child] of Object.entries(raw.properties ?? {}))
    checkNode(
      child,
      `${field}.properties[${name}]`,
      { ...below, place: isNested ? 'nested' : 'field' },
      errors,
    )
  checkContents(raw, field, context, errors)
  for (const group of ['allOf', 'anyOf', 'oneOf'] as const)
    (raw[group] ?? []).forEach((child, index) => {
      checkNode(child, `${field}.${group}[${index}]`, { ...below, place: 'nested' }, errors)
      checkNested(child, raw, `${field}.${group}[${index}]`, errors)
    })
  if (raw.not !== undefined) {
    checkNode(raw.not, `${field}.not`, { ...below, place: 'nested' }, errors)
    checkNested(raw.not, raw, `${field}.not`, errors)
  }
}

function checkContents(raw: JSONSchemaProps, field: string, context: Context, errors: FieldError[]): void {
  const below: Context = { place: context.place === 'nested' ? 'nested' : 'item', depth: context.depth + 1 }
  if (Array.isArray(raw.items))
    errors.push(forbidden(`${field}.items`, 'items must be a schema object and not an array'))
  else if (raw.items !== undefined) checkNode(raw.items, `${field}.items`, below, errors)
  else if (raw.type === 'array' && context.place !== 'nested')
    errors.push(required(`${field}.items`, 'must be specified'))
  if (raw.additionalProperties === undefined) return
  const path = `${field}.additionalProperties`
  if (raw.additionalProperties === false)
    errors.push(forbidden(path, 'additionalProperties cannot be set to false'))
  else if (
    raw.properties !== undefined &&
    Object.keys(raw.properties).length > 0 &&
    context.place !== 'nested'
  )
    errors.push(forbidden(path, 'additionalProperties and properties are mutual exclusive'))
  if (context.place === 'root') errors.push(forbidden(path, 'must not be used at the root'))
  if (isRecord(raw.additionalProperties))
    checkNode(
      raw.additionalProperties,
      path,
      { ...below, place: context.place === 'nested' ? 'nested' : 'field' },
      errors,
    )
}

const unsupportedFields = {
  $ref: '$ref is not supported',
  definitions: 'definitions is not supported',
  dependencies: 'dependencies is not supported',
  patternProperties: 'patternProperties is not supported',
  additionalItems: 'additionalItems is not supported',
  id: 'id is not supported',
} as const

function checkUnsupported(raw: JSONSchemaProps, field: string, errors: FieldError[]): void {
  for (const [name, text] of Object.entries(unsupportedFields)) {
    const value = raw[name as keyof typeof unsupportedFields]
    if (value !== undefined && value !== '') errors.push(forbidden(`${field}.${name}`, text))
  }
  if (raw.uniqueItems === true)
    errors.push(
      forbidden(
        `${field}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    )
}

const knownTypes = ['array', 'boolean', 'integer', 'number', 'object', 'string']

function checkType(raw: JSONSchemaProps, field: string, { place }: Context, errors: FieldError[]): void {
  const type = raw.type ?? ''
  if (place === 'nested') return
  if (raw['x-kubernetes-int-or-string'] === true) {
    if (type !== '')
      errors.push(forbidden(`${field}.type`, 'must be empty if x-kubernetes-int-or-string is true'))
    return
  }
  if (raw['x-kubernetes-embedded-resource'] === true) {
    if (type !== 'object')
      errors.push(invalid(`${field}.type`, type, 'must be object if x-kubernetes-embedded-resource is true'))
    if (
      raw['x-kubernetes-preserve-unknown-fields'] !== true &&
      Object.keys(raw.properties ?? {}).length === 0
    )
      errors.push(
        required(
          `${field}.properties`,
          'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
        ),
      )
  }
  if (type === '') {
    if (place === 'root' || raw['x-kubernetes-preserve-unknown-fields'] === true) return
    errors.push(
      required(
        `${field}.type`,
        `must not be empty for specified ${place === 'item' ? 'array items' : 'object fields'}`,
      ),
    )
  } else if (!knownTypes.includes(type)) {
    errors.push({
      type: 'unsupported',
      field: `${field}.type`,
      value: type,
      detail: `supported values: ${knownTypes.map((known) => JSON.stringify(known)).join(', ')}`,
    })
  }
}

function checkPattern(raw: JSONSchemaProps, field: string, errors: FieldError[]): void {
  if (!raw.pattern) return
  try {
    compilePattern(raw.pattern)
  } catch (error) {
    errors.push(
      invalid(
        `${field}.pattern`,
        raw.pattern,
        `must be a valid regular expression, but isn't: ${messageOf(error)}`,
      ),
    )
  }
}

function checkListMarks(raw: JSONSchemaProps, field: string, errors: FieldError[]): void {
  const listType = raw['x-kubernetes-list-type']
  const keys = raw['x-kubernetes-list-map-keys'] ?? []
  if (listType !== undefined && raw.type !== 'array')
    errors.push(
      invalid(`${field}.type`, raw.type ?? '', 'must be array if x-kubernetes-list-type is specified'),
    )
  if (listType !== 'map') {
    if (keys.length > 0)
      errors.push(
        invalid(
          `${field}.x-kubernetes-list-map-keys`,
          keys,
          'must be empty if x-kubernetes-list-type is not map',
        ),
      )
    return
  }
  if (keys.length === 0)
    errors.push(
      required(`${field}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'),
    )
  const items = Array.isArray(raw.items) ? undefined : raw.items
  if (items === undefined) return
  if (items.type !== 'object')
    errors.push(
      invalid(
        `${field}.items.type`,
        items.type ?? '',
        "must be object if parent array's x-kubernetes-list-type is map",
      ),
    )
  keys.forEach((key, index) => {
    const property = items.properties?.[key]
    if (property === undefined) {
      errors.push(
        invalid(
          `${field}.x-kubernetes-list-map-keys[${index}]`,
          key,
          'entries must all be names of item properties',
        ),
      )
    } else if (property.default === undefined && !(items.required ?? []).includes(key)) {
      errors.push(
        required(
          `${field}.items.properties[${key}].default`,
          'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
        ),
      )
    }
  })
}

/** Inside allOf and the like only checks are allowed, no shape. */
function checkNested(
  raw: JSONSchemaProps,
  parent: JSONSchemaProps,
  field: string,
  errors: FieldError[],
): void {
  const refuse = (name: string) =>
    errors.push(forbidden(`${field}.${name}`, 'must be empty to be structural'))
  // The one shape that may be spelled out: a number or a text.
  if (raw.type && parent['x-kubernetes-int-or-string'] !== true) refuse('type')
  if (raw.default !== undefined) refuse('default')
  if (raw.nullable === true) refuse('nullable')
  if (raw.description) refuse('description')
  if (raw.title) refuse('title')
  if (raw.additionalProperties !== undefined) refuse('additionalProperties')
  for (const name of [
    'x-kubernetes-preserve-unknown-fields',
    'x-kubernetes-embedded-resource',
    'x-kubernetes-int-or-string',
  ] as const)
    if (raw[name] === true) errors.push(forbidden(`${field}.${name}`, 'must be false to be structural'))
  for (const [name, child] of Object.entries(raw.properties ?? {}))
    checkNested(child, parent.properties?.[name] ?? {}, `${field}.properties[${name}]`, errors)
  if (isRecord(raw.items)) checkNested(raw.items as JSONSchemaProps, {}, `${field}.items`, errors)
}

function checkMetadata(root: JSONSchemaProps, field: string, errors: FieldError[]): void {
  const metadata = root.properties?.['metadata']
  if (metadata === undefined) return
  const path = `${field}.properties[metadata]`
  if (metadata.type !== 'object') errors.push(invalid(`${path}.type`, metadata.type ?? '', 'must be object'))
  if (Object.keys(metadata.properties ?? {}).some((name) => name !== 'name' && name !== 'generateName'))
    errors.push(
      forbidden(
        path,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    )
}

function checkDefaults(raw: JSONSchemaProps, field: string, errors: FieldError[]): void {
  if (raw.default !== undefined) {
    const schema = createStructuralSchema({ type: 'object', properties: { it: raw } }).properties?.['it']
    if (schema !== undefined) errors.push(...defaultProblems(raw.default, schema, `${field}.default`))
  }
  for (const [name, child] of Object.entries(raw.properties ?? {}))
    checkDefaults(child, `${field}.properties[${name}]`, errors)
  if (isRecord(raw.items)) checkDefaults(raw.items as JSONSchemaProps, `${field}.items`, errors)
  if (isRecord(raw.additionalProperties))
    checkDefaults(raw.additionalProperties as JSONSchemaProps, `${field}.additionalProperties`, errors)
}

function defaultProblems(value: unknown, schema: StructuralSchema, field: string): readonly FieldError[] {
  const filled = { it: structuredClone(value) }
  const holder: StructuralSchema = {
    ...schema,
    type: 'object',
    properties: { it: { ...schema, default: undefined } },
    hasDefaults: true,
  }
  applySchemaDefaults(filled, holder)
  if (pruneUnknown(filled, holder).length > 0) return [invalid(field, value, 'must not have unknown fields')]
  return validateValue(filled.it, schema, field)
}
