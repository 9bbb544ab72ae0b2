import { deepCopy } from './deep-copy.ts'
import { formatGoValue } from './go-format.ts'
import { PatchError } from './patch-error.ts'
import { isRecord } from './record.ts'
import type { Schema } from './schema.ts'
import { elementsInOrder, identityOf, partitionByPresence } from './strategic-order.ts'

type Fields = Record<string, unknown>

const patchDirective = '$patch'
const retainKeysDirective = '$retainKeys'
const setOrderPrefix = '$setElementOrder/'
const deletePrefix = '$deleteFromPrimitiveList/'

/**
 * The object after a strategic merge patch, with all its directives, as
 * `k8s.io/apimachinery/pkg/util/strategicpatch` applies it. `current` and `patch` are not changed; parts the
 * patch does not touch are shared with `current`, so copy before changing the answer in place.
 *
 * @throws PatchError with the message of the real server.
 */
export function applyStrategicMergePatch(current: unknown, patch: unknown, schema: Schema): unknown {
  if (!isRecord(patch)) throw new PatchError('malformed', 'Invalid JSON Patch')
  return mergeMap(isRecord(current) ? current : {}, patch, schema)
}

/** The schema of a field, below declared properties and below free keys alike. */
function fieldSchema(schema: Schema | undefined, key: string): Schema | undefined {
  const properties = schema?.properties
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key]
  return schema?.values
}

function mergeMap(current: Fields, patch: Fields, schema: Schema | undefined): Fields {
  const directive = patch[patchDirective]
  if (directive !== undefined) return followDirective(directive, patch)
  const result: Fields = { ...current }
  retainKeys(result, patch)
  const done = applyElementOrders(result, patch, schema)
  for (const key of Object.keys(patch)) {
    if (key === retainKeysDirective || key === '__proto__' || done.has(key)) continue
    if (key.startsWith(setOrderPrefix)) continue
    if (key.startsWith(deletePrefix)) deleteFromList(result, key.slice(deletePrefix.length), patch[key])
    else mergeField(result, key, patch[key], fieldSchema(schema, key))
  }
  return result
}

function followDirective(directive: unknown, patch: Fields): Fields {
  if (directive === 'replace') {
    const { [patchDirective]: _, ...rest } = patch
    return withoutDirectives(rest) as Fields
  }
  if (directive === 'delete') return {}
  throw unknownPatchType(directive, patch)
}

function mergeField(result: Fields, key: string, value: unknown, schema: Schema | undefined): void {
  if (value === null) {
    delete result[key]
    return
  }
  const current = result[key]
  if (isRecord(value) && value[patchDirective] === 'delete' && schema?.values !== undefined) {
    // Go leaves out an empty map, but not an empty struct.
    delete result[key]
    return
  }
  if (isRecord(current) && isRecord(value))
    result[key] = schema?.patchStrategy?.includes('replace')
      ? withoutDirectives(value)
      : mergeMap(current, value, schema)
  else if (Array.isArray(current) && Array.isArray(value)) result[key] = mergeLists(current, value, schema)
  else result[key] = withoutDirectives(value)
}

function mergeLists(
  current: readonly unknown[],
  patch: readonly unknown[],
  schema: Schema | undefined,
): unknown[] {
  if (!schema?.patchStrategy?.includes('merge')) return withoutDirectives(patch) as unknown[]
  if (current.length === 0 && patch.length === 0) return []
  const mergeKey = schema.patchMergeKey
  if (!hasMaps(current, patch)) {
    const merged = [...new Set([...current, ...patch])]
    return arrange(merged, patch, current, undefined)
  }
  if (mergeKey === undefined) throw serverFault('cannot merge lists without merge key')
  const { kept, items, replaces } = followItemDirectives(current, patch, mergeKey)
  if (replaces) return items.map(withoutDirectives)
  return arrange(mergeItems(kept, items, mergeKey, schema.items), items, kept, mergeKey)
}

/** All elements of both lists are maps, or none is. */
function hasMaps(current: readonly unknown[], patch: readonly unknown[]): boolean {
  const all = [...current, ...patch]
  const maps = all.filter(isRecord).length
  if (maps !== 0 && maps !== all.length) throw serverFault('list element types are not identical')
  return maps !== 0
}

function followItemDirectives(
  current: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
): { kept: readonly unknown[]; items: readonly Fields[]; replaces: boolean } {
  const deleted = new Set<string>()
  let replaces = false
  const items: Fields[] = []
  for (const item of patch as readonly Fields[]) {
    const directive = item[patchDirective]
    if (directive === undefined) items.push(item)
    else if (directive === 'replace') replaces = true
    else if (directive === 'delete') {
      requireKey(item, mergeKey)
      deleted.add(identityOf(item, mergeKey))
    } else if (directive === 'merge') throw serverFault('merging lists cannot yet be specified in the patch')
    else throw unknownPatchType(directive, item)
  }
  const kept =
    deleted.size === 0 ? current : current.filter((item) => !deleted.has(identityOf(item, mergeKey)))
  return { kept, items, replaces }
}

