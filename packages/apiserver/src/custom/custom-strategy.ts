import { deepEqual, type FieldError, isRecord, type KubeObject, pruneUnknown } from '@outrigger/kube'
import { subdomainProblems } from '../kinds/name-rules.ts'
import type { Strategy } from '../registry/resource.ts'
import { applySchemaDefaults } from './fill-in.ts'
import type { StructuralSchema } from './structural-schema.ts'
import { validateRules } from './validate-rules.ts'
import { validateValue } from './validate-value.ts'

type Fields = Record<string, unknown>

/** After these errors an object is too far off for rules to be asked. */
const blocking = new Set<FieldError['type']>([
  'unsupported',
  'required',
  'too-long',
  'too-many',
  'type-invalid',
])

/** How objects of a definition come to be and change. `hasStatus`: status is written through its subresource alone. */
export function createCustomStrategy(schema: StructuralSchema, hasStatus: boolean): Strategy {
  const fields = Object.keys(schema.properties ?? {}).filter((name) => !bookkeeping.has(name))
  return {
    applyDefaults(object) {
      pruneUnknown(object, schema)
      applySchemaDefaults(object, schema)
    },
    prepareForCreate(object) {
      if (hasStatus) delete (object as KubeObject & { status?: unknown }).status
    },
    validateCreate: (object) => problems(object, undefined, schema),
    prepareForUpdate(object, old) {
      if (hasStatus) keep(object, old, 'status')
    },
    validateUpdate: (object, old) => problems(object, old, schema),
    warnings: () => [],
    nameProblems: subdomainProblems,
    createsOnUpdate: false,
    updatesUnconditionally: false,
    tracksGeneration: true,
    // Without the subresource status is a field like any other.
    generationFields: hasStatus ? [] : [...new Set([...fields, 'spec', 'status'])],
  }
}

const bookkeeping = new Set(['apiVersion', 'kind', 'metadata'])

/** How the status subresource changes objects: nothing but status gets through. */
export function createCustomStatusStrategy(schema: StructuralSchema): Strategy {
  const main = createCustomStrategy(schema, true)
  return {
    ...main,
    prepareForUpdate(object, old) {
      for (const name of Object.keys(object))
        if (name !== 'status' && !bookkeeping.has(name)) keep(object, old, name)
      for (const name of Object.keys(old))
        if (name !== 'status' && !bookkeeping.has(name)) keep(object, old, name)
      const { managedFields, resourceVersion } = object.metadata
      object.metadata = structuredClone(old.metadata)
      if (resourceVersion !== undefined) object.metadata.resourceVersion = resourceVersion
      if (managedFields === undefined) delete object.metadata.managedFields
      else object.metadata.managedFields = managedFields
    },
    validateUpdate(object, old) {
      const { status } = object as KubeObject & { status?: unknown }
      const statusSchema = schema.properties?.['status']
      const found =
        status === undefined || statusSchema === undefined
          ? []
          : validateValue(status, statusSchema, 'status', '')
      const kept = found.filter((error) => !isUnchanged(error.field, object, old))
      return withRules(kept, object, old, schema)
    },
    tracksGeneration: false,
  }
}

function keep(object: KubeObject, old: KubeObject, name: string): void {
  const value = (old as unknown as Fields)[name]
  if (value === undefined) delete (object as unknown as Fields)[name]
  else (object as unknown as Fields)[name] = value
}

function problems(
  object: KubeObject,
  old: KubeObject | undefined,
  schema: StructuralSchema,
): readonly FieldError[] {
  const found = validateValue(object, schema)
  // What was stored before a schema became stricter may stay until somebody touches it.
  const kept = old === undefined ? found : found.filter((error) => !isUnchanged(error.field, object, old))
  return withRules(kept, object, old, schema)
}

function withRules(
  errors: readonly FieldError[],
  object: KubeObject,
  old: KubeObject | undefined,
  schema: StructuralSchema,
): readonly FieldError[] {
  if (!schema.hasRules) return errors
  if (errors.some(({ type }) => blocking.has(type)))
    return [
      ...errors,
      {
        type: 'invalid',
        field: '<nil>',
        value: null,
        detail:
          'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
      },
    ]
  return [...errors, ...validateRules(object, old, schema)]
}

/** Whether the value an error is about is the stored one. */
function isUnchanged(field: string, object: KubeObject, old: KubeObject): boolean {
  const steps = field.match(/[^.[\]]+/g) ?? []
  const before = follow(old, steps)
  return before !== undefined && deepEqual(before, follow(object, steps))
}

function follow(value: unknown, steps: readonly string[]): unknown {
  let current: unknown = value
  for (const step of steps) {
    if (Array.isArray(current)) current = current[Number(step)]
    else if (isRecord(current) && Object.hasOwn(current, step)) current = current[step]
    else return undefined
  }
  return current
}
