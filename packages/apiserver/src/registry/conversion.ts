import { apiVersionOf, type KubeObject } from '@outrigger/kube'
import { encodeObject } from '../storage/encode-object.ts'
import type { Entry } from '../storage/store.ts'
import type { Resource } from './resource.ts'
import { collectionOf } from './stored-objects.ts'

/** An object ready to be sent, encoded at most once. */
export interface Shown {
  readonly object: KubeObject
  /** JSON. Begins with kind and apiVersion. */
  encoded(): Buffer
}

export const collectionFor = (resource: Resource): string => collectionOf(resource.storage)

/** Whether objects are stored in just the version this resource shows. */
export function isStorageVersion(resource: Resource): boolean {
  const { storage } = resource
  return storage.version === resource.version && storage.group === resource.group
}

export function show(object: KubeObject): Shown {
  let bytes: Buffer | undefined
  return {
    object,
    encoded() {
      bytes ??= encodeObject(object)
      return bytes
    },
  }
}

/** Stored objects in the version of `resource`. The objects may be frozen. */
export async function fromStorage(
  resource: Resource,
  entries: readonly (Entry | Shown)[],
  signal: AbortSignal,
): Promise<readonly Shown[]> {
  const apiVersion = apiVersionOf(resource)
  // A definition's storage version may have changed since an object was written.
  if (isStorageVersion(resource) && entries.every((entry) => entry.object.apiVersion === apiVersion))
    return entries
  const converted = await convert(
    resource,
    entries.map((entry) => entry.object),
    apiVersion,
    signal,
  )
  return converted.map(show)
}

/** A private object of this resource's version, as it is to be stored. */
export async function toStorage(
  resource: Resource,
  object: KubeObject,
  signal: AbortSignal,
): Promise<KubeObject> {
  if (isStorageVersion(resource)) return object
  const [converted] = await convert(resource, [object], apiVersionOf(resource.storage), signal)
  if (converted === undefined) throw new Error('the conversion lost the object')
  return Object.isFrozen(converted) ? { ...converted, metadata: { ...converted.metadata } } : converted
}

async function convert(
  resource: Resource,
  objects: readonly KubeObject[],
  apiVersion: string,
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const { convert: own } = resource.storage
  if (own !== undefined) return own(objects, apiVersion, signal)
  return objects.map((object) => ({ ...object, apiVersion }))
}
