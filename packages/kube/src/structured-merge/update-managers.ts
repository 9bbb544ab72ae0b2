import type { ManagedFieldsEntry } from '../generated/kinds.ts'
import type { KubeObject } from '../object.ts'
import type { Schema } from '../schema.ts'
import { compareObjects } from './compare.ts'
import {
  differenceOf,
  emptyFieldSet,
  type FieldSet,
  isEmptyFieldSet,
  recursiveDifferenceOf,
  unionOf,
} from './field-set.ts'
import {
  capUpdaters,
  formatManagers,
  identityOf,
  type Manager,
  parseManagers,
  resetsManagers,
} from './managed-fields.ts'

/** A write that is no apply: create, update, patch. */
export interface UpdateRequest {
  /** The stored object; undefined on create. */
  readonly before: KubeObject | undefined
  /** The object as it will be stored, defaulted; `metadata.managedFields` of it is not looked at. */
  readonly after: KubeObject
  /**
   * Owners so far: `metadata.managedFields` of the stored object, or of the request when the writer sent
   * some and no subresource is written. `[{}]` forgets all owners.
   */
  readonly managers: readonly ManagedFieldsEntry[] | undefined
  /** Field manager: the query parameter, or the first word of the User-Agent. */
  readonly manager: string
  readonly apiVersion: string
  /** RFC 3339, whole seconds. Left out for writes through `scale`, which note no time. */
  readonly time: string | undefined
  /** Empty for the resource itself. */
  readonly subresource: string
  readonly schema: Schema
  /** Paths this write cannot change (`f:status` on the main resource); they are not owned by it. */
  readonly ignored?: FieldSet
}

/**
 * The `metadata.managedFields` after a write that is no apply: the writer owns what it changed or added,
 * others lose that and what was removed. An object without owners stays without on updates, as it predates
 * ownership or was told to forget it. The time of the writer moves whenever it changes anything it can own.
 */
export function updateManagers(request: UpdateRequest): ManagedFieldsEntry[] {
  const { before, after, schema } = request
  const isReset = resetsManagers(request.managers)
  const known = isReset ? [] : managersBefore(request)
  if (before !== undefined && known.length === 0) return []
  const state = before === undefined ? {} : (before as unknown as Record<string, unknown>)
  const comparison = compareObjects(state, after as unknown as Record<string, unknown>, schema)
  const without = (set: FieldSet) =>
    request.ignored === undefined ? set : recursiveDifferenceOf(set, request.ignored)
  const owned = without(comparison.changed)
  const managers = dispossess(known, owned, without(comparison.removed))
  return formatManagers(capUpdaters(isEmptyFieldSet(owned) ? managers : withOwner(managers, owned, request)))
}

/** What was sent does not count when it is nothing or cannot be read; then what is stored does. */
function managersBefore({ managers, before }: UpdateRequest): readonly Manager[] {
  const given = parseManagers(managers)
  if (given !== undefined && given.length > 0) return given
  return parseManagers(before?.metadata.managedFields) ?? []
}

/** Managers without the paths someone else changed or removed, and only those that still own something. */
export function dispossess(managers: readonly Manager[], changed: FieldSet, removed: FieldSet): Manager[] {
  const result: Manager[] = []
  for (const manager of managers) {
    const fields = differenceOf(differenceOf(manager.fields, changed), removed)
    if (fields === manager.fields) result.push(manager)
    else if (!isEmptyFieldSet(fields)) result.push({ ...manager, fields })
  }
  return result
}

function withOwner(
  managers: readonly Manager[],
  owned: FieldSet,
  request: UpdateRequest,
): readonly Manager[] {
  const owner: Manager = {
    name: request.manager,
    operation: 'Update',
    apiVersion: request.apiVersion,
    subresource: request.subresource,
    time: request.time,
    fields: owned,
  }
  const identity = identityOf(owner)
  let previous: FieldSet = emptyFieldSet
  const others = managers.filter((manager) => {
    if (identityOf(manager) !== identity) return true
    previous = manager.fields
    return false
  })
  return [...others, { ...owner, fields: unionOf(owned, previous) }]
}
