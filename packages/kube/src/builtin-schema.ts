import columnsDocument from '../data/kubernetes-1.36-columns.json' with { type: 'json' }
import definitionsDocument from '../data/kubernetes-1.36-definitions.json' with { type: 'json' }
import discoveryDocument from '../data/kubernetes-1.36-discovery.json' with { type: 'json' }
import { inherentFields } from './inherent-fields.ts'
import type { Schema } from './schema.ts'

/** One definition of the OpenAPI v2 document of Kubernetes 1.36, without prose. */
export interface RawDefinition {
  readonly type?: string
  readonly format?: string
  readonly $ref?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, RawDefinition>>
  readonly items?: RawDefinition
  readonly additionalProperties?: RawDefinition
  readonly enum?: readonly unknown[]
  readonly 'x-kubernetes-group-version-kind'?: readonly GroupVersionKind[]
  readonly 'x-kubernetes-list-type'?: string
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-map-type'?: string
  readonly 'x-kubernetes-patch-strategy'?: string
  readonly 'x-kubernetes-patch-merge-key'?: string
}

/** A kind in one version. `group` is empty for the core group. */
export interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

/** The aggregated discovery documents (`apidiscovery.k8s.io/v2`) of `/api` and `/apis`. */
export interface DiscoveryTable {
  readonly core: DiscoveryDocument
  readonly groups: DiscoveryDocument
}

export interface DiscoveryDocument {
  readonly kind: string
  readonly apiVersion: string
  readonly items: readonly DiscoveryGroup[]
}

export interface DiscoveryGroup {
  /** Without a name for the core group. */
  readonly metadata: { readonly name?: string }
  readonly versions: readonly DiscoveryVersion[]
}

export interface DiscoveryVersion {
  readonly version: string
  readonly freshness?: string
  readonly resources: readonly DiscoveryResource[]
}

export interface DiscoveryResource {
  readonly resource: string
  readonly responseKind: GroupVersionKind
  readonly scope: string
  readonly singularResource: string
  readonly verbs: readonly string[]
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  readonly subresources?: readonly DiscoverySubresource[]
}

export interface DiscoverySubresource {
  readonly subresource: string
  readonly responseKind?: GroupVersionKind
  readonly acceptedTypes?: readonly GroupVersionKind[]
  readonly verbs: readonly string[]
}

/** One printer column of a server-side Table. */
export interface TableColumn {
  readonly name: string
  readonly type: string
  readonly format: string
  readonly priority: number
}

/** What Kubernetes 1.36 serves: groups, versions, resources and their subresources. */
export const discoveryTable = discoveryDocument as unknown as DiscoveryTable

/** Printer columns by `group/version/resource`; the core group is called `core` here. */
export const columnTable: Readonly<Record<string, readonly TableColumn[]>> = columnsDocument.columns

const definitions = definitionsDocument.definitions as unknown as Readonly<Record<string, RawDefinition>>
const referencePrefix = '#/definitions/'
const timeFormats: Readonly<Record<string, string>> = {
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': 'date-time',
  'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': 'date-time',
}
const anything: Schema = { type: 'any', mapType: 'atomic' }

/** Definitions whose shape the document cannot express. */
const special: Readonly<Record<string, Schema>> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { type: 'string', format: 'quantity' },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { type: 'int-or-string', format: 'int-or-string' },
  'io.k8s.apimachinery.pkg.runtime.RawExtension': anything,
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1': {
    type: 'object',
    preservesUnknown: true,
    mapType: 'atomic',
  },
  'io.k8s.apimachinery.pkg.apis.meta.v1.Patch': anything,
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON': anything,
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray': anything,
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool': anything,
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray': anything,
}

/** Defaults of fields that are keys of map lists, by definition and property; the document leaves them out. */
const keyDefaults: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'io.k8s.api.core.v1.ContainerPort': { protocol: 'TCP' },
  'io.k8s.api.core.v1.ServicePort': { protocol: 'TCP' },
  'io.k8s.api.core.v1.LocalObjectReference': { name: '' },
}

const built = new Map<string, Schema>()
let kinds: Map<string, string> | undefined

/**
 * The schema of a built-in definition (`io.k8s.api.core.v1.Pod`), references resolved. Built on first use,
 * one node at a time, and kept; the same name always gives the same value, so recursive definitions work.
 *
 * @throws Error when there is no such definition.
 */
export function builtinSchema(definitionName: string): Schema {
  const known = built.get(definitionName)
  if (known !== undefined) return known
  const raw = definitions[definitionName]
  if (raw === undefined) throw new Error(`no definition ${definitionName} in Kubernetes 1.36`)
  const schema = special[definitionName] ?? nodeOfDefinition(definitionName, raw)
  built.set(definitionName, schema)
  return schema
}

/** The schema of a built-in kind, or undefined for a kind Kubernetes 1.36 does not have. */
export function schemaOfKind(group: string, version: string, kind: string): Schema | undefined {
  const name = definitionNameOfKind(group, version, kind)
  return name === undefined ? undefined : builtinSchema(name)
}

