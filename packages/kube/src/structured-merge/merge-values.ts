import { deepCopy } from '../deep-copy.ts'
import type { Schema } from '../schema.ts'
import {
  elementsOf,
  isDeclared,
  isGranularList,
  isGranularMap,
  schemaOfField,
  schemaOfItems,
} from './shape.ts'

/**
 * The live value with a configuration laid over it: maps field by field, map and set lists item by item, all
 * else replaced. Shares parts with both; a null in the configuration empties the field.
 */
export function mergeValues(live: unknown, config: unknown, schema: Schema): unknown {
  if (config === undefined) return live
  if (isGranularMap(schema, config)) return mergeMaps(isGranularMap(schema, live) ? live : {}, config, schema)
  if (isGranularList(schema, config)) return mergeLists(Array.isArray(live) ? live : [], config, schema)
  return deepCopy(config)
}

function mergeMaps(
  live: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  schema: Schema,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...live }
  for (const key of Object.keys(config)) {
    if (key === '__proto__') continue
    const below = schemaOfField(schema, key)
    const value = mergeValues(live[key], config[key], below)
    // In a declared field null means "not set", as it does when Go decodes it.
    if (value === null && isDeclared(schema, key) && below.nullable !== true) delete merged[key]
    else merged[key] = value
  }
  return merged
}

/**
 * Items in the order of the configuration; items only the live list has keep their place between the shared
 * ones. The algorithm is the one of structured-merge-diff, so that orders come out the same.
 */
function mergeLists(live: readonly unknown[], config: readonly unknown[], schema: Schema): unknown[] {
  const items = schemaOfItems(schema)
  const left = elementsOf(schema, live)
  const right = elementsOf(schema, config)
  const liveByElement = firstByElement(left, live)
  const configByElement = firstByElement(right, config)
  const shared = right.filter((element) => liveByElement.has(element))
  let nextShared = 0
  const taken = new Set<string>()
  const merged: unknown[] = []
  const takeFromConfig = (element: string) => {
    taken.add(element)
    merged.push(mergeValues(liveByElement.get(element), configByElement.get(element), items))
  }
  let l = 0
  let r = 0
  while (l < left.length || r < right.length) {
    const mine = left[l]
    const theirs = right[r]
    if (mine !== undefined && theirs !== undefined) {
      if (mine === theirs) {
        takeFromConfig(mine)
        l++
        r++
        nextShared++
        continue
      }
      if (configByElement.has(mine) && nextShared < shared.length && shared[nextShared] !== mine) {
        l++
        continue
      }
    }
    if (mine !== undefined) {
      if (!configByElement.has(mine)) {
        merged.push(live[l])
        l++
        continue
      }
      if (taken.has(mine)) l++
    }
    if (theirs !== undefined) {
      takeFromConfig(theirs)
      r++
      if (shared[nextShared] === theirs) nextShared++
    }
  }
  return merged
}

function firstByElement(elements: readonly string[], items: readonly unknown[]): Map<string, unknown> {
  const map = new Map<string, unknown>()
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index] as string
    if (!map.has(element)) map.set(element, items[index])
  }
  return map
}
