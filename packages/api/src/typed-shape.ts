import type { JsonValue } from './go-json.ts'

/**
 * How Go's encoder prints a typed value: which fields a struct has, in which order, and when a field
 * is left out. What a shape does not name is dropped, as decoding into a struct does.
 */
export interface Shape {
  /** What an unset value prints as. */
  readonly zero: JsonValue
  /** Whether a field marked `omitempty` is left out. */
  isEmpty(value: unknown): boolean
  project(value: unknown): JsonValue
}

interface Field {
  readonly name: string
  readonly shape: Shape
  /** `always`; `set`: unless absent or null (a pointer); `filled`: unless empty. */
  readonly when: 'always' | 'set' | 'filled'
}

/** Printed even when unset. */
export const always = (name: string, shape: Shape): Field => ({ name, shape, when: 'always' })
/** A pointer: printed whenever set, be it to zero. */
export const pointer = (name: string, shape: Shape): Field => ({ name, shape, when: 'set' })
/** Left out when empty. */
export const optional = (name: string, shape: Shape): Field => ({ name, shape, when: 'filled' })

function scalar(zero: JsonValue): Shape {
  return {
    zero,
    isEmpty: (value) => value === undefined || value === null || value === zero,
    project: (value) => value as JsonValue,
  }
}

export const text = scalar('')
export const number = scalar(0)
export const boolean = scalar(false)
/** Printed as it came. */
export const raw: Shape = {
  zero: null,
  isEmpty: (value) => value === undefined || value === null,
  project: (value) => value as JsonValue,
}

export function struct(fields: readonly Field[]): Shape {
  const project = (value: unknown): JsonValue => {
    const source = (value ?? {}) as Record<string, unknown>
    const target: Record<string, JsonValue> = {}
    for (const { name, shape, when } of fields) {
      const field = source[name]
      const isSet = field !== undefined && field !== null
      if (when === 'filled' && shape.isEmpty(field)) continue
      if (when === 'set' && !isSet) continue
      target[name] = isSet ? shape.project(field) : shape.zero
    }
    return target
  }
  return { zero: project({}), isEmpty: (value) => value === undefined || value === null, project }
}

export function list(item: Shape): Shape {
  return {
    zero: null,
    isEmpty: (value) => !Array.isArray(value) || value.length === 0,
    project: (value) => (value as unknown[]).map((element) => item.project(element)),
  }
}

/** A map with free keys, printed in the order of its keys. */
export function mapOf(item: Shape): Shape {
  return {
    zero: null,
    isEmpty: (value) =>
      value === undefined || value === null || Object.keys(value as Record<string, unknown>).length === 0,
    project: (value) => {
      const source = value as Record<string, unknown>
      return Object.fromEntries(
        Object.keys(source)
          .sort()
          .map((key) => [key, item.project(source[key])]),
      )
    },
  }
}
