import { UserError } from '@outrigger/foundation'
import type { KubeObject, ObjectKey } from '@outrigger/kube'

/** Objects of one kind, whatever version they are looked at in: `pods`, `deployments.apps`. */
export type CollectionName = string

/** One object as it is stored, with everything that is worth computing once. */
export interface Entry {
  readonly key: ObjectKey
  /** Frozen. `metadata.resourceVersion` is `String(revision)`. */
  readonly object: KubeObject
  readonly revision: number
  /** The object as JSON, encoded once and shared by whoever sends it. Begins with kind and apiVersion. */
  encoded(): Buffer
  /** From now on this is the past: `object` is read from the JSON again whenever somebody asks for it. */
  shrink(): void
}

/** One change, in the order of revisions. */
export interface Change {
  readonly revision: number
  readonly key: ObjectKey
  /** What is there now; for a deletion the last state, stamped with the revision of the deletion. */
  readonly entry: Entry
  /** What was there before; undefined when the object is new. */
  readonly previous: Entry | undefined
  readonly isDeletion: boolean
  /** Room for receivers to keep what they made of this change, so that the next one need not. */
  readonly renderings: Map<string, Buffer | undefined>
}

/** The revision asked for is no longer known. */
export class TooOldError extends Error {
  override readonly name = 'TooOldError'
  readonly requested: number
  /** The oldest revision that can still be asked for. */
  readonly oldest: number

  constructor(requested: number, oldest: number) {
    super(`revision ${requested} is too old, history begins at ${oldest}`)
    this.requested = requested
    this.oldest = oldest
  }
}

/** Somebody else wrote first, or the object is (or is not) there. */
export class WriteConflict extends Error {
  override readonly name = 'WriteConflict'
  /** What is there, perhaps not committed yet. */
  readonly latest: Entry | undefined

  constructor(latest: Entry | undefined) {
    super('the object has another revision than expected')
    this.latest = latest
  }
}

export interface Write {
  readonly collection: CollectionName
  readonly key: ObjectKey
  /** The revision that must be there, 0 for none. */
  readonly expected: number
  /** Handed over: the store stamps, freezes and keeps it. Undefined deletes. */
  readonly object: KubeObject | undefined
}

export interface Snapshot {
  /** Ordered by `namespace/name`. */
  readonly entries: readonly Entry[]
  readonly revision: number
}

/**
 * Objects with revisions. One counter for the whole store; each write takes the next number. Reads are
 * synchronous because the current state is in memory; they see what is committed.
 */
export interface Store {
  /** Of the newest committed write. */
  readonly revision: number
  /** False once a write could not be committed for another reason than want of space: nothing is stored any more. */
  readonly isHealthy: boolean
  get(collection: CollectionName, key: ObjectKey): Entry | undefined
  /** Like `get`, but sees writes that are on their way to the disk. For read-modify-write. */
  latest(collection: CollectionName, key: ObjectKey): Entry | undefined
  /** All entries, or those of one namespace, ordered by key. */
  list(collection: CollectionName, namespace?: string): readonly Entry[]
  /** The state at an earlier revision. Throws TooOldError. */
  listAt(collection: CollectionName, revision: number, namespace?: string): readonly Entry[]
  /** Like `list`, but sees writes on their way. */
  listLatest(collection: CollectionName, namespace?: string): readonly Entry[]
  count(collection: CollectionName): number
  /** Number of writes to the collection since start, committed or on their way. */
  changes(collection: CollectionName): number
  /** Entries whose index value is `value`, ordered by key. The index must have been added. */
  indexed(collection: CollectionName, index: string, value: string): readonly Entry[]
  addIndex(collection: CollectionName, index: string, readValue: (object: KubeObject) => string): void
  hasIndex(collection: CollectionName, index: string): boolean
  /**
   * Resolves with the new entry (for a deletion: the stamped last state) once the write is committed.
   * Rejects with WriteConflict, StorageFull, or with whatever kept it from being committed.
   */
  write(write: Write): Promise<Entry>
  /**
   * Calls `receive` for each change after `from`, first those already known, then as they are committed.
   * Throws TooOldError when changes after `from` were forgotten. The answer stops it.
   */
  watch(collection: CollectionName, from: number, receive: (change: Change) => void): () => void
  /** Forgets all history up to the current revision. */
  compact(): void
  readonly collections: Iterable<CollectionName>
  /** Waits for writes under way and releases the directory. No calls afterwards. */
  close(): Promise<void>
}

/** No room for a write: nothing of it was kept, and later ones are tried again. */
export class StorageFull extends UserError {
  constructor(place: string) {
    super(`no space is left on the device for ${place}`, 'make room there')
  }
}
