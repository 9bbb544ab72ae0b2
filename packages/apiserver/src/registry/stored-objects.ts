import { type Clock, formatTime, type Random } from '@outrigger/foundation'
import { deepCopy, deepEqual, type KubeObject, type ObjectKey } from '@outrigger/kube'
import { type Store, WriteConflict } from '../storage/store.ts'
import type { Objects } from './objects.ts'

const maxAttempts = 100

/** The name of the collection that holds a resource: `pods`, `deployments.apps`. */
export function collectionOf(resource: { readonly group: string; readonly resource: string }): string {
  return resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`
}

/** The stored objects for the server's own use. */
export function createObjects(store: Store, clock: Clock, random: Random): Objects {
  return {
    get: <T extends KubeObject>(resource: { group: string; resource: string }, key: ObjectKey) =>
      store.latest(collectionOf(resource), key)?.object as T | undefined,
    *list<T extends KubeObject>(resource: { group: string; resource: string }, namespace?: string) {
      for (const entry of store.listLatest(collectionOf(resource), namespace)) yield entry.object as T
    },
    changes: (resource) => store.changes(collectionOf(resource)),
    async write(resource, key, change) {
      const collection = collectionOf(resource)
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const current = store.latest(collection, key)
        type Changed = NonNullable<ReturnType<typeof change>>
        const next = change(current === undefined ? undefined : (deepCopy(current.object) as Changed))
        if (next === undefined) return current?.object as Changed | undefined
        if (current === undefined) {
          next.metadata.uid ??= random.uuid()
          next.metadata.creationTimestamp ??= formatTime(clock.now())
        } else {
          next.metadata.resourceVersion = current.object.metadata.resourceVersion
          if (deepEqual(next, current.object)) return current.object as Changed
        }
        try {
          const expected = current?.revision ?? 0
          return (await store.write({ collection, key, expected, object: next })).object as Changed
        } catch (error) {
          if (!(error instanceof WriteConflict)) throw error
        }
      }
      throw new Error(`lost ${maxAttempts} races for ${collection} ${key.namespace}/${key.name}`)
    },
  }
}
