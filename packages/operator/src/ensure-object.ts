import { type Client, isAlreadyExists, isConflict, isNotFound } from '@outrigger/client'
import { isRecord, type KubeObject, type ResourceRef } from '@outrigger/kube'

/** What `ensureObject` did. */
export type Ensured = 'created' | 'updated' | 'unchanged'

/**
 * Makes an object be as wanted in the fields that are given; what others or the server added beside
 * them stays. A list is wanted as a whole. Writes only if something differs, guarded by the resource
 * version, and looks again when somebody was faster. `adapt` may put into what is wanted what others wrote into a list.
 */
export async function ensureObject<T extends KubeObject>(
  client: Pick<Client, 'get' | 'create' | 'update'>,
  resource: ResourceRef,
  wanted: T,
  signal: AbortSignal,
  adapt: (wanted: T, found: T) => T = (same) => same,
): Promise<Ensured> {
  const key = { namespace: wanted.metadata.namespace ?? '', name: wanted.metadata.name }
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await client.get<T>(resource, key, { signal }).catch((error: unknown) => {
        if (isNotFound(error)) return undefined
        throw error
      })
      if (found === undefined) {
        await client.create<T>(resource, wanted, { signal })
        return 'created'
      }
      const adapted = adapt(wanted, found)
      if (contains(found, adapted)) return 'unchanged'
      await client.update<T>(resource, merged(found, adapted) as T, { signal })
      return 'updated'
    } catch (error) {
      if (attempt >= 5 || !(isConflict(error) || isAlreadyExists(error))) throw error
    }
  }
}

/** Whether `found` has everything `wanted` says. Empty and absent are the same. */
export function contains(found: unknown, wanted: unknown): boolean {
  if (isEmpty(wanted)) return isEmpty(found)
  if (Array.isArray(wanted))
    return (
      Array.isArray(found) &&
      found.length === wanted.length &&
      wanted.every((item, i) => contains(found[i], item))
    )
  if (isRecord(wanted))
    return isRecord(found) && Object.entries(wanted).every(([key, value]) => contains(found[key], value))
  return found === wanted
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  if (Array.isArray(value)) return value.length === 0
  return isRecord(value) && Object.values(value).every(isEmpty)
}

function merged(found: unknown, wanted: unknown): unknown {
  if (!isRecord(found) || !isRecord(wanted)) return wanted
  const result: Record<string, unknown> = { ...found }
  for (const [key, value] of Object.entries(wanted)) result[key] = merged(found[key], value)
  return result
}
