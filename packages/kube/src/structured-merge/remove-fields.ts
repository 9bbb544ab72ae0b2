import { isRecord } from '../record.ts'
import type { Schema } from '../schema.ts'
import { type FieldSet, type FieldSetDraft, isEmptyFieldSet } from './field-set.ts'
import {
  elementsOf,
  isDeclared,
  isGranularList,
  isGranularMap,
  schemaOfField,
  schemaOfItems,
} from './shape.ts'

const leaf: FieldSetDraft = Object.freeze({})

/**
 * The set with the declared fields on the way to its paths as members too. A struct is there for the sake of
 * its fields; a free map or a list item is not, it has an owner of its own.
 */
export function withDeclaredParents(set: FieldSet, schema: Schema): FieldSet {
  const result: FieldSetDraft = {}
  for (const element in set) {
    if (element === '.') {
      result['.'] = leaf
      continue
    }
    const node = set[element] as FieldSet
    if (isEmptyFieldSet(node)) {
      result[element] = leaf
      continue
    }
    const isField = element.startsWith('f:')
    const key = element.slice(2)
    const below = isField ? schemaOfField(schema, key) : schemaOfItems(schema)
    const children = withDeclaredParents(node, below) as FieldSetDraft
    result[element] =
      isField && isDeclared(schema, key) && !('.' in children) ? { '.': leaf, ...children } : children
  }
  return result
}

/** The value without the members of the set and all that is below them. Shares what stays. */
export function removeFields(value: unknown, set: FieldSet, schema: Schema): unknown {
  if (isGranularMap(schema, value)) return removeFromMap(value, set, schema)
  if (isGranularList(schema, value)) return removeFromList(value, set, schema)
  return value
}

function removeFromMap(value: Readonly<Record<string, unknown>>, set: FieldSet, schema: Schema): unknown {
  const kept: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const node = set[`f:${key}`]
    if (node === undefined) kept[key] = value[key]
    else if (!isMember(node)) {
      const below = schemaOfField(schema, key)
      const rest = removeFields(value[key], node, below)
      if (!becameEmpty(value[key], rest)) kept[key] = rest
    }
  }
  return kept
}

function removeFromList(value: readonly unknown[], set: FieldSet, schema: Schema): unknown {
  const elements = elementsOf(schema, value)
  const items = schemaOfItems(schema)
  const kept: unknown[] = []
  for (let index = 0; index < value.length; index++) {
    const node = set[elements[index] as string]
    if (node === undefined) kept.push(value[index])
    else if (!isMember(node)) kept.push(removeFields(value[index], node, items))
  }
  return kept
}

function isMember(node: FieldSet): boolean {
  return '.' in node || isEmptyFieldSet(node)
}

/** A map or list that lost its last entry goes too, as nothing distinguishes it from one never written. */
function becameEmpty(before: unknown, after: unknown): boolean {
  return before !== after && sizeOf(after) === 0 && sizeOf(before) > 0
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length
  return isRecord(value) ? Object.keys(value).length : 1
}
