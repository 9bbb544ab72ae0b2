import { type Logger, messageOf } from '@outrigger/foundation'
import { apiVersionOf, type KubeObject, keyOf, type ResourceRef } from '@outrigger/kube'
import { IndexedStore } from './indexed-store.ts'
import type { ChangeHandler } from './informer.ts'

export interface ObjectCacheOptions {
  readonly resource: ResourceRef
  readonly logger: Logger
  readonly trim?: (object: KubeObject) => object
}

/**
 * The store of an informer and those who are told of changes to it. Knows nothing of connections:
 * it is fed what was listed and watched.
 *
 * Guarantees: handlers are told after the store has changed, in the order they were added; one that
 * throws disturbs neither the others nor the feed.
 */
export class ObjectCache<T extends KubeObject> {
  readonly store: IndexedStore<T>
  readonly #options: ObjectCacheOptions
  readonly #apiVersion: string
  readonly #handlers = new Set<ChangeHandler<T>>()

  constructor(options: ObjectCacheOptions) {
    this.#options = options
    this.#apiVersion = apiVersionOf(options.resource)
    this.store = new IndexedStore<T>((index, key, error) =>
      options.logger.error('index function threw', { index, key, error: messageOf(error) }),
    )
  }

  /** Adds a handler and tells it of everything already known. Returns a function that removes it. */
  onChange(handler: ChangeHandler<T>): () => void {
    // The same object may be added twice and removed once.
    const entry: ChangeHandler<T> = {
      onAdd: (object) => handler.onAdd?.(object),
      onUpdate: (object, before) => handler.onUpdate?.(object, before),
      onDelete: (object) => handler.onDelete?.(object),
    }
    this.#handlers.add(entry)
    for (const object of this.store.list()) this.#guard(() => entry.onAdd?.(object))
    return () => void this.#handlers.delete(entry)
  }

  /** An object was seen in this state by a watch. */
  apply(arrived: T): void {
    const object = this.#prepare(arrived)
    const key = keyOf(object)
    const before = this.store.get(key)
    if (before !== undefined && before.metadata.uid !== object.metadata.uid) this.remove(key)
    const replaced = this.store.set(key, object)
    if (replaced === undefined) this.#tell((handler) => handler.onAdd?.(object))
    else this.#tell((handler) => handler.onUpdate?.(object, replaced))
  }

  /** An object was deleted; `last` is its last state. */
  applyDeletion(last: T): void {
    const key = keyOf(last)
    const before = this.store.get(key)
    if (before === undefined) return
    const isSame = before.metadata.uid === last.metadata.uid
    this.store.delete(key)
    const object = isSame ? this.#prepare(last) : before
    this.#tell((handler) => handler.onDelete?.(object))
  }

  /** An object was listed. Says nothing when the store holds this very version. */
  applyListed(arrived: T): void {
    const before = this.store.get(keyOf(arrived))
    const isSame =
      before !== undefined &&
      before.metadata.uid === arrived.metadata.uid &&
      before.metadata.resourceVersion === arrived.metadata.resourceVersion
    if (!isSame) this.apply(arrived)
  }

  /** Everything that exists has been listed: what is not in `keys` is gone. */
  removeAllExcept(keys: ReadonlySet<string>): void {
    if (keys.size === this.store.size) return
    for (const key of [...this.store.keys()]) if (!keys.has(key)) this.remove(key)
  }

  remove(key: string): void {
    const before = this.store.delete(key)
    if (before !== undefined) this.#tell((handler) => handler.onDelete?.(before))
  }

  /** Items of a list come without kind and apiVersion; in the store every object names its kind. */
  #prepare(arrived: T): T {
    if (!arrived.kind) arrived.kind = this.#options.resource.kind
    if (!arrived.apiVersion) arrived.apiVersion = this.#apiVersion
    return this.#options.trim === undefined ? arrived : (this.#options.trim(arrived) as T)
  }

  #tell(what: (handler: ChangeHandler<T>) => void): void {
    for (const handler of this.#handlers) this.#guard(() => what(handler))
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#options.logger.error('change handler threw', {
        resource: this.#options.resource.resource,
        error: messageOf(error),
        ...(error instanceof Error && { stack: error.stack }),
      })
    }
  }
}

/** A trim function: drops `metadata.managedFields`, which few read and which is often half an object. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  if (object.metadata.managedFields !== undefined) object.metadata.managedFields = undefined
  return object
}