/** The definition behind a built-in kind, or undefined. */
export function definitionNameOfKind(group: string, version: string, kind: string): string | undefined {
  kinds ??= indexKinds()
  return kinds.get(`${group}/${version}/${kind}`)
}

/** Names of all built-in definitions, as the OpenAPI document has them, sorted. */
export function definitionNames(): readonly string[] {
  return Object.keys(definitions)
}

/** A built-in definition as the OpenAPI document has it, or undefined. */
export function rawDefinition(name: string): RawDefinition | undefined {
  return Object.hasOwn(definitions, name) ? definitions[name] : undefined
}

function indexKinds(): Map<string, string> {
  const index = new Map<string, string>()
  for (const [name, raw] of Object.entries(definitions)) {
    for (const { group, version, kind } of raw['x-kubernetes-group-version-kind'] ?? [])
      index.set(`${group}/${version}/${kind}`, name)
  }
  return index
}

/** A named definition. Its properties are resolved when first read, which is what lets it contain itself. */
function nodeOfDefinition(name: string, raw: RawDefinition): Schema {
  const format = timeFormats[name]
  if (format !== undefined) return { type: 'string', format, definition: name }
  let properties: Readonly<Record<string, Schema>> | undefined
  const { type, mapType, preservesUnknown } = nodeOf(raw)
  return {
    type,
    ...(mapType === undefined ? {} : { mapType }),
    ...(preservesUnknown === undefined ? {} : { preservesUnknown }),
    ...(raw.required === undefined ? {} : { required: raw.required }),
    definition: name,
    get properties() {
      properties ??= propertiesOf(name, raw)
      return properties
    },
  }
}

function propertiesOf(name: string, definition: RawDefinition): Readonly<Record<string, Schema>> {
  // Without a prototype, so that a field called "constructor" is not found.
  const nodes: Record<string, Schema> = Object.create(null)
  const defaults = keyDefaults[name]
  const inherent = inherentFields[name.slice(name.lastIndexOf('.api.') + 5)] ?? []
  const isKind = definition['x-kubernetes-group-version-kind'] !== undefined
  for (const [property, raw] of Object.entries(definition.properties ?? {})) {
    const marks: { default?: unknown; isInherent?: boolean } = {}
    if (defaults !== undefined && property in defaults) marks.default = defaults[property]
    if (
      definition.required?.includes(property) ||
      inherent.includes(property) ||
      (isKind && rootStructs.has(property) && raw.$ref !== undefined)
    )
      marks.isInherent = true
    const node = nodeOf(raw)
    nodes[property] = Object.keys(marks).length === 0 ? node : withMarks(node, marks)
  }
  return nodes
}

/** Fields that every kind keeps as a value. */
const rootStructs: ReadonlySet<string> = new Set(['metadata', 'spec', 'status'])

function nodeOf(raw: RawDefinition): Schema {
  const marks = marksOf(raw)
  if (raw.$ref !== undefined) {
    const target = builtinSchema(raw.$ref.slice(referencePrefix.length))
    return marks === undefined ? target : withMarks(target, marks)
  }
  switch (raw.type) {
    case 'array':
      return { type: 'array', items: nodeOf(raw.items ?? {}), ...marks }
    case 'object':
      return raw.additionalProperties === undefined
        ? { type: 'object', ...marks }
        : { type: 'object', values: nodeOf(raw.additionalProperties), ...marks }
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return {
        type: raw.type,
        ...(raw.format === undefined ? {} : { format: raw.format }),
        ...(raw.enum === undefined ? {} : { enum: raw.enum }),
        ...marks,
      }
    default:
      return anything
  }
}

/** The referenced node with the marks of the place that refers to it. Keeps the lazy properties lazy. */
function withMarks(target: Schema, marks: Partial<Schema>): Schema {
  return Object.defineProperties(
    {},
    {
      ...Object.getOwnPropertyDescriptors(target),
      ...Object.getOwnPropertyDescriptors(marks),
    },
  ) as Schema
}

function marksOf(raw: RawDefinition): Partial<Schema> | undefined {
  const listType = raw['x-kubernetes-list-type']
  const keys = raw['x-kubernetes-list-map-keys']
  const mapType = raw['x-kubernetes-map-type']
  const strategy = raw['x-kubernetes-patch-strategy']
  const mergeKey = raw['x-kubernetes-patch-merge-key']
  if (!(listType || keys || mapType || strategy || mergeKey)) return undefined
  return {
    ...(listType === undefined ? {} : { listType: listType as NonNullable<Schema['listType']> }),
    ...(keys === undefined ? {} : { listMapKeys: keys }),
    ...(mapType === undefined ? {} : { mapType: mapType as NonNullable<Schema['mapType']> }),
    ...(strategy === undefined ? {} : { patchStrategy: strategy.split(',') }),
    ...(mergeKey === undefined ? {} : { patchMergeKey: mergeKey }),
  }
}
