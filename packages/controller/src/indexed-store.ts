import type { KubeObject } from '@outrigger/kube'
import type { IndexFunction, Store } from './informer.ts'

interface Index<T> {
  readonly valuesOf: IndexFunction<T>
  readonly buckets: Map<string, Map<string, T>>
}

const none: readonly never[] = []

/** Objects by key with any number of named indexes, kept current change by change. */
export class IndexedStore<T extends KubeObject> implements Store<T> {
  readonly #objects = new Map<string, T>()
  readonly #indexes = new Map<string, Index<T>>()
  readonly #onIndexError: (index: string, key: string, error: unknown) => void
  /** The answer to `list` until something changes. */
  #listed: readonly T[] | undefined

  /** `onIndexError` is told when an index function throws; the object is then not found by that index. */
  constructor(onIndexError: (index: string, key: string, error: unknown) => void) {
    this.#onIndexError = onIndexError
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  list(): readonly T[] {
    this.#listed ??= [...this.#objects.values()]
    return this.#listed
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys()
  }

  byIndex(index: string, value: string): readonly T[] {
    const found = this.#indexes.get(index)
    if (found === undefined) throw new RangeError(`there is no index called ${index}`)
    const bucket = found.buckets.get(value)
    return bucket === undefined ? none : [...bucket.values()]
  }

  /**
   * Adds an index over what is and will be in the store. Asking again for the same name with the
   * same function changes nothing. @throws RangeError for the same name with another function.
   */
  addIndex(name: string, valuesOf: IndexFunction<T>): void {
    const already = this.#indexes.get(name)
    if (already !== undefined) {
      if (already.valuesOf === valuesOf) return
      throw new RangeError(`the index ${name} already exists with another function`)
    }
    const index: Index<T> = { valuesOf, buckets: new Map() }
    this.#indexes.set(name, index)
    for (const [key, object] of this.#objects)
      insert(index, this.#values(name, index, key, object), key, object)
  }

  /** Puts the object in the place of what `key` held, which is returned. */
  set(key: string, object: T): T | undefined {
    const before = this.#objects.get(key)
    this.#objects.set(key, object)
    this.#listed = undefined
    for (const [name, index] of this.#indexes) {
      const values = this.#values(name, index, key, object)
      if (before !== undefined) removeExcept(index, this.#values(name, index, key, before), values, key)
      insert(index, values, key, object)
    }
    return before
  }

  /** Takes out what `key` held and returns it. */
  delete(key: string): T | undefined {
    const before = this.#objects.get(key)
    if (before === undefined) return undefined
    this.#objects.delete(key)
    this.#listed = undefined
    for (const [name, index] of this.#indexes)
      removeExcept(index, this.#values(name, index, key, before), none, key)
    return before
  }

  #values(name: string, index: Index<T>, key: string, object: T): readonly string[] {
    try {
      return index.valuesOf(object)
    } catch (error) {
      this.#onIndexError(name, key, error)
      return none
    }
  }
}

function insert<T>(index: Index<T>, values: readonly string[], key: string, object: T): void {
  for (const value of values) {
    let bucket = index.buckets.get(value)
    if (bucket === undefined) {
      bucket = new Map()
      index.buckets.set(value, bucket)
    }
    bucket.set(key, object)
  }
}

function removeExcept<T>(
  index: Index<T>,
  values: readonly string[],
  kept: readonly string[],
  key: string,
): void {
  for (const value of values) {
    if (kept.includes(value)) continue
    const bucket = index.buckets.get(value)
    if (bucket === undefined) continue
    bucket.delete(key)
    if (bucket.size === 0) index.buckets.delete(value)
  }
}
