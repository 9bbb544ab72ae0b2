/** Freezes a JSON tree through and through and returns it. Stops at what is frozen already. */
export function deepFreeze<T>(value: T): T {
  freeze(value)
  return value
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  if (Array.isArray(value)) {
    for (const item of value) freeze(item)
  } else {
    const fields = value as Record<string, unknown>
    for (const key in fields) freeze(fields[key])
  }
  Object.freeze(value)
}
