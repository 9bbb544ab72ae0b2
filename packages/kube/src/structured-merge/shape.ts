import { isRecord } from '../record.ts'
import type { Schema } from '../schema.ts'
import { keyElement } from './field-set.ts'

/** For values nobody declared: maps are granular, lists atomic. */
export const deduced: Schema = { type: 'any', preservesUnknown: true }

/** The schema of a map's field. */
export function schemaOfField(schema: Schema, key: string): Schema {
  const properties = schema.properties
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key] as Schema
  return schema.values ?? deduced
}

/** Whether a map declares the field, as structs do, rather than taking any key. */
export function isDeclared(schema: Schema, key: string): boolean {
  return schema.properties !== undefined && Object.hasOwn(schema.properties, key)
}

/** Whether a value is owned field by field. */
export function isGranularMap(schema: Schema, value: unknown): value is Record<string, unknown> {
  return isRecord(value) && schema.mapType !== 'atomic'
}

/** Whether a value is owned item by item. */
export function isGranularList(schema: Schema, value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && (schema.listType === 'map' || schema.listType === 'set')
}

/**
 * The path element of a list's item. Undefined when the item lacks a key that has no default, or is nothing
 * that can be an item of such a list.
 */
export function elementOfItem(list: Schema, item: unknown): string | undefined {
  if (list.listType === 'set') return `v:${JSON.stringify(item)}`
  if (!isRecord(item)) return undefined
  const keys = list.listMapKeys ?? []
  if (keys.length === 1) {
    const only = keys[0] as string
    const value = keyValue(list, item, only)
    return value === undefined ? undefined : `k:{${JSON.stringify(only)}:${JSON.stringify(value)}}`
  }
  const fields: (readonly [string, unknown])[] = []
  for (const key of keys) {
    const value = keyValue(list, item, key)
    if (value !== undefined) fields.push([key, value])
  }
  return fields.length === 0 ? undefined : keyElement(fields)
}

function keyValue(list: Schema, item: Record<string, unknown>, key: string): unknown {
  const value = item[key]
  if (value !== undefined && value !== null) return value
  return list.items?.properties?.[key]?.default
}

/**
 * Items with their elements. An item without a usable key goes by its position, so that a list nobody could
 * apply (no key, twice the same) is still owned.
 */
export function elementsOf(list: Schema, items: readonly unknown[]): string[] {
  const elements = new Array<string>(items.length)
  for (let index = 0; index < items.length; index++)
    elements[index] = elementOfItem(list, items[index]) ?? `i:${index}`
  return elements
}

/** The schema of a list's items. */
export function schemaOfItems(list: Schema): Schema {
  return list.items ?? deduced
}
