import { deepEqual } from '../deep-equal.ts'
import type { ManagedFieldsEntry } from '../generated/kinds.ts'
import type { KubeObject } from '../object.ts'
import { isRecord } from '../record.ts'
import type { Schema } from '../schema.ts'
import { type ApplyProblem, fieldsOfConfiguration } from './applied-fields.ts'
import { compareObjects } from './compare.ts'
import {
  differenceOf,
  emptyFieldSet,
  type FieldPath,
  type FieldSet,
  formatFieldPath,
  intersectionOf,
  isEmptyFieldSet,
  pathsOf,
  recursiveDifferenceOf,
  unionOf,
} from './field-set.ts'
import { formatManagers, identityOf, type Manager, parseManagers, withoutEmpty } from './managed-fields.ts'
import { mergeValues } from './merge-values.ts'
import { removeFields, withDeclaredParents } from './remove-fields.ts'
import { dispossess, updateManagers } from './update-managers.ts'

/** A server-side apply. */
export interface ApplyRequest {
  /** The stored object in the version of the request; undefined when the apply creates. */
  readonly live: KubeObject | undefined
  /** `metadata.managedFields` of the stored object. */
  readonly managers: readonly ManagedFieldsEntry[] | undefined
  /** What the applier wants, whole, without defaults filled in. */
  readonly config: KubeObject
  readonly manager: string
  /** Takes conflicting fields from their owners. */
  readonly force: boolean
  readonly schema: Schema
  readonly apiVersion: string
  /** RFC 3339, whole seconds. */
  readonly time: string
  /** Empty for the resource itself. */
  readonly subresource: string
  /** Paths this write cannot change (`f:status` on the main resource); they are not owned by it. */
  readonly ignored?: FieldSet
}

export type ApplyOutcome =
  | {
      readonly type: 'applied'
      /** The merged object, without managedFields. Shares parts with `live` and `config`: copy before changing. */
      readonly object: KubeObject
      readonly managedFields: ManagedFieldsEntry[]
      /** False when the object is as it was before, managedFields apart. */
      readonly changesObject: boolean
    }
  | { readonly type: 'conflicts'; readonly conflicts: readonly ApplyConflict[] }
  /** The configuration does not fit the schema. */
  | { readonly type: 'refused'; readonly problems: readonly ApplyProblem[] }

/** One field that another manager owns with another value. */
export interface ApplyConflict {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string
  readonly path: FieldPath
  /** The path as text: `.data.x`. */
  readonly field: string
  /** `conflict with "kubectl" using v1`, the text of the cause. */
  readonly message: string
}

const beforeFirstApply = 'before-first-apply'

/**
 * Merges a configuration into the stored object as the real server does: the applier owns exactly what its
 * configuration names; what it named last time and nobody else owns is removed.
 */
export function applyConfiguration(request: ApplyRequest): ApplyOutcome {
  const { schema } = request
  const live = withoutManagedFields(request.live)
  const { fields, problems } = fieldsOfConfiguration(asFields(request.config), schema)
  if (problems.length > 0) return { type: 'refused', problems }
  const known = ownersBefore(request, live)
  const wanted = request.ignored === undefined ? fields : recursiveDifferenceOf(fields, request.ignored)
  const owner: Manager = { ...identity(request), time: undefined, fields: wanted }
  const me = identityOf(owner)
  const last = known.find((manager) => identityOf(manager) === me)
  const others = known.filter((manager) => identityOf(manager) !== me)

  const config =
    request.ignored === undefined ? request.config : removeFields(request.config, request.ignored, schema)
  const merged = mergeValues(live, config, schema)
  const object = prune(merged, last?.fields ?? emptyFieldSet, [owner, ...others], schema) as KubeObject
  const comparison = compareObjects(live === undefined ? {} : asFields(live), asFields(object), schema)
  const conflicts = conflictsOf(others, comparison.changed)
  const forced = request.force || conflicts.length === 0 || isKubectlTakeover(request, conflicts)
  if (!forced) return { type: 'conflicts', conflicts }

  const changesObject = live === undefined || !deepEqual(live, object)
  const mine: Manager = {
    ...owner,
    fields: differenceOf(wanted, unowned),
    // A write that changes nothing keeps its time, or has none if it is the first of its manager.
    time: changesObject ? request.time : last?.time,
  }
  const rest = dispossess(others, comparison.changed, comparison.removed)
  const managedFields = formatManagers(withoutEmpty([mine, ...rest]))
  return { type: 'applied', object, managedFields, changesObject }
}

const leaf: FieldSet = {}

