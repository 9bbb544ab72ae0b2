import { deepCopy } from './deep-copy.ts'
import { deepEqual } from './deep-equal.ts'
import { PatchError } from './patch-error.ts'
import { isRecord } from './record.ts'

/** One operation of an RFC 6902 patch. */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string }

/** How many operations a patch may have; the limit of the real server. */
export const maxJsonPatchOperations = 10_000
/** How many values `copy` operations may add up to, so that a short patch cannot grow without bounds. */
const maxCopiedValues = 500_000

/**
 * The document after an RFC 6902 patch. All or nothing: `current` is never changed. Missing paths are
 * refused, `remove` included, as the real server does.
 *
 * @throws PatchError
 */
export function applyJsonPatch(current: unknown, operations: unknown): unknown {
  const checked = parseJsonPatch(operations)
  const holder: { root: unknown } = { root: deepCopy(current) }
  const budget = { left: maxCopiedValues }
  for (const operation of checked) applyOperation(holder, operation, budget)
  return holder.root
}

/** Checks the form of a patch, not whether it fits a document. @throws PatchError */
export function parseJsonPatch(operations: unknown): readonly JsonPatchOperation[] {
  if (!Array.isArray(operations))
    throw new PatchError(
      'malformed',
      `error decoding patch: json: cannot unmarshal ${goTypeOf(operations)} into Go value of type []handlers.jsonPatchOp`,
    )
  if (operations.length > maxJsonPatchOperations)
    throw new PatchError(
      'too-large',
      `The allowed maximum operations in a JSON patch is ${maxJsonPatchOperations}, got ${operations.length}`,
    )
  return operations.map(parseOperation)
}

/**
 * A patch that turns `from` into `to`, empty when they are equal. Items common to the start and the end of
 * a list stay; between them items are changed in place and the difference in length is added or removed.
 */
export function createJsonPatch(from: unknown, to: unknown): JsonPatchOperation[] {
  const operations: JsonPatchOperation[] = []
  diff(from, to, '', operations)
  return operations
}

function goTypeOf(value: unknown): string {
  if (isRecord(value)) return 'object'
  if (typeof value === 'boolean') return 'bool'
  return typeof value
}

function parseOperation(operation: unknown): JsonPatchOperation {
  if (!isRecord(operation))
    throw new PatchError(
      'malformed',
      `error decoding patch: json: cannot unmarshal ${goTypeOf(operation)} into Go value of type handlers.jsonPatchOp`,
    )
  const { op, path, from } = operation
  if (typeof path !== 'string') throw unprocessable(`missing path of operation ${JSON.stringify(op)}`)
  switch (op) {
    case 'add':
    case 'replace':
    case 'test':
      return { op, path, value: operation['value'] === undefined ? null : operation['value'] }
    case 'remove':
      return { op, path }
    case 'move':
    case 'copy':
      if (typeof from !== 'string') throw unprocessable(`missing from of operation ${op}`)
      return { op, path, from }
    default:
      throw unprocessable(`Unexpected kind: ${String(op)}`)
  }
}

function applyOperation(
  holder: { root: unknown },
  operation: JsonPatchOperation,
  budget: { left: number },
): void {
  const path = parsePointer(operation.path)
  switch (operation.op) {
    case 'add':
      add(holder, path, deepCopy(operation.value), operation.path)
      break
    case 'remove':
      remove(holder, path, operation.path)
      break
    case 'replace':
      replace(holder, path, deepCopy(operation.value), operation.path)
      break
    case 'test':
      if (!deepEqual(read(holder, path) ?? null, operation.value))
        throw unprocessable(`testing value ${operation.path} failed`)
      break
    case 'move':
      move(holder, operation.from, operation.path)
      break
    case 'copy': {
      const value = read(holder, parsePointer(operation.from))
      if (value === undefined) throw missing('copy', operation.from)
      budget.left -= countValues(value)
      if (budget.left < 0) throw new PatchError('too-large', 'the copies of the patch are too large')
      add(holder, path, deepCopy(value), operation.path)
    }
  }
}

function move(holder: { root: unknown }, from: string, to: string): void {
  if (to.startsWith(`${from}/`)) throw unprocessable(`cannot move ${from} into itself`)
  const source = parsePointer(from)
  const value = read(holder, source)
  if (value === undefined) throw missing('move', from)
  if (from === to) return
  remove(holder, source, from)
  add(holder, parsePointer(to), value, to)
}

/** The parts of an RFC 6901 pointer. */
function parsePointer(pointer: string): readonly string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) throw unprocessable(`path ${JSON.stringify(pointer)} does not start with /`)
  const parts = pointer.slice(1).split('/')
  return parts.map((part) => {
    const key = part.includes('~') ? part.replaceAll('~1', '/').replaceAll('~0', '~') : part
    if (key === '__proto__') throw unprocessable('a path may not contain __proto__')
    return key
  })
}

function read(holder: { root: unknown }, path: readonly string[]): unknown {
  let value = holder.root
  for (const key of path) {
    if (Array.isArray(value)) {
      const index = parseIndex(key)
      if (index === undefined || index >= value.length) return undefined
      value = value[index]
    } else if (isRecord(value) && Object.hasOwn(value, key)) value = value[key]
    else return undefined
  }
  return value
}

function parentOf(holder: { root: unknown }, path: readonly string[], op: string, text: string): object {
  const parent = read(holder, path.slice(0, -1))
  if (typeof parent !== 'object' || parent === null) throw missing(op, text)
  return parent
}

