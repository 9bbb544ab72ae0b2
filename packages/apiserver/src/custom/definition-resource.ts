import { formatTime } from '@outrigger/foundation'
import {
  type CustomResourceDefinition,
  type CustomResourceDefinitionCondition,
  isRecord,
  type JSONSchemaProps,
  type KubeObject,
  type Schema,
  schemaOfKind,
} from '@outrigger/kube'
import { createdCell, nameCell } from '../kinds/cells/cell.ts'
import { columnDescription } from '../kinds/cells/column-descriptions.ts'
import { subdomainProblems } from '../kinds/name-rules.ts'
import type { Column, Resource, Strategy } from '../registry/resource.ts'
import { definitionProblems, definitionUpdateProblems } from './definition-problems.ts'
import { isKnownFormat } from './formats.ts'

export const definitionsGroup = 'apiextensions.k8s.io'
/** Keeps a definition until its instances are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io'

/** The resource `customresourcedefinitions` itself. */
export function createDefinitionResource(): Resource {
  const schema = schemaOfKind(definitionsGroup, 'v1', 'CustomResourceDefinition') as Schema
  return {
    group: definitionsGroup,
    version: 'v1',
    plural: 'customresourcedefinitions',
    singular: 'customresourcedefinition',
    kind: 'CustomResourceDefinition',
    listKind: 'CustomResourceDefinitionList',
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    namespaced: false,
    verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
    isCustom: false,
    schema,
    strategy: mainStrategy,
    columns: [column('Name', 'string', 'name', nameCell), column('Created At', 'date', '', createdCell)],
    selectableFields: () => ({}),
    selectableFieldNames: [],
    subresources: {
      status: { type: 'view', verbs: ['get', 'patch', 'update'], strategy: statusStrategy },
    },
    storage: { group: definitionsGroup, resource: 'customresourcedefinitions', version: 'v1' },
  }
}

function column(name: string, type: Column['type'], format: string, cell: Column['cell']): Column {
  const description = columnDescription(`${definitionsGroup}/v1/customresourcedefinitions`, name)
  return { name, type, format, description, priority: 0, cell }
}

const definitionOf = (object: KubeObject) => object as CustomResourceDefinition

const mainStrategy: Strategy = {
  applyDefaults: (object) => applyDefinitionDefaults(definitionOf(object)),
  prepareForCreate(object) {
    const definition = definitionOf(object)
    const storage = (definition.spec.versions ?? []).find((version) => version.storage)
    definition.status = emptyStatus(storage === undefined ? [] : [storage.name])
  },
  validateCreate: (object) => definitionProblems(definitionOf(object)),
  prepareForUpdate(object, old) {
    const definition = definitionOf(object)
    const before = definitionOf(old)
    definition.status = structuredClone(before.status ?? emptyStatus([]))
    const storage = (definition.spec.versions ?? []).find((version) => version.storage)?.name
    const stored = definition.status.storedVersions ?? []
    if (storage !== undefined && !stored.includes(storage))
      definition.status.storedVersions = [...stored, storage]
  },
  validateUpdate: (object, old) => [
    ...definitionProblems(definitionOf(object)),
    ...definitionUpdateProblems(definitionOf(object), definitionOf(old)),
  ],
  warnings: (object) => formatWarnings(definitionOf(object)),
  nameProblems: subdomainProblems,
  createsOnUpdate: false,
  updatesUnconditionally: false,
  tracksGeneration: true,
  generationFields: ['spec'],
  prepareForDelete(object, { now }) {
    const definition = definitionOf(object)
    const { metadata } = definition
    if (!metadata.finalizers?.includes(cleanupFinalizer))
      metadata.finalizers = [...(metadata.finalizers ?? []), cleanupFinalizer]
    // Definitions are deleted by a path of their own, which knows neither of these.
    delete metadata.deletionGracePeriodSeconds
    if (metadata.generation !== undefined && metadata.generation > 1) metadata.generation--
    definition.status = withCondition(
      definition.status,
      {
        type: 'Terminating',
        status: 'True',
        reason: 'InstanceDeletionPending',
        message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
      },
      now,
    )
  },
}

const statusStrategy: Strategy = {
  ...mainStrategy,
  prepareForUpdate(object, old) {
    definitionOf(object).spec = definitionOf(old).spec
  },
  validateUpdate: () => [],
  warnings: () => [],
  tracksGeneration: false,
}

type Status = NonNullable<CustomResourceDefinition['status']>

function emptyStatus(storedVersions: string[]): Status {
  // Kubernetes writes null here until its controller has looked at the definition.
  return { conditions: null, acceptedNames: { plural: '', kind: '' }, storedVersions } as unknown as Status
}

/** The status with one condition set; its time moves only when the condition's status does. */
export function withCondition(
  status: Status | undefined,
  condition: Omit<CustomResourceDefinitionCondition, 'lastTransitionTime'>,
  now: number,
): Status {
  const conditions = status?.conditions ?? []
  const before = conditions.find(({ type }) => type === condition.type)
  const next: CustomResourceDefinitionCondition = {
    type: condition.type,
    status: condition.status,
    lastTransitionTime:
      before?.status === condition.status && before.lastTransitionTime !== undefined
        ? before.lastTransitionTime
        : formatTime(now),
    ...(condition.reason === undefined ? {} : { reason: condition.reason }),
    ...(condition.message === undefined ? {} : { message: condition.message }),
  }
  return {
    ...status,
    conditions:
      before === undefined
        ? [...conditions, next]
        : conditions.map((other) => (other.type === condition.type ? next : other)),
  }
}

function applyDefinitionDefaults(definition: CustomResourceDefinition): void {
  const { spec } = definition
  if (!isRecord(spec)) {
    definition.spec = { group: '', names: { plural: '', kind: '' }, scope: '', versions: [] }
    return
  }
  spec.names ??= { plural: '', kind: '' }
  if (spec.names.kind) {
    if (!spec.names.singular) spec.names.singular = spec.names.kind.toLowerCase()
    if (!spec.names.listKind) spec.names.listKind = `${spec.names.kind}List`
  }
  spec.conversion ??= { strategy: 'None' }
  const service = spec.conversion.webhook?.clientConfig?.service
  if (service !== undefined && service.port === undefined) service.port = 443
  if (spec.preserveUnknownFields === false) delete spec.preserveUnknownFields
  if (spec.names.categories?.length === 0) delete spec.names.categories
  if (spec.names.shortNames?.length === 0) delete spec.names.shortNames
  for (const version of spec.versions ?? []) {
    version.served ??= false
    version.storage ??= false
  }
}

function formatWarnings({ spec }: CustomResourceDefinition): readonly string[] {
  const unknown = new Set<string>()
  for (const version of spec.versions ?? []) collectFormats(version.schema?.openAPIV3Schema, unknown)
  return [...unknown].map((format) => `unrecognized format ${JSON.stringify(format)}`)
}

function collectFormats(schema: JSONSchemaProps | undefined, unknown: Set<string>): void {
  if (schema === undefined || !isRecord(schema)) return
  const { format } = schema as JSONSchemaProps
  if (format && !isKnownFormat(format)) unknown.add(format)
  for (const child of Object.values(schema.properties ?? {})) collectFormats(child, unknown)
  if (isRecord(schema.items)) collectFormats(schema.items as JSONSchemaProps, unknown)
  if (isRecord(schema.additionalProperties))
    collectFormats(schema.additionalProperties as JSONSchemaProps, unknown)
}
