import {
  builtinSchema,
  checkTypes,
  type FieldError,
  invalid,
  isRecord,
  type JSONSchemaProps,
  type Schema,
} from '@outrigger/kube'
import { sidecarSetSchema } from './schemas.ts'

const core = 'io.k8s.api.core.v1'

const coreLists: readonly (readonly [field: string, definition: string])[] = [
  ['containers', `${core}.Container`],
  ['initContainers', `${core}.Container`],
  ['volumes', `${core}.Volume`],
]

/** What OpenKruise's own fields must be; volumes stay open there. */
const ownSchema = sidecarSetSchema('union').properties?.['spec'] as JSONSchemaProps

/**
 * What in an object, as it came from outside, has not the type a SidecarSet has there. The resource's
 * schema leaves containers and volumes open, so this must be asked before anything reads them.
 */
export function sidecarSetShapeErrors(object: unknown): FieldError[] {
  const spec = isRecord(object) ? object['spec'] : undefined
  if (!isRecord(spec)) return [invalid('spec', spec, 'must be an object')]
  if (isDeeperThan(spec, deepest)) return [invalid('spec', undefined, `nested deeper than ${deepest} levels`)]
  const errors = [
    ...coreLists.flatMap(([field, definition]) => coreErrors(spec[field], `spec.${field}`, definition)),
    ...ownShapeErrors(spec, 'spec', ownSchema),
  ]
  // Both look at the lists themselves; the first sentence is enough.
  return [...new Map(errors.reverse().map((error) => [error.field, error])).values()].reverse()
}

const deepest = 100

/** Goes level by level, so that no depth exhausts the stack. */
function isDeeperThan(value: unknown, levels: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true
    level = level.flatMap((item) =>
      typeof item === 'object' && item !== null ? (Object.values(item) as unknown[]) : [],
    )
  }
  return false
}

const isAbsent = (value: unknown) => value === undefined || value === null

function coreErrors(value: unknown, path: string, definition: string): FieldError[] {
  if (isAbsent(value)) return []
  const schema = builtinSchema(definition)
  if (!Array.isArray(value)) return [invalid(path, value, 'must be a list')]
  return value.flatMap((item, i) => typeErrors(item, `${path}[${i}]`, schema))
}

/** Lists whose items may not be null, although each field alone may be. */
function typeErrors(value: unknown, path: string, schema: Schema): FieldError[] {
  if (!isRecord(value)) return [invalid(path, value, 'must be an object')]
  const problem = checkTypes(value, schema)
  if (problem !== undefined) return [invalid(path, undefined, problem)]
  return nullItems(value, path).map((field) => invalid(field, null, 'must not be null'))
}

function nullItems(value: unknown, path: string): string[] {
  if (Array.isArray(value))
    return value.flatMap((item, i) => (item === null ? [`${path}[${i}]`] : nullItems(item, `${path}[${i}]`)))
  if (isRecord(value))
    return Object.entries(value).flatMap(([key, field]) => nullItems(field, `${path}.${key}`))
  return []
}

/** Looks at types only; which words and numbers are right is asked later, with better sentences. */
function ownShapeErrors(value: unknown, path: string, schema: JSONSchemaProps): FieldError[] {
  if (isAbsent(value)) return []
  if (schema['x-kubernetes-int-or-string'])
    return typeof value === 'string' || isWholeNumber(value)
      ? []
      : [invalid(path, value, 'must be an integer or a text')]
  switch (schema.type) {
    case 'object':
      return objectErrors(value, path, schema)
    case 'array':
      if (!Array.isArray(value)) return [invalid(path, value, 'must be a list')]
      return value.flatMap((item, i) =>
        item === null
          ? [invalid(`${path}[${i}]`, null, 'must not be null')]
          : ownShapeErrors(item, `${path}[${i}]`, schema.items as JSONSchemaProps),
      )
    case 'string':
      return typeof value === 'string' ? [] : [invalid(path, value, 'must be a text')]
    case 'boolean':
      return typeof value === 'boolean' ? [] : [invalid(path, value, 'must be true or false')]
    case 'integer':
      return isWholeNumber(value) ? [] : [invalid(path, value, 'must be an integer')]
    default:
      return []
  }
}

const isWholeNumber = (value: unknown) => typeof value === 'number' && Number.isSafeInteger(value)

function objectErrors(value: unknown, path: string, schema: JSONSchemaProps): FieldError[] {
  if (!isRecord(value)) return [invalid(path, value, 'must be an object')]
  const { properties, additionalProperties } = schema
  const fields = Object.entries(properties ?? {}).flatMap(([name, field]) =>
    Object.hasOwn(value, name) ? ownShapeErrors(value[name], `${path}.${name}`, field) : [],
  )
  if (typeof additionalProperties !== 'object') return fields
  const entries = Object.entries(value).flatMap(([key, entry]) =>
    entry === null
      ? [invalid(`${path}[${key}]`, null, 'must not be null')]
      : ownShapeErrors(entry, `${path}[${key}]`, additionalProperties),
  )
  return [...fields, ...entries]
}