function add(holder: { root: unknown }, path: readonly string[], value: unknown, text: string): void {
  const key = path.at(-1)
  if (key === undefined) {
    holder.root = value
    return
  }
  const parent = parentOf(holder, path, 'add', text)
  if (!Array.isArray(parent)) {
    ;(parent as Record<string, unknown>)[key] = value
    return
  }
  const index = key === '-' ? parent.length : parseIndex(key)
  if (index === undefined || index > parent.length)
    throw unprocessable(`Unable to access invalid index: ${key}`)
  parent.splice(index, 0, value)
}

function remove(holder: { root: unknown }, path: readonly string[], text: string): void {
  const key = path.at(-1)
  if (key === undefined) throw unprocessable('the whole document cannot be removed')
  const parent = parentOf(holder, path, 'remove', text)
  if (Array.isArray(parent)) {
    const index = parseIndex(key)
    if (index === undefined || index >= parent.length)
      throw unprocessable(`Unable to access invalid index: ${key}`)
    parent.splice(index, 1)
    return
  }
  const fields = parent as Record<string, unknown>
  if (!Object.hasOwn(fields, key)) throw missing('remove', text)
  delete fields[key]
}

function replace(holder: { root: unknown }, path: readonly string[], value: unknown, text: string): void {
  const key = path.at(-1)
  if (key === undefined) {
    holder.root = value
    return
  }
  const parent = parentOf(holder, path, 'replace', text)
  if (Array.isArray(parent)) {
    const index = parseIndex(key)
    if (index === undefined || index >= parent.length) throw missing('replace', text)
    parent[index] = value
    return
  }
  const fields = parent as Record<string, unknown>
  if (!Object.hasOwn(fields, key)) throw missing('replace', text)
  fields[key] = value
}

function parseIndex(key: string): number | undefined {
  return /^(0|[1-9]\d{0,9})$/.test(key) ? Number(key) : undefined
}

function countValues(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  let count = 1
  for (const field of Object.values(value)) count += countValues(field)
  return count
}

function missing(op: string, path: string): PatchError {
  return unprocessable(`${op} operation does not apply: doc is missing path: ${JSON.stringify(path)}`)
}

function unprocessable(message: string): PatchError {
  return new PatchError('unprocessable', message)
}

function diff(from: unknown, to: unknown, path: string, operations: JsonPatchOperation[]): void {
  if (from === to) return
  if (Array.isArray(from) && Array.isArray(to)) diffLists(from, to, path, operations)
  else if (isRecord(from) && isRecord(to)) diffFields(from, to, path, operations)
  else if (!deepEqual(from, to)) operations.push({ op: 'replace', path, value: to })
}

function diffFields(
  from: Record<string, unknown>,
  to: Record<string, unknown>,
  path: string,
  operations: JsonPatchOperation[],
): void {
  for (const key of Object.keys(from)) {
    if (from[key] !== undefined && (!Object.hasOwn(to, key) || to[key] === undefined))
      operations.push({ op: 'remove', path: `${path}/${escapeKey(key)}` })
  }
  for (const key of Object.keys(to)) {
    const value = to[key]
    if (value === undefined) continue
    const below = `${path}/${escapeKey(key)}`
    if (!Object.hasOwn(from, key) || from[key] === undefined)
      operations.push({ op: 'add', path: below, value })
    else diff(from[key], value, below, operations)
  }
}

function diffLists(
  from: readonly unknown[],
  to: readonly unknown[],
  path: string,
  operations: JsonPatchOperation[],
): void {
  const shorter = Math.min(from.length, to.length)
  let start = 0
  while (start < shorter && deepEqual(from[start], to[start])) start++
  let end = 0
  while (end < shorter - start && deepEqual(from[from.length - 1 - end], to[to.length - 1 - end])) end++
  const oldMiddle = from.slice(start, from.length - end)
  const newMiddle = to.slice(start, to.length - end)
  const pairs = pairItems(oldMiddle, newMiddle)
  // Removals from the back, so that earlier positions stay true; then everything in the order it will have.
  for (let index = oldMiddle.length - 1; index >= 0; index--)
    if (!pairs.has(index)) operations.push({ op: 'remove', path: `${path}/${start + index}` })
  const kept = [...pairs].sort((one, two) => one[0] - two[0])
  let next = 0
  for (let index = 0; index < newMiddle.length; index++) {
    const pair = kept[next]
    if (pair !== undefined && pair[1] === index) {
      diff(oldMiddle[pair[0]], newMiddle[index], `${path}/${start + index}`, operations)
      next++
    } else operations.push({ op: 'add', path: `${path}/${start + index}`, value: newMiddle[index] })
  }
}

/**
 * Which old item becomes which new one, as positions, without crossings: equal identities (the item itself
 * or its name) where lists have them, positions otherwise.
 */
function pairItems(from: readonly unknown[], to: readonly unknown[]): Map<number, number> {
  const pairs = new Map<number, number>()
  const places = new Map<string, number>()
  to.forEach((item, index) => {
    const identity = identityOf(item)
    if (identity !== undefined && !places.has(identity)) places.set(identity, index)
  })
  let last = -1
  from.forEach((item, index) => {
    const identity = identityOf(item)
    const place = identity === undefined ? undefined : places.get(identity)
    if (place !== undefined && place > last) {
      pairs.set(index, place)
      last = place
    }
  })
  if (pairs.size > 0) return pairs
  for (let index = 0; index < Math.min(from.length, to.length); index++) {
    if (identityOf(from[index]) === undefined && identityOf(to[index]) === undefined) pairs.set(index, index)
    else if (from.length === to.length) pairs.set(index, index)
  }
  return pairs
}

function identityOf(item: unknown): string | undefined {
  if (isRecord(item)) return typeof item['name'] === 'string' ? `name ${item['name']}` : undefined
  return item === null || typeof item === 'object' ? undefined : `${typeof item} ${String(item)}`
}

function escapeKey(key: string): string {
  return key.includes('~') || key.includes('/') ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key
}
