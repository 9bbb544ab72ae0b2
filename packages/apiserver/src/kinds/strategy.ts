import type { FieldError, KubeObject, Schema } from '@outrigger/kube'
import type { Strategy, WriteContext } from '../registry/resource.ts'
import { subdomainProblems } from './name-rules.ts'
import { shapeForWire } from './wire-shape.ts'

/**
 * The rules of one kind where they differ from the plain ones. `T` is the kind; a strategy is only ever
 * handed objects of its own kind, which the decoder has checked against the schema.
 */
export interface KindRules<T extends KubeObject> {
  readonly schema: Schema
  /** Whether the kind has a `status` that only its subresource may write. Defaults to true if the schema has one. */
  readonly hasStatus?: boolean
  readonly applyDefaults?: (object: T) => void
  readonly prepareForCreate?: (object: T, context: WriteContext) => void
  /** What `status` is right after creation. Defaults to empty. */
  readonly initialStatus?: (object: T, context: WriteContext) => object
  readonly validate?: (object: T, context: WriteContext) => FieldError[]
  /** In addition to `validate`, which also runs on update. */
  readonly validateCreate?: (object: T, context: WriteContext) => FieldError[]
  readonly prepareForUpdate?: (object: T, old: T, context: WriteContext) => void
  /** In addition to `validate`. */
  readonly validateUpdate?: (object: T, old: T, context: WriteContext) => FieldError[]
  readonly warnings?: (object: T, old: T | undefined) => string[]
  readonly nameProblems?: (name: string, isPrefix: boolean) => string[]
  readonly createsOnUpdate?: boolean
  /** Defaults to true, which is right for most built-in kinds. */
  readonly updatesUnconditionally?: boolean
  /** Defaults to false: most core kinds keep no generation. */
  readonly tracksGeneration?: boolean
  readonly generationFields?: readonly string[]
  readonly gracePeriod?: Strategy['gracePeriod']
  readonly defaultPropagation?: Strategy['defaultPropagation']
  readonly afterWrite?: Strategy['afterWrite']
}

type WithStatus = KubeObject & { status?: unknown }

/** Completes the rules of a kind to a whole strategy. */
export function createStrategy<T extends KubeObject>(rules: KindRules<T>): Strategy {
  const { schema } = rules
  const hasStatus = rules.hasStatus ?? schema.properties?.status !== undefined
  return {
    applyDefaults(object) {
      shapeForWire(schema, object)
      rules.applyDefaults?.(object as T)
    },
    prepareForCreate(object, context) {
      if (hasStatus) {
        const status = rules.initialStatus?.(object as T, context) ?? {}
        if (schema.properties?.status !== undefined) shapeForWire(schema.properties.status, status)
        ;(object as WithStatus).status = status
      }
      rules.prepareForCreate?.(object as T, context)
    },
    validateCreate(object, context) {
      const errors = rules.validate?.(object as T, context) ?? []
      const more = rules.validateCreate?.(object as T, context)
      return more === undefined ? errors : [...errors, ...more]
    },
    prepareForUpdate(object, old, context) {
      if (hasStatus) keepField(object, old, 'status')
      rules.prepareForUpdate?.(object as T, old as T, context)
    },
    validateUpdate(object, old, context) {
      const errors = rules.validate?.(object as T, context) ?? []
      const more = rules.validateUpdate?.(object as T, old as T, context)
      return more === undefined ? errors : [...errors, ...more]
    },
    warnings: (object, old) => rules.warnings?.(object as T, old as T | undefined) ?? [],
    nameProblems: rules.nameProblems ?? subdomainProblems,
    createsOnUpdate: rules.createsOnUpdate ?? false,
    updatesUnconditionally: rules.updatesUnconditionally ?? true,
    tracksGeneration: rules.tracksGeneration ?? false,
    generationFields: rules.generationFields ?? [],
    ...(rules.gracePeriod === undefined ? {} : { gracePeriod: rules.gracePeriod }),
    ...(rules.defaultPropagation === undefined ? {} : { defaultPropagation: rules.defaultPropagation }),
    ...(rules.afterWrite === undefined ? {} : { afterWrite: rules.afterWrite }),
  }
}

/** How a status write differs from the plain one, which keeps everything but `status` (and metadata) as it was. */
export interface StatusRules<T extends KubeObject> {
  /** Whether labels are kept too; a few kinds let a status write change them. Defaults to false. */
  readonly keepsLabels?: boolean
  readonly prepare?: (object: T, old: T, context: WriteContext) => void
  readonly validate?: (object: T, old: T, context: WriteContext) => FieldError[]
}

/** The strategy of `/status` for a kind whose main strategy is `main`. */
export function createStatusStrategy<T extends KubeObject>(
  main: Strategy,
  rules: StatusRules<T> = {},
): Strategy {
  return {
    ...main,
    prepareForUpdate(object, old, context) {
      for (const field of Object.keys(object)) if (!isStatusField(field)) keepField(object, old, field)
      for (const field of Object.keys(old)) if (!isStatusField(field)) keepField(object, old, field)
      if (rules.keepsLabels) keepField(object.metadata, old.metadata, 'labels')
      rules.prepare?.(object as T, old as T, context)
    },
    validateUpdate: (object, old, context) => rules.validate?.(object as T, old as T, context) ?? [],
    warnings: () => [],
    tracksGeneration: false,
  }
}

const isStatusField = (field: string) =>
  field === 'status' || field === 'metadata' || field === 'apiVersion' || field === 'kind'

/** Puts back what `old` has in `field`, or removes the field where `old` has none. */
export function keepField(object: object, old: object, field: string): void {
  const target = object as Record<string, unknown>
  const value = (old as Record<string, unknown>)[field]
  if (value === undefined) delete target[field]
  else target[field] = value
}
