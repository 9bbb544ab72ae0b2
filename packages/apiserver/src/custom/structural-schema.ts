import {
  builtinSchema,
  isRecord,
  type JSONSchemaProps,
  type Schema,
  type ValidationRule,
} from '@outrigger/kube'
import { compilePattern, type Pattern } from './cel/re2.ts'

/**
 * One node of the schema of a custom resource: the shape that all algorithms know, and beside it the checks that
 * only custom resources have.
 */
export interface StructuralSchema extends Schema {
  readonly properties?: Readonly<Record<string, StructuralSchema>>
  readonly values?: StructuralSchema
  readonly items?: StructuralSchema
  readonly checks: ValueChecks
  readonly rules: readonly ValidationRule[]
  /** Whether a rule sits here or anywhere below. */
  readonly hasRules: boolean
  /** Whether a default sits here or anywhere below. */
  readonly hasDefaults: boolean
}

/** JSON Schema's value validations, compiled. */
export interface ValueChecks {
  /** What `type` says, before int-or-string and the like; empty for none. */
  readonly type: string
  readonly format: string | undefined
  readonly isIntOrString: boolean
  readonly isNullable: boolean
  readonly enum: readonly unknown[] | undefined
  readonly pattern: { readonly source: string; readonly compiled: Pattern } | undefined
  readonly minimum: number | undefined
  readonly maximum: number | undefined
  readonly isMinimumExclusive: boolean
  readonly isMaximumExclusive: boolean
  readonly multipleOf: number | undefined
  readonly minLength: number | undefined
  readonly maxLength: number | undefined
  readonly minItems: number | undefined
  readonly maxItems: number | undefined
  readonly minProperties: number | undefined
  readonly maxProperties: number | undefined
  readonly required: readonly string[]
  readonly allOf: readonly NestedChecks[]
  readonly anyOf: readonly NestedChecks[]
  readonly oneOf: readonly NestedChecks[]
  readonly not: NestedChecks | undefined
}

/** Validations inside allOf, anyOf, oneOf and not: checks for the value and for what it contains. */
export interface NestedChecks {
  readonly checks: ValueChecks
  readonly properties: Readonly<Record<string, NestedChecks>>
  readonly values: NestedChecks | undefined
  readonly items: NestedChecks | undefined
}

const text: StructuralSchema = leaf('string')

/**
 * The schema of one version of a definition, as a tree. apiVersion, kind and metadata of the root are
 * added, as they are implied. @throws Error when a pattern does not compile
 */
export function createStructuralSchema(root: JSONSchemaProps | undefined): StructuralSchema {
  const node = nodeOf(root ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true })
  const metadata = builtinSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta')
  return withObjectFields(node, {
    ...leaf('object'),
    properties: metadata.properties as Readonly<Record<string, StructuralSchema>>,
    definition: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
    ...(node.properties?.['metadata'] === undefined
      ? {}
      : { checks: node.properties['metadata'].checks, rules: node.properties['metadata'].rules }),
  })
}

function withObjectFields(node: StructuralSchema, metadata: StructuralSchema): StructuralSchema {
  return {
    ...node,
    properties: { ...node.properties, apiVersion: text, kind: text, metadata },
  }
}

