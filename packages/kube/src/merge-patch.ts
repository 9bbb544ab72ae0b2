import { deepCopy } from './deep-copy.ts'
import { deepEqual } from './deep-equal.ts'
import { isRecord } from './record.ts'

/**
 * The target after an RFC 7386 merge patch. The target is not changed; parts the patch does not touch are
 * shared with it, so copy before changing the answer in place.
 */
export function applyMergePatch(current: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return deepCopy(patch)
  const result: Record<string, unknown> = isRecord(current) ? { ...current } : {}
  for (const key of Object.keys(patch)) {
    const value = patch[key]
    if (key === '__proto__') continue
    if (value === null) delete result[key]
    else result[key] = applyMergePatch(result[key], value)
  }
  return result
}

/**
 * The smallest merge patch that turns `from` into `to`; `{}` when they are equal. A merge patch cannot
 * express a field that holds null, so nulls in `to` come out as missing fields.
 */
export function createMergePatch(from: unknown, to: unknown): unknown {
  if (!isRecord(to)) return deepCopy(to)
  if (!isRecord(from)) return withoutNulls(to)
  const patch: Record<string, unknown> = {}
  for (const key of Object.keys(from)) if (to[key] === undefined || to[key] === null) patch[key] = null
  for (const key of Object.keys(to)) {
    const value = to[key]
    if (value === undefined || value === null) continue
    if (!Object.hasOwn(from, key)) patch[key] = isRecord(value) ? withoutNulls(value) : deepCopy(value)
    else if (!deepEqual(from[key], value)) patch[key] = createMergePatch(from[key], value)
  }
  return patch
}

function withoutNulls(value: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    if (field === null || field === undefined) continue
    kept[key] = isRecord(field) ? withoutNulls(field) : deepCopy(field)
  }
  return kept
}
