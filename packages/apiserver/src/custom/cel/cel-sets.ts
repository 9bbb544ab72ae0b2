import type { Environment } from '@marcbachmann/cel-js'

/** What `sets` stands for in `sets.contains(a, b)`. */
class SetFunctions {}

type List = readonly unknown[]

/** Adds `sets.contains`, `sets.equivalent` and `sets.intersects`: lists compared as sets. Source: cel-go `ext.Sets`. */
export function addSetFunctions(environment: Environment): void {
  environment.registerType('kubernetes.Sets', SetFunctions)
  environment.registerConstant('sets', 'kubernetes.Sets', new SetFunctions())
  const define = (name: string, decide: (one: List, other: List) => boolean) =>
    environment.registerFunction(
      `kubernetes.Sets.${name}(list<dyn>, list<dyn>): bool`,
      (_: SetFunctions, one: List, other: List) => decide(one, other),
    )
  define('contains', holdsAll)
  define('equivalent', (one, other) => holdsAll(one, other) && holdsAll(other, one))
  define('intersects', (one, other) => createMembership(one).some(other))
}

const holdsAll = (list: List, wanted: List) => createMembership(list).every(wanted)

/** Asks many times whether something is in a list without walking it each time. */
function createMembership(list: List) {
  const keys = new Set(list.map(keyOf))
  const has = (value: unknown) => keys.has(keyOf(value))
  return { some: (values: List) => values.some(has), every: (values: List) => values.every(has) }
}

/** The same text for what CEL calls equal: 1 and 1.0 are, 1 and "1" are not. */
function keyOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(keyOf).join(',')}]`
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Date) return `date ${value.getTime()}`
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const parts = entries.map(([key, entry]) => `${keyOf(key)}:${keyOf(entry)}`)
  return `{${parts.sort().join(',')}}`
}
