import {
  columnTable,
  type DiscoveryResource,
  type DiscoverySubresource,
  discoveryTable,
  type KubeObject,
  schemaOfKind,
} from '@outrigger/kube'
import type { Column, Resource, Subresource, Verb } from '../registry/resource.ts'
import { appsKinds } from './apps/apps-kinds.ts'
import { batchKinds } from './batch/batch-kinds.ts'
import { ageCell, type Cells, nameCell } from './cells/cell.ts'
import { clusterCells } from './cells/cluster-cells.ts'
import { columnDescription } from './cells/column-descriptions.ts'
import { rareCells } from './cells/rare-cells.ts'
import { workloadCells } from './cells/workload-cells.ts'
import { withCoreHabits } from './core/core-habits.ts'
import { coreKinds } from './core/core-kinds.ts'
import type { KindsEnvironment } from './environment.ts'
import type { KindBuilders, KindDefinition } from './kind-definition.ts'
import { otherKinds } from './other/other-kinds.ts'
import { podKinds } from './pods/pod-kinds.ts'
import { createScale } from './scale.ts'
import { createStatusStrategy, createStrategy } from './strategy.ts'

const builders: KindBuilders = { ...coreKinds, ...podKinds, ...appsKinds, ...batchKinds, ...otherKinds }
const cells: Readonly<Record<string, Cells>> = { ...rareCells, ...clusterCells, ...workloadCells }

/** Groups other parts of the server bring along: reviews (authentication) and definitions (custom resources). */
const elsewhere = new Set(['authentication.k8s.io', 'authorization.k8s.io', 'apiextensions.k8s.io'])

/**
 * All built-in resources of Kubernetes 1.36 except reviews and custom resource definitions, in discovery
 * order. The answer is made for one server: strategies draw IPs, random names and other objects from
 * `environment`.
 */
export function builtInResources(environment: KindsEnvironment): readonly Resource[] {
  const found: Resource[] = []
  for (const document of [discoveryTable.core, discoveryTable.groups])
    for (const { metadata, versions } of document.items) {
      const group = metadata.name ?? ''
      if (elsewhere.has(group)) continue
      for (const { version, resources } of versions)
        for (const entry of resources) {
          const resource = resourceOf(group, version, entry, environment)
          if (resource !== undefined) found.push(withCoreHabits(resource))
        }
    }
  return found
}

function resourceOf(
  group: string,
  version: string,
  entry: DiscoveryResource,
  environment: KindsEnvironment,
): Resource | undefined {
  const { kind } = entry.responseKind
  const schema = schemaOfKind(group, version, kind)
  if (schema === undefined) return undefined
  const key = `${group === '' ? 'core' : group}/${version}/${entry.resource}`
  const definition = builders[key]?.(schema, environment) ?? { strategy: createStrategy({ schema }) }
  const selectable = Object.entries(definition.selectable ?? {})
  return {
    group,
    version,
    plural: entry.resource,
    singular: entry.singularResource,
    kind,
    listKind: `${kind}List`,
    shortNames: entry.shortNames ?? [],
    categories: entry.categories ?? [],
    namespaced: entry.scope === 'Namespaced',
    verbs: entry.verbs as readonly Verb[],
    isCustom: false,
    schema,
    strategy: definition.strategy,
    columns: columnsOf(key),
    selectableFields: (object) => valuesOf(selectable, object),
    selectableFieldNames: selectable.map(([field]) => field),
    subresources: subresourcesOf(group, version, kind, entry, definition, environment),
    storage: definition.storage ?? { group, resource: entry.resource, version },
    ...(definition.virtual === undefined ? {} : { virtual: definition.virtual }),
    ...(definition.deprecationWarning === undefined
      ? {}
      : { deprecationWarning: definition.deprecationWarning }),
  }
}

function valuesOf(
  selectable: readonly (readonly [string, (object: KubeObject) => string])[],
  object: KubeObject,
): Readonly<Record<string, string>> {
  const values: Record<string, string> = {}
  for (const [field, read] of selectable) values[field] = read(object)
  return values
}

function columnsOf(key: string): readonly Column[] {
  const own = cells[key]
  return (columnTable[key] ?? []).map((column, index) => ({
    name: column.name,
    type: column.type as Column['type'],
    format: column.format,
    description: columnDescription(key, column.name),
    priority: column.priority,
    cell: own?.[index] ?? (column.name === 'Name' ? nameCell : column.name === 'Age' ? ageCell : () => ''),
  }))
}

function subresourcesOf(
  group: string,
  version: string,
  kind: string,
  entry: DiscoveryResource,
  definition: KindDefinition,
  environment: KindsEnvironment,
): Readonly<Record<string, Subresource>> {
  const found: Record<string, Subresource> = {}
  for (const listed of entry.subresources ?? []) {
    const own = definition.subresources?.[listed.subresource]
    const made = own ?? standardSubresource(group, version, kind, listed, definition)
    if (made !== undefined) found[listed.subresource] = made
  }
  if (group === '' && entry.resource === 'serviceaccounts' && environment.tokenRequest !== undefined)
    found.token = environment.tokenRequest
  return found
}

type ConnectVerb = Extract<Subresource, { type: 'connect' }>['verbs'][number]
type ViewVerb = Extract<Subresource, { type: 'view' }>['verbs'][number]

function standardSubresource(
  group: string,
  version: string,
  kind: string,
  listed: DiscoverySubresource,
  definition: KindDefinition,
): Subresource | undefined {
  const name = listed.subresource
  if (name === 'status')
    return {
      type: 'view',
      verbs: listed.verbs as readonly ViewVerb[],
      strategy: definition.status ?? createStatusStrategy(definition.strategy),
    }
  if (name === 'scale') return createScale(group, version, kind)
  if (!connects.has(name)) return undefined
  return {
    type: 'connect',
    verbs: listed.verbs as readonly ConnectVerb[],
    optionsKind: listed.responseKind?.kind ?? kind,
    ...(name === 'proxy' ? { takesPath: true } : {}),
  }
}

const connects = new Set(['log', 'exec', 'attach', 'portforward', 'proxy'])
