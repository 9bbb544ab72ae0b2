import { definitionNameOfKind, type GroupVersionKind, rawDefinition, type Schema } from '@outrigger/kube'
import type { Resource } from '../registry/resource.ts'

/** Schemas by name, as an OpenAPI document lists them. */
export type Definitions = Record<string, unknown>

/** The schema of a custom resource as its author wrote it, with descriptions; undefined if there is none. */
export type WrittenSchema = (resource: Resource) => Readonly<Record<string, unknown>> | undefined

const referencePrefix = '#/definitions/'
const metaPrefix = 'io.k8s.apimachinery.pkg.apis.meta.v1.'
const alwaysThere = ['ObjectMeta', 'ListMeta', 'DeleteOptions', 'Status', 'Patch', 'WatchEvent'].map(
  (name) => metaPrefix + name,
)

/** What a definition name is for clients: `io.k8s.api.core.v1.Pod`, `com.example.v1.Widget`. */
export function definitionNameOf(resource: GroupVersionKind): string {
  const known = definitionNameOfKind(resource.group, resource.version, resource.kind)
  if (known !== undefined) return known
  return `${resource.group.split('.').reverse().join('.')}.${resource.version}.${resource.kind}`
}

/** The schemas of these resources and of everything they refer to. References get `prefix`. */
export function definitionsFor(
  resources: readonly Resource[],
  prefix: string,
  writtenSchema: WrittenSchema,
): Definitions {
  const found: Definitions = {}
  for (const name of alwaysThere) addBuiltin(found, name, prefix)
  for (const resource of resources) {
    if (resource.isCustom) addCustom(found, resource, prefix, writtenSchema)
    else {
      for (const kind of kindsOf(resource)) addBuiltin(found, definitionNameOf(kind), prefix)
    }
  }
  return found
}

function kindsOf(resource: Resource): GroupVersionKind[] {
  const { group, version, kind, listKind } = resource
  const others = Object.values(resource.subresources).flatMap((subresource) =>
    subresource.type === 'projection' || subresource.type === 'action'
      ? [{ group: subresource.group, version: subresource.version, kind: subresource.kind }]
      : [],
  )
  return [{ group, version, kind }, { group, version, kind: listKind }, ...others]
}

/** Either-or values, which the second version of OpenAPI cannot express; the third calls them by their names. */
const eitherOr: Readonly<Record<string, object>> = {
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': {
    format: 'int-or-string',
    oneOf: [{ type: 'integer' }, { type: 'string' }],
  },
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { oneOf: [{ type: 'string' }, { type: 'number' }] },
}

function addBuiltin(found: Definitions, name: string, prefix: string): void {
  if (name in found) return
  const raw = (prefix === referencePrefix ? undefined : eitherOr[name]) ?? rawDefinition(name)
  if (raw === undefined) return
  // Entered first: definitions refer to themselves.
  found[name] = {}
  found[name] = withReferences(raw, (reference) => {
    addBuiltin(found, reference, prefix)
    return prefix + reference
  })
}

function withReferences(value: object, refer: (name: string) => string): unknown {
  const walk = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(walk)
    if (typeof node !== 'object' || node === null) return node
    const copy: Record<string, unknown> = {}
    for (const [key, child] of Object.entries(node)) {
      copy[key] =
        key === '$ref' && typeof child === 'string' && child.startsWith(referencePrefix)
          ? refer(child.slice(referencePrefix.length))
          : walk(child)
    }
    return copy
  }
  return walk(value)
}

function addCustom(
  found: Definitions,
  resource: Resource,
  prefix: string,
  writtenSchema: WrittenSchema,
): void {
  const { group, version, kind, listKind } = resource
  const name = definitionNameOf(resource)
  const own = writtenSchema(resource) ?? schemaDocument(resource.schema, 0)
  const properties = (own['properties'] ?? {}) as Record<string, unknown>
  found[name] = {
    ...own,
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      ...properties,
      metadata: { $ref: `${prefix}${metaPrefix}ObjectMeta` },
    },
    'x-kubernetes-group-version-kind': [{ group, version, kind }],
  }
  found[definitionNameOf({ group, version, kind: listKind })] = {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      items: { type: 'array', items: { $ref: prefix + name } },
      kind: { type: 'string' },
      metadata: { $ref: `${prefix}${metaPrefix}ListMeta` },
    },
    'x-kubernetes-group-version-kind': [{ group, version, kind: listKind }],
  }
}

/** Schemas of custom resources are trees, but nobody should be able to exhaust the stack with one. */
const deepest = 64

function schemaDocument(schema: Schema, depth: number): Record<string, unknown> {
  if (depth > deepest) return {}
  const below = (child: Schema) => schemaDocument(child, depth + 1)
  return {
    ...typeOf(schema),
    ...(schema.format === undefined || schema.type === 'int-or-string' ? {} : { format: schema.format }),
    ...(schema.nullable === true ? { nullable: true } : {}),
    ...(schema.enum === undefined ? {} : { enum: schema.enum }),
    ...(schema.required === undefined ? {} : { required: schema.required }),
    ...(schema.properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(schema.properties).map(([field, child]) => [field, below(child)]),
          ),
        }),
    ...(schema.values === undefined ? {} : { additionalProperties: below(schema.values) }),
    ...(schema.items === undefined ? {} : { items: below(schema.items) }),
    ...(schema.preservesUnknown === true ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    ...(schema.isEmbeddedResource === true ? { 'x-kubernetes-embedded-resource': true } : {}),
    ...(schema.listType === undefined ? {} : { 'x-kubernetes-list-type': schema.listType }),
    ...(schema.listMapKeys === undefined ? {} : { 'x-kubernetes-list-map-keys': schema.listMapKeys }),
    ...(schema.mapType === undefined ? {} : { 'x-kubernetes-map-type': schema.mapType }),
  }
}

function typeOf(schema: Schema): Record<string, unknown> {
  if (schema.type === 'int-or-string') return { 'x-kubernetes-int-or-string': true }
  return schema.type === 'any' ? {} : { type: schema.type }
}
