import { isRecord } from '../record.ts'
import type { Schema } from '../schema.ts'
import type { FieldSet, FieldSetDraft } from './field-set.ts'
import {
  deduced,
  elementOfItem,
  isDeclared,
  isGranularList,
  isGranularMap,
  schemaOfField,
  schemaOfItems,
} from './shape.ts'

const leaf: FieldSetDraft = Object.freeze({})

/** Something a configuration cannot be applied for: `.spec.foo: field not declared in schema`. */
export interface ApplyProblem {
  readonly path: string
  readonly message: string
}

/**
 * The paths a configuration speaks about: every leaf, every list item, every key of a free map, but no struct
 * and no list itself.
 */
export function fieldsOfConfiguration(
  config: Readonly<Record<string, unknown>>,
  schema: Schema,
): { readonly fields: FieldSet; readonly problems: readonly ApplyProblem[] } {
  const problems: ApplyProblem[] = []
  return { fields: fieldsOfMap(config, schema, '', problems), problems }
}

function fieldsOfMap(
  value: Readonly<Record<string, unknown>>,
  schema: Schema,
  path: string,
  problems: ApplyProblem[],
): FieldSetDraft {
  const node: FieldSetDraft = {}
  for (const key of Object.keys(value).sort()) {
    const field = value[key]
    if (field === undefined) continue
    const below = schemaOfField(schema, key)
    if (below === deduced && isClosed(schema)) {
      problems.push({ path: `${path}.${key}`, message: 'field not declared in schema' })
      continue
    }
    const child = fieldsOf(field, below, `${path}.${key}`, problems)
    if (child === undefined) continue
    node[`f:${key}`] =
      isDeclared(schema, key) || '.' in child || isLeaf(child) ? child : { '.': leaf, ...child }
  }
  return node
}

function isClosed(schema: Schema): boolean {
  return schema.properties !== undefined && schema.preservesUnknown !== true && schema.values === undefined
}

function isLeaf(node: FieldSetDraft): boolean {
  for (const _ in node) return false
  return true
}

/** The node of a value; a leaf for what is owned as one; undefined for an empty list, which owns nothing. */
function fieldsOf(
  value: unknown,
  schema: Schema,
  path: string,
  problems: ApplyProblem[],
): FieldSetDraft | undefined {
  if (isGranularMap(schema, value)) {
    const node = fieldsOfMap(value, schema, path, problems)
    return isLeaf(node) && Object.keys(value).length > 0 ? undefined : node
  }
  if (!isGranularList(schema, value)) return leaf
  return value.length === 0 ? undefined : fieldsOfItems(value, schema, path, problems)
}

function fieldsOfItems(
  items: readonly unknown[],
  schema: Schema,
  path: string,
  problems: ApplyProblem[],
): FieldSetDraft {
  const node: FieldSetDraft = {}
  const below = schemaOfItems(schema)
  for (let index = 0; index < items.length; index++) {
    const item = items[index]
    const element = elementOfItem(schema, item)
    if (element === undefined) {
      problems.push({ path, message: missingKeys(schema, item, index) })
      continue
    }
    if (element in node) {
      problems.push({ path, message: `duplicate entries for key ${element.slice(2)}` })
      continue
    }
    const child = fieldsOf(item, below, `${path}[${index}]`, problems)
    node[element] = child === undefined || isLeaf(child) ? leaf : { '.': leaf, ...child }
  }
  return node
}

function missingKeys(schema: Schema, item: unknown, index: number): string {
  if (!isRecord(item))
    return `element ${index}: associative list without keys has an element that's a map type`
  const key = schema.listMapKeys?.find((name) => item[name] === undefined) ?? ''
  return `element ${index}: associative list with keys has an element that omits key field "${key}" (and doesn't have default value)`
}
