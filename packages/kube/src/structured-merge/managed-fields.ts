import { deepEqual } from '../deep-equal.ts'
import type { ManagedFieldsEntry } from '../generated/kinds.ts'
import {
  emptyFieldSet,
  type FieldSet,
  type FieldSetDraft,
  isEmptyFieldSet,
  parseFieldSet,
  unionOf,
} from './field-set.ts'

/** One owner of fields, as `metadata.managedFields` lists it. */
export interface Manager {
  readonly name: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string
  /** RFC 3339, whole seconds. */
  readonly time: string | undefined
  readonly fields: FieldSet
}

/**
 * Who a manager is: an applier is one manager in all versions, an updater one for each.
 */
export function identityOf(
  manager: Pick<Manager, 'name' | 'operation' | 'apiVersion' | 'subresource'>,
): string {
  const version = manager.operation === 'Apply' ? '' : manager.apiVersion
  return `${manager.operation} ${version} ${manager.subresource} ${manager.name}`
}

/**
 * Reads `metadata.managedFields`. Returns undefined when an entry is none, in which case nothing of the list
 * counts.
 */
export function parseManagers(entries: readonly ManagedFieldsEntry[] | undefined): Manager[] | undefined {
  const managers: Manager[] = []
  for (const entry of entries ?? []) {
    const { operation } = entry
    if (operation !== 'Apply' && operation !== 'Update') return undefined
    if (entry.fieldsType !== undefined && entry.fieldsType !== 'FieldsV1') return undefined
    const fields = entry.fieldsV1 === undefined ? emptyFieldSet : trustedFieldSet(entry.fieldsV1)
    if (fields === undefined) return undefined
    managers.push({
      name: entry.manager ?? '',
      operation,
      apiVersion: entry.apiVersion ?? '',
      subresource: entry.subresource ?? '',
      time: entry.time,
      fields,
    })
  }
  return managers
}

/** Sets this room made itself; they need no second check. */
const made = new WeakSet<object>()

function trustedFieldSet(fields: Readonly<Record<string, unknown>>): FieldSet | undefined {
  return made.has(fields) ? (fields as FieldSetDraft) : parseFieldSet(fields)
}

/** The managers as `metadata.managedFields` has them, in the order of the real server. */
export function formatManagers(managers: readonly Manager[]): ManagedFieldsEntry[] {
  const sorted = managers.length < 2 ? managers : [...managers].sort(compareManagers)
  return sorted.map(formatManager)
}

function formatManager(manager: Manager): ManagedFieldsEntry {
  made.add(manager.fields)
  return {
    manager: manager.name,
    operation: manager.operation,
    apiVersion: manager.apiVersion,
    ...(manager.time === undefined ? {} : { time: manager.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: manager.fields as unknown as Record<string, unknown>,
    ...(manager.subresource === '' ? {} : { subresource: manager.subresource }),
  }
}

/** Appliers first, then by time, name, version, subresource. */
function compareManagers(one: Manager, two: Manager): number {
  return (
    compareTexts(one.operation, two.operation) ||
    compareTexts(one.time ?? '', two.time ?? '') ||
    compareTexts(one.name, two.name) ||
    compareTexts(one.apiVersion, two.apiVersion) ||
    compareTexts(one.subresource, two.subresource)
  )
}

function compareTexts(one: string, two: string): number {
  return one === two ? 0 : one < two ? -1 : 1
}

/** How many updaters an object remembers; the limit of the real server. */
const maxUpdaters = 10
const ancient = 'ancient-changes'

/** Folds the oldest updaters of each version into one called `ancient-changes` when there are too many. */
export function capUpdaters(managers: readonly Manager[]): readonly Manager[] {
  const updaters = managers.filter((manager) => manager.operation === 'Update')
  let excess = updaters.length - maxUpdaters
  if (excess <= 0) return managers
  const result = managers.filter((manager) => manager.operation !== 'Update')
  const buckets = new Map<string, Manager>()
  const kept: Manager[] = []
  for (const manager of [...updaters].sort(compareManagers)) {
    const bucket = buckets.get(manager.apiVersion)
    if (excess > 0 && manager.subresource === '') {
      if (bucket !== undefined) excess--
      const fields = bucket === undefined ? manager.fields : unionOf(bucket.fields, manager.fields)
      buckets.set(manager.apiVersion, { ...manager, name: ancient, fields })
    } else kept.push(manager)
  }
  return [...result, ...buckets.values(), ...kept]
}

/** Whether the entries say "forget all owners": one entry without anything in it. */
export function resetsManagers(entries: readonly ManagedFieldsEntry[] | undefined): boolean {
  const only = entries?.length === 1 ? entries[0] : undefined
  return only !== undefined && Object.values(only).every((value) => value === undefined || value === '')
}

/** Drops managers that own nothing. */
export function withoutEmpty(managers: readonly Manager[]): Manager[] {
  return managers.filter((manager) => !isEmptyFieldSet(manager.fields))
}

/**
 * Whether the same managers own the same fields. When each of them wrote, and thereby their order, does not
 * count: a write that moves nothing else is none.
 */
export function sameOwnership(
  one: readonly ManagedFieldsEntry[] | undefined,
  two: readonly ManagedFieldsEntry[] | undefined,
): boolean {
  if (one === two) return true
  if ((one?.length ?? 0) !== (two?.length ?? 0)) return false
  return (one ?? []).every((entry, index) => {
    const likely = two?.[index]
    if (likely !== undefined && sameButForTime(entry, likely)) return true
    return two?.some((other) => sameButForTime(entry, other)) === true
  })
}

function sameButForTime(one: ManagedFieldsEntry, two: ManagedFieldsEntry): boolean {
  return (
    one.manager === two.manager &&
    one.operation === two.operation &&
    one.apiVersion === two.apiVersion &&
    (one.subresource ?? '') === (two.subresource ?? '') &&
    one.fieldsType === two.fieldsType &&
    deepEqual(one.fieldsV1, two.fieldsV1)
  )
}
