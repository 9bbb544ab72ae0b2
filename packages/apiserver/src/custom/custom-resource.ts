import { parseTime } from '@outrigger/foundation'
import {
  type CustomResourceColumnDefinition,
  type CustomResourceDefinition,
  type CustomResourceDefinitionVersion,
  type CustomResourceSubresourceScale,
  type FieldError,
  invalid,
  isRecord,
  type KubeObject,
  type Schema,
  schemaOfKind,
} from '@outrigger/kube'
import { ageCell, nameCell } from '../kinds/cells/cell.ts'
import { columnDescription } from '../kinds/cells/column-descriptions.ts'
import { ageSince } from '../kinds/human-duration.ts'
import type { Column, Resource, StorageIdentity, Subresource, Verb } from '../registry/resource.ts'
import { createCustomStatusStrategy, createCustomStrategy } from './custom-strategy.ts'
import { parseJsonPath, simpleFields } from './json-path.ts'
import { createStructuralSchema, type StructuralSchema } from './structural-schema.ts'
import { type Converter, createVersionConverter } from './version-converter.ts'

/** In the order in which discovery shows them for custom resources. */
const everyVerb: readonly Verb[] = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
]

/** The resources of a definition, one for each version that is served. */
export function createCustomResources(
  definition: CustomResourceDefinition,
  convert: Converter,
): readonly Resource[] {
  const { spec } = definition
  // Nothing new comes into a resource that is about to go.
  const verbs =
    definition.metadata.deletionTimestamp === undefined
      ? everyVerb
      : everyVerb.filter((verb) => verb !== 'create')
  const storage = spec.versions.find((version) => version.storage) ?? spec.versions[0]
  if (storage === undefined) return []
  const schemas = new Map(
    spec.versions.map(({ name, schema }) => [
      `${spec.group}/${name}`,
      createStructuralSchema(schema?.openAPIV3Schema),
    ]),
  )
  const identity: StorageIdentity = {
    group: spec.group,
    resource: spec.names.plural,
    version: storage.name,
    convert: createVersionConverter(schemas, convert),
  }
  return spec.versions
    .filter(({ served }) => served)
    .map((version) => {
      const schema = schemas.get(`${spec.group}/${version.name}`) as StructuralSchema
      return resourceOf(definition, version, schema, identity, verbs)
    })
}

function resourceOf(
  { spec }: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  schema: StructuralSchema,
  storage: StorageIdentity,
  verbs: readonly Verb[],
): Resource {
  const { names, group } = spec
  const selectable = (version.selectableFields ?? []).map(({ jsonPath }) => ({
    name: jsonPath.replace(/^\./, ''),
    fields: simpleFields(jsonPath) ?? [],
  }))
  return {
    group,
    version: version.name,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    kind: names.kind,
    listKind: names.listKind ?? `${names.kind}List`,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: spec.scope === 'Namespaced',
    verbs,
    isCustom: true,
    schema,
    strategy: createCustomStrategy(schema, version.subresources?.status !== undefined),
    columns: columnsOf(version.additionalPrinterColumns),
    selectableFields: (object) =>
      Object.fromEntries(selectable.map(({ name, fields }) => [name, textOf(readPath(object, fields))])),
    selectableFieldNames: selectable.map(({ name }) => name),
    subresources: subresourcesOf(version, schema),
    storage,
    ...(version.deprecated === true
      ? {
          deprecationWarning:
            version.deprecationWarning || `${group}/${version.name} ${names.kind} is deprecated`,
        }
      : {}),
  }
}

const textOf = (value: unknown): string => (value === undefined || value === null ? '' : String(value))

function subresourcesOf(
  { subresources }: CustomResourceDefinitionVersion,
  schema: StructuralSchema,
): Readonly<Record<string, Subresource>> {
  return {
    ...(subresources?.status === undefined
      ? {}
      : {
          status: {
            type: 'view' as const,
            verbs: ['get', 'patch', 'update'] as const,
            strategy: createCustomStatusStrategy(schema),
          },
        }),
    ...(subresources?.scale === undefined ? {} : { scale: scaleSubresource(subresources.scale) }),
  }
}

function scaleSubresource(scale: CustomResourceSubresourceScale): Subresource {
  const spec = simpleFields(scale.specReplicasPath) ?? []
  const status = simpleFields(scale.statusReplicasPath) ?? []
  const selector = scale.labelSelectorPath ? simpleFields(scale.labelSelectorPath) : undefined
  return {
    type: 'projection',
    group: 'autoscaling',
    version: 'v1',
    kind: 'Scale',
    schema: schemaOfKind('autoscaling', 'v1', 'Scale') as Schema,
    verbs: ['get', 'patch', 'update'],
    read(object) {
      const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
      const replicas = readPath(object, spec)
      const text = selector === undefined ? undefined : readPath(object, selector)
      return {
        kind: 'Scale',
        apiVersion: 'autoscaling/v1',
        metadata: {
          name,
          ...(namespace === undefined ? {} : { namespace }),
          ...(uid === undefined ? {} : { uid }),
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
          ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
        },
        spec: typeof replicas === 'number' && replicas !== 0 ? { replicas } : {},
        status: {
          replicas: numberOf(readPath(object, status)),
          ...(typeof text === 'string' && text !== '' ? { selector: text } : {}),
        },
      } as KubeObject
    },
    write: (object, projected) => writeReplicas(object, projected, spec),
  }
}

function writeReplicas(
  object: KubeObject,
  projected: KubeObject,
  path: readonly string[],
): readonly FieldError[] {
  const replicas = (projected as KubeObject & { spec?: { replicas?: number } }).spec?.replicas ?? 0
  if (replicas < 0) return [invalid('spec.replicas', replicas, 'must be greater than or equal to 0')]
  let current = object as unknown as Record<string, unknown>
  for (const name of path.slice(0, -1)) {
    const next = isRecord(current[name]) ? { ...current[name] } : {}
    current[name] = next
    current = next
  }
  current[path.at(-1) ?? 'replicas'] = replicas
  return []
}

const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0)

function readPath(object: unknown, path: readonly string[]): unknown {
  let current: unknown = object
  for (const name of path) {
    if (!isRecord(current) || !Object.hasOwn(current, name)) return undefined
    current = current[name]
  }
  return current
}

const everyObject = 'meta.k8s.io/v1/objects'

function columnsOf(own: readonly CustomResourceColumnDefinition[] | undefined): readonly Column[] {
  const name: Column = {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: columnDescription(everyObject, 'Name'),
    priority: 0,
    cell: nameCell,
  }
  if (own === undefined || own.length === 0)
    return [
      name,
      {
        name: 'Age',
        type: 'date',
        format: '',
        description: columnDescription(everyObject, 'Age'),
        priority: 0,
        cell: ageCell,
      },
    ]
  return [
    name,
    ...own.map((column): Column => {
      const path = parseJsonPath(column.jsonPath)
      const type = column.type as Column['type']
      return {
        name: column.name,
        type,
        format: column.format ?? '',
        description:
          column.description ?? `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
        priority: column.priority ?? 0,
        cell: (object, now) => cellOf(path.find(object), type, now),
      }
    }),
  ]
}

function cellOf(
  found: readonly unknown[],
  type: Column['type'],
  now: number,
): string | number | boolean | null {
  const [value] = found
  if (value === undefined || value === null) return null
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : JSON.stringify(value)
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      if (typeof value !== 'string') return null
      return Number.isNaN(parseTime(value)) ? '<invalid>' : ageSince(value, now)
  }
}
