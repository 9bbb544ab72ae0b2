import type { KubeObject } from '@outrigger/kube'

/** What an informer has seen, by key (`namespace/name`). Objects in it are shared: never change one. */
export interface Store<T extends KubeObject> {
  get(key: string): T | undefined
  list(): readonly T[]
  /** Objects for which the named index (declared when the informer was made) yields `value`. */
  byIndex(index: string, value: string): readonly T[]
  readonly size: number
}

/** Yields the values under which an object is found; empty for none. */
export type IndexFunction<T> = (object: T) => readonly string[]

export interface ChangeHandler<T> {
  /** First sight of an object, also for each one of the first list. */
  onAdd?(object: T): void
  /** `before` is what the store held. Called for every event, also when nothing we look at changed. */
  onUpdate?(object: T, before: T): void
  /** `object` is the last state known. */
  onDelete?(object: T): void
}

/** A local copy of one resource, kept current. */
export interface Informer<T extends KubeObject> {
  readonly store: Store<T>
  /** True once the first list is complete. */
  readonly hasSynced: boolean
  /** Resolves once `hasSynced` is true. */
  readonly synced: Promise<void>
  /** Adds a handler; objects already known are told to it at once. Returns a function that removes it. */
  onChange(handler: ChangeHandler<T>): () => void
}
