import { deepEqual } from '../deep-equal.ts'
import { isRecord } from '../record.ts'
import type { Schema } from '../schema.ts'
import { emptyFieldSet, type FieldSet, type FieldSetDraft } from './field-set.ts'
import { elementsOf, isGranularList, isGranularMap, schemaOfField, schemaOfItems } from './shape.ts'

/** What a write did to an object. */
export interface Comparison {
  /** Paths that are new or have another value. */
  readonly changed: FieldSet
  readonly removed: FieldSet
}

interface Difference {
  changed: FieldSetDraft | undefined
  removed: FieldSetDraft | undefined
}

const leaf: FieldSetDraft = Object.freeze({})

/** Metadata the server keeps itself and nobody owns. */
const unownedMetadata = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
])

/**
 * Compares two states of a whole object. apiVersion, kind and the metadata nobody owns are left out.
 * Values that are the same reference are not looked into.
 */
export function compareObjects(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  schema: Schema,
): Comparison {
  const total: Difference = { changed: undefined, removed: undefined }
  compareFields(
    before,
    after,
    schema,
    total,
    (key) => key === 'apiVersion' || key === 'kind' || key === 'metadata',
  )
  const oldMetadata = before['metadata']
  const newMetadata = after['metadata']
  const metadata: Difference = { changed: undefined, removed: undefined }
  compareFields(
    isRecord(oldMetadata) ? oldMetadata : {},
    isRecord(newMetadata) ? newMetadata : {},
    schemaOfField(schema, 'metadata'),
    metadata,
    (key) => unownedMetadata.has(key),
  )
  if (metadata.changed !== undefined) total.changed = { 'f:metadata': metadata.changed, ...total.changed }
  if (metadata.removed !== undefined) total.removed = { 'f:metadata': metadata.removed, ...total.removed }
  return { changed: total.changed ?? emptyFieldSet, removed: total.removed ?? emptyFieldSet }
}

function compareFields(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  schema: Schema,
  total: Difference,
  isLeftOut?: (key: string) => boolean,
): void {
  for (const key of Object.keys(after).sort()) {
    const value = after[key]
    const old = before[key]
    if (old === value || value === undefined || isLeftOut?.(key) === true) continue
    const below = schemaOfField(schema, key)
    if (old === undefined && !(below.isInherent === true && Object.hasOwn(before, key) === false)) {
      total.changed ??= {}
      total.changed[`f:${key}`] = wholeOf(value, below)
    } else compareInto(total, `f:${key}`, old === undefined ? emptyOf(value) : old, value, below)
  }
  for (const key in before) {
    const old = before[key]
    if (old === undefined || after[key] !== undefined || isLeftOut?.(key) === true) continue
    const below = schemaOfField(schema, key)
    if (below.isInherent === true) compareInto(total, `f:${key}`, old, emptyOf(old), below)
    else {
      total.removed ??= {}
      total.removed[`f:${key}`] = wholeOf(old, below)
    }
  }
}

/** What a Go value nobody wrote looks like. */
function emptyOf(like: unknown): unknown {
  if (Array.isArray(like)) return []
  if (isRecord(like)) return {}
  if (typeof like === 'string') return ''
  if (typeof like === 'number') return 0
  return typeof like === 'boolean' ? false : null
}

function compareInto(total: Difference, element: string, old: unknown, value: unknown, schema: Schema): void {
  const difference: Difference = { changed: undefined, removed: undefined }
  compareValues(old, value, schema, difference)
  if (difference.changed !== undefined) {
    total.changed ??= {}
    total.changed[element] = difference.changed
  }
  if (difference.removed !== undefined) {
    total.removed ??= {}
    total.removed[element] = difference.removed
  }
}

function compareValues(old: unknown, value: unknown, schema: Schema, difference: Difference): void {
  if (isGranularMap(schema, value) && (old === null || isGranularMap(schema, old))) {
    compareFields(old ?? {}, value, schema, difference)
  } else if (isGranularMap(schema, old) && value === null) compareFields(old, {}, schema, difference)
  else if (isGranularList(schema, value) && (old === null || Array.isArray(old))) {
    compareItems(old ?? [], value, schema, difference)
  } else if (isGranularList(schema, old) && value === null) compareItems(old, [], schema, difference)
  else if (!deepEqual(old, value)) difference.changed = leaf
}

function compareItems(
  before: readonly unknown[],
  after: readonly unknown[],
  schema: Schema,
  difference: Difference,
): void {
  const items = schemaOfItems(schema)
  const old = groupByElement(schema, before)
  const now = groupByElement(schema, after)
  for (const [element, group] of now) {
    const oldGroup = old.get(element)
    if (oldGroup === undefined) {
      difference.changed ??= {}
      difference.changed[element] = group.length > 1 ? leaf : wholeOf(group[0], items)
    } else if (group.length > 1 || oldGroup.length > 1) {
      if (deepEqual(oldGroup, group)) continue
      difference.changed ??= {}
      difference.changed[element] = leaf
    } else if (oldGroup[0] !== group[0]) compareInto(difference, element, oldGroup[0], group[0], items)
  }
  for (const [element, group] of old) {
    if (now.has(element)) continue
    difference.removed ??= {}
    difference.removed[element] = group.length > 1 ? leaf : wholeOf(group[0], items)
  }
}

/** Duplicates of a key, which only an update can bring in, are owned as one. */
function groupByElement(schema: Schema, items: readonly unknown[]): Map<string, unknown[]> {
  const groups = new Map<string, unknown[]>()
  const elements = elementsOf(schema, items)
  for (let index = 0; index < items.length; index++) {
    const group = groups.get(elements[index] as string)
    if (group === undefined) groups.set(elements[index] as string, [items[index]])
    else group.push(items[index])
  }
  return groups
}

/** A value that is there as a whole, maps and lists themselves included. */
function wholeOf(value: unknown, schema: Schema): FieldSetDraft {
  if (isGranularMap(schema, value)) {
    const keys = Object.keys(value)
    if (keys.length === 0) return leaf
    const node: FieldSetDraft = { '.': leaf }
    for (const key of keys.length > 1 ? keys.sort() : keys) {
      if (value[key] !== undefined) node[`f:${key}`] = wholeOf(value[key], schemaOfField(schema, key))
    }
    return node
  }
  if (!isGranularList(schema, value) || value.length === 0) return leaf
  const node: FieldSetDraft = { '.': leaf }
  const items = schemaOfItems(schema)
  const elements = elementsOf(schema, value)
  for (let index = 0; index < value.length; index++) {
    const element = elements[index] as string
    node[element] = element in node ? leaf : wholeOf(value[index], items)
  }
  return node
}