function nodeOf(raw: JSONSchemaProps): StructuralSchema {
  const properties =
    raw.properties === undefined
      ? undefined
      : (Object.setPrototypeOf(
          Object.fromEntries(Object.entries(raw.properties).map(([name, field]) => [name, nodeOf(field)])),
          null,
        ) as Readonly<Record<string, StructuralSchema>>)
  const values = isRecord(raw.additionalProperties)
    ? nodeOf(raw.additionalProperties as JSONSchemaProps)
    : raw.additionalProperties === true
      ? anything
      : undefined
  const items = isRecord(raw.items) ? nodeOf(raw.items as JSONSchemaProps) : undefined
  const rules = raw['x-kubernetes-validations'] ?? []
  const children = [
    ...Object.values(properties ?? {}),
    ...(values ? [values] : []),
    ...(items ? [items] : []),
  ]
  const isIntOrString = raw['x-kubernetes-int-or-string'] === true
  const listType = raw['x-kubernetes-list-type']
  const mapType = raw['x-kubernetes-map-type']
  const node: StructuralSchema = {
    type: isIntOrString ? 'int-or-string' : typeOf(raw.type),
    ...(raw.format === undefined ? {} : { format: raw.format }),
    ...(properties === undefined ? {} : { properties }),
    ...(raw.required === undefined ? {} : { required: raw.required }),
    ...(values === undefined ? {} : { values }),
    ...(items === undefined ? {} : { items }),
    ...(raw['x-kubernetes-preserve-unknown-fields'] === true ? { preservesUnknown: true } : {}),
    ...(raw['x-kubernetes-embedded-resource'] === true ? { isEmbeddedResource: true } : {}),
    ...(raw.nullable === true ? { nullable: true } : {}),
    ...(raw.default === undefined ? {} : { default: raw.default }),
    ...(raw.enum === undefined ? {} : { enum: raw.enum }),
    ...(listType === undefined ? {} : { listType: listType as 'atomic' | 'set' | 'map' }),
    ...(raw['x-kubernetes-list-map-keys'] === undefined
      ? {}
      : { listMapKeys: raw['x-kubernetes-list-map-keys'] }),
    ...(mapType === undefined ? {} : { mapType: mapType as 'atomic' | 'granular' }),
    checks: checksOf(raw),
    rules,
    hasRules: rules.length > 0 || children.some((child) => child.hasRules),
    hasDefaults: raw.default !== undefined || children.some((child) => child.hasDefaults),
  }
  return node.isEmbeddedResource === true && properties?.['metadata'] === undefined
    ? withObjectFields(node, { ...leaf('object'), preservesUnknown: true })
    : node
}

function typeOf(type: string | undefined): Schema['type'] {
  switch (type) {
    case 'object':
    case 'array':
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return type
    default:
      return 'any'
  }
}

function checksOf(raw: JSONSchemaProps): ValueChecks {
  return {
    type: raw.type ?? '',
    format: raw.format,
    isIntOrString: raw['x-kubernetes-int-or-string'] === true,
    isNullable: raw.nullable === true,
    enum: raw.enum,
    pattern: raw.pattern ? { source: raw.pattern, compiled: compilePattern(raw.pattern) } : undefined,
    minimum: raw.minimum,
    maximum: raw.maximum,
    isMinimumExclusive: raw.exclusiveMinimum === true,
    isMaximumExclusive: raw.exclusiveMaximum === true,
    multipleOf: raw.multipleOf,
    minLength: raw.minLength,
    maxLength: raw.maxLength,
    minItems: raw.minItems,
    maxItems: raw.maxItems,
    minProperties: raw.minProperties,
    maxProperties: raw.maxProperties,
    required: raw.required ?? [],
    allOf: (raw.allOf ?? []).map(nestedOf),
    anyOf: (raw.anyOf ?? []).map(nestedOf),
    oneOf: (raw.oneOf ?? []).map(nestedOf),
    not: raw.not === undefined ? undefined : nestedOf(raw.not),
  }
}

function nestedOf(raw: JSONSchemaProps): NestedChecks {
  return {
    checks: checksOf(raw),
    properties: Object.fromEntries(
      Object.entries(raw.properties ?? {}).map(([name, field]) => [name, nestedOf(field)]),
    ),
    values: isRecord(raw.additionalProperties)
      ? nestedOf(raw.additionalProperties as JSONSchemaProps)
      : undefined,
    items: isRecord(raw.items) ? nestedOf(raw.items as JSONSchemaProps) : undefined,
  }
}

function leaf(type: Schema['type']): StructuralSchema {
  return {
    type,
    checks: checksOf({ type }),
    rules: [],
    hasRules: false,
    hasDefaults: false,
  }
}

const anything: StructuralSchema = { ...leaf('any'), checks: checksOf({}), preservesUnknown: true }