function mergeItems(
  current: readonly unknown[],
  patch: readonly Fields[],
  mergeKey: string,
  schema: Schema | undefined,
): unknown[] {
  const merged = [...current]
  const places = new Map<string, number>()
  const note = (item: unknown, index: number) => {
    const identity = identityOf(item, mergeKey)
    if (!places.has(identity)) places.set(identity, index)
  }
  merged.forEach(note)
  for (const item of patch) {
    requireKey(item, mergeKey)
    const index = places.get(identityOf(item, mergeKey))
    if (index !== undefined) merged[index] = mergeMap(merged[index] as Fields, item, schema)
    else {
      note(item, merged.length)
      merged.push(withoutDirectives(item))
    }
  }
  return merged
}

function requireKey(item: Fields, mergeKey: string): void {
  if (item[mergeKey] === undefined)
    throw serverFault(`map: ${formatGoValue(item)} does not contain declared merge key: ${mergeKey}`)
}

/** The merged elements in the order of the patch, those only the server knew woven in by the old order. */
function arrange(
  merged: readonly unknown[],
  order: readonly unknown[],
  oldOrder: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const { present, absent } = partitionByPresence(merged, order, mergeKey)
  return elementsInOrder(present, absent, order, oldOrder, mergeKey)
}

function retainKeys(result: Fields, patch: Fields): void {
  const keys = patch[retainKeysDirective]
  if (keys === undefined) return
  if (!Array.isArray(keys)) throw serverFault('invalid patch format of retainKeys')
  const retained = new Set<unknown>(keys)
  for (const key of Object.keys(patch)) {
    if (key === retainKeysDirective || patch[key] === null) continue
    if (key.startsWith(deletePrefix) || key.startsWith(setOrderPrefix)) continue
    if (!retained.has(key)) throw serverFault('invalid patch format of retainKeys')
  }
  for (const key of Object.keys(result)) if (!retained.has(key)) delete result[key]
}

/** Applies lists that come with an order of their elements; answers with the keys dealt with. */
function applyElementOrders(result: Fields, patch: Fields, schema: Schema | undefined): ReadonlySet<string> {
  const done = new Set<string>()
  for (const directive of Object.keys(patch)) {
    if (!directive.startsWith(setOrderPrefix)) continue
    const order = patch[directive]
    const key = directive.slice(setOrderPrefix.length)
    if (!Array.isArray(order)) throw badArgument(order)
    const current = result[key]
    const change = patch[key]
    if (current !== undefined && current !== null && !Array.isArray(current)) throw badArgument(current)
    if (change !== undefined && change !== null && !Array.isArray(change)) throw badArgument(change)
    if (change === null) continue
    done.add(key)
    const below = fieldSchema(schema, key)
    const mergeKey = below?.patchMergeKey
    if (Array.isArray(change)) checkOrder(change, order, mergeKey)
    if (!Array.isArray(current) && change === undefined) continue
    const old = Array.isArray(current) ? current : []
    const merged =
      change === undefined
        ? old
        : Array.isArray(current)
          ? mergeLists(current, change, below)
          : (withoutDirectives(change) as unknown[])
    const { present, absent } = partitionByPresence(merged, order, mergeKey)
    result[key] = elementsInOrder(present, absent, order, old, mergeKey)
  }
  return done
}

/** The elements of the patch appear in its order list, in the same order. */
function checkOrder(
  change: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): void {
  let position = 0
  for (const element of change) {
    if (isRecord(element) && element[patchDirective] !== undefined) continue
    while (position < order.length && identityOf(order[position], mergeKey) !== identityOf(element, mergeKey))
      position++
    if (position >= order.length)
      throw serverFault(
        `The order in patch list:\n${formatGoValue(change)}\n doesn't match $setElementOrder list:\n${formatGoValue(order)}\n`,
      )
    position++
  }
}

function deleteFromList(result: Fields, key: string, values: unknown): void {
  const current = result[key]
  if (values === null || current === undefined) return
  if (!Array.isArray(values)) throw badArgument(values)
  if (!Array.isArray(current)) return
  const gone = new Set(values.map((value) => identityOf(value, undefined)))
  result[key] = current.filter((element) => !gone.has(identityOf(element, undefined)))
}

/** A copy of what a patch adds: without nulls, as they only delete, and without directives. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.filter((item) => !(isRecord(item) && item[patchDirective] !== undefined))
    return items.map((item) => (isRecord(item) || Array.isArray(item) ? withoutDirectives(item) : item))
  }
  if (!isRecord(value)) return deepCopy(value)
  const kept: Fields = {}
  for (const key of Object.keys(value)) {
    if (value[key] === null || key === '__proto__' || isDirective(key)) continue
    kept[key] = withoutDirectives(value[key])
  }
  return kept
}

function isDirective(key: string): boolean {
  return (
    key === patchDirective ||
    key === retainKeysDirective ||
    key.startsWith(setOrderPrefix) ||
    key.startsWith(deletePrefix)
  )
}

function unknownPatchType(directive: unknown, map: Fields): PatchError {
  return serverFault(`unknown patch type: ${formatGoValue(directive)} in map: ${formatGoValue(map)}`)
}

function badArgument(value: unknown): PatchError {
  return serverFault(
    `expected a []interface{}, but received a ${isRecord(value) ? 'map[string]interface {}' : typeof value}`,
  )
}

/** The real server answers 500 to a strategic patch it cannot merge. */
function serverFault(message: string): PatchError {
  return new PatchError('server-fault', message)
}