/** Fields the server strips from an applier's set. */
const unowned: FieldSet = {
  'f:apiVersion': leaf,
  'f:kind': leaf,
  'f:metadata': {
    '.': leaf,
    'f:name': leaf,
    'f:namespace': leaf,
    'f:creationTimestamp': leaf,
    'f:selfLink': leaf,
    'f:uid': leaf,
    'f:clusterName': leaf,
    'f:generation': leaf,
    'f:managedFields': leaf,
    'f:resourceVersion': leaf,
  },
}

function asFields(object: KubeObject): Record<string, unknown> {
  return object as unknown as Record<string, unknown>
}

function identity(request: ApplyRequest) {
  return {
    name: request.manager,
    operation: 'Apply',
    apiVersion: request.apiVersion,
    subresource: request.subresource,
  } as const
}

function withoutManagedFields(object: KubeObject | undefined): KubeObject | undefined {
  if (object?.metadata.managedFields === undefined) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** Owners so far. An object nobody owns yet, though it is there, is owned by `before-first-apply`. */
function ownersBefore(request: ApplyRequest, live: KubeObject | undefined): readonly Manager[] {
  const known = parseManagers(request.managers) ?? []
  if (known.length > 0 || live === undefined) return known
  const entries = updateManagers({
    before: undefined,
    after: live,
    managers: [],
    manager: beforeFirstApply,
    apiVersion: request.apiVersion,
    time: request.time,
    subresource: '',
    schema: request.schema,
    ...(request.ignored === undefined ? {} : { ignored: request.ignored }),
  })
  return parseManagers(entries) ?? []
}

/** Removes what the applier owned last time and nobody, itself included, owns now. */
function prune(merged: unknown, last: FieldSet, managers: readonly Manager[], schema: Schema): unknown {
  if (isEmptyFieldSet(last)) return merged
  let owned = emptyFieldSet
  for (const manager of managers) owned = unionOf(owned, manager.fields)
  const gone = differenceOf(withDeclaredParents(last, schema), withDeclaredParents(owned, schema))
  return isEmptyFieldSet(gone) ? merged : removeFields(merged, gone, schema)
}

function conflictsOf(others: readonly Manager[], changed: FieldSet): ApplyConflict[] {
  const conflicts: ApplyConflict[] = []
  for (const manager of others) {
    for (const path of pathsOf(intersectionOf(manager.fields, changed))) {
      conflicts.push({
        manager: manager.name,
        operation: manager.operation,
        apiVersion: manager.apiVersion,
        subresource: manager.subresource,
        path,
        field: formatFieldPath(path),
        message: `conflict with ${describeManager(manager)}`,
      })
    }
  }
  return conflicts
}

function describeManager(manager: Manager): string {
  const name = JSON.stringify(manager.name)
  const subresource =
    manager.subresource === '' ? '' : ` with subresource ${JSON.stringify(manager.subresource)}`
  return `${name}${subresource}${manager.operation === 'Update' ? ` using ${manager.apiVersion}` : ''}`
}

/** `Apply failed with 1 conflict: conflict with "kubectl" using v1: .data.x`, the message of the answer. */
export function formatConflicts(conflicts: readonly ApplyConflict[]): string {
  const only = conflicts[0]
  if (conflicts.length === 1 && only !== undefined)
    return `Apply failed with 1 conflict: ${only.message}: ${only.field}`
  const byManager = new Map<string, string[]>()
  for (const { message, field } of conflicts) {
    const title = message.replace('conflict with', 'conflicts with')
    byManager.set(title, [...(byManager.get(title) ?? []), `- ${field}`])
  }
  const lines = [...byManager]
    .sort(([one], [two]) => (one < two ? -1 : 1))
    .flatMap(([title, fields]) => [`${title}:`, ...fields])
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/**
 * Whether `kubectl apply --server-side` takes over from its client-side past: all conflicts are over fields
 * that the last client-side apply wrote, with the values it wrote.
 */
function isKubectlTakeover(request: ApplyRequest, conflicts: readonly ApplyConflict[]): boolean {
  const text = request.live?.metadata.annotations?.[lastApplied]
  if (request.manager !== 'kubectl' || request.live === undefined || text === undefined) return false
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch {
    return false
  }
  if (!isRecord(config) || config['apiVersion'] !== request.apiVersion) return false
  const { fields } = fieldsOfConfiguration(config, request.schema)
  const { changed } = compareObjects(config, asFields(request.live), request.schema)
  const allowed = differenceOf(fields, changed)
  return conflicts.every(({ path }) => !isEmptyFieldSet(intersectionOf(allowed, pathSet(path))))
}

function pathSet(path: FieldPath): FieldSet {
  return path.reduceRight<FieldSet>((below, element) => ({ [element]: below }), leaf)
}
