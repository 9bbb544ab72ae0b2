import { deepFreeze, type KubeObject, type ObjectKey } from '@outrigger/kube'
import { ChangeHistory, type HistoryLimits } from './change-history.ts'
import { Collection } from './collection.ts'
import { encodeObject } from './encode-object.ts'
import { orderingText } from './key-order.ts'
import {
  type Change,
  type CollectionName,
  type Entry,
  StorageFull,
  type Store,
  TooOldError,
  type Write,
  WriteConflict,
} from './store.ts'

/** One write as a journal keeps it. `bytes` is undefined for a deletion. */
export interface JournalRecord {
  readonly collection: CollectionName
  readonly key: ObjectKey
  readonly bytes: Buffer | undefined
}

/** Where committed writes survive. */
export interface Journal {
  /**
   * All or nothing; resolves when the records and the revision survive a killed process. Rejects with StorageFull
   * when nothing was tried for want of space, and with anything else when nothing can be kept any more.
   */
  commit(records: readonly JournalRecord[], revision: number): Promise<void>
  close(): Promise<void>
}

export interface MvccStoreOptions {
  /** Milliseconds on a clock that never jumps. */
  readonly monotonic: () => number
  readonly history?: HistoryLimits
  /** Absent: nothing survives, and writes are committed at once. */
  readonly journal?: Journal
  /** The revision to go on from. Defaults to 0. */
  readonly revision?: number
}

const defaultHistory: HistoryLimits = { most: 20_000, bytes: 32 * 1024 * 1024, least: 500, age: 75_000 }

/**
 * Collections of which there is much that hardly anybody looks at again: an hour's events. Their objects are read
 * from the JSON when somebody does.
 */
const coldCollections: ReadonlySet<CollectionName> = new Set(['events'])

class StoredEntry implements Entry {
  readonly key: ObjectKey
  readonly revision: number
  #object: KubeObject | undefined
  #bytes: Buffer | undefined

  constructor(key: ObjectKey, object: KubeObject, revision: number) {
    this.key = key
    this.#object = object
    this.revision = revision
  }

  get object(): KubeObject {
    return this.#object ?? deepFreeze(JSON.parse(this.encoded().toString()) as KubeObject)
  }

  encoded(): Buffer {
    this.#bytes ??= encodeObject(this.object)
    return this.#bytes
  }

  /** An object takes several times the room of its JSON. */
  shrink(): void {
    this.#bytes = unpooled(this.encoded())
    this.#object = undefined
  }
}

/** Small buffers are slices of one larger: kept for long, each would hold on to all of that. */
function unpooled(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}

interface PendingWrite {
  readonly collection: Collection
  readonly change: Change
  readonly resolve: (entry: Entry) => void
  readonly reject: (reason: unknown) => void
}

/** The one implementation of `Store`; where it keeps its writes is the journal's business. */
export class MvccStore implements Store {
  readonly #options: MvccStoreOptions
  readonly #collections = new Map<CollectionName, Collection>()
  #revision: number
  /** Of the newest write, committed or not. */
  #lastRevision: number
  #oldest: number
  #queue: PendingWrite[] = []
  #committing: Promise<void> | undefined
  #failure: unknown

  constructor(options: MvccStoreOptions) {
    this.#options = options
    this.#revision = options.revision ?? 0
    this.#lastRevision = this.#revision
    this.#oldest = this.#revision
  }

  /** Puts in what a journal had kept. Before the first write only. */
  load(collection: CollectionName, key: ObjectKey, object: KubeObject): void {
    const revision = Number(object.metadata.resourceVersion)
    const entry = new StoredEntry(key, deepFreeze(object), revision)
    if (coldCollections.has(collection)) entry.shrink()
    this.#collection(collection).put(entry)
  }

  get revision(): number {
    return this.#revision
  }

  get isHealthy(): boolean {
    return this.#failure === undefined
  }

  get collections(): Iterable<CollectionName> {
    return this.#collections.keys()
  }

  get(collection: CollectionName, key: ObjectKey): Entry | undefined {
    return this.#collections.get(collection)?.get(key)
  }

  latest(collection: CollectionName, key: ObjectKey): Entry | undefined {
    return this.#collections.get(collection)?.latest(key)
  }

  list(collection: CollectionName, namespace?: string): readonly Entry[] {
    return this.#collections.get(collection)?.list(namespace) ?? []
  }

  listLatest(collection: CollectionName, namespace?: string): readonly Entry[] {
    const found = this.#collections.get(collection)
    if (found === undefined) return []
    if (found.pending.size === 0) return found.list(namespace)
    return found.listWith(
      new Map([...found.pending].map(([text, pending]) => [text, pending.entry])),
      namespace,
    )
  }

  listAt(collection: CollectionName, revision: number, namespace?: string): readonly Entry[] {
    if (revision < this.#oldest) throw new TooOldError(revision, this.#oldest)
    const found = this.#collections.get(collection)
    return found === undefined ? [] : found.listWith(found.history.before(revision), namespace)
  }

  count(collection: CollectionName): number {
    return this.#collections.get(collection)?.size ?? 0
  }

  changes(collection: CollectionName): number {
    return this.#collections.get(collection)?.writes ?? 0
  }

  indexed(collection: CollectionName, index: string, value: string): readonly Entry[] {
    return this.#collections.get(collection)?.indexed(index, value) ?? []
  }

  addIndex(collection: CollectionName, index: string, readValue: (object: KubeObject) => string): void {
    this.#collection(collection).addIndex(index, readValue)
  }

  hasIndex(collection: CollectionName, index: string): boolean {
    return this.#collections.get(collection)?.hasIndex(index) ?? false
  }

  write(write: Write): Promise<Entry> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const collection = this.#collection(write.collection)
    const previous = collection.latest(write.key)
    if ((previous?.revision ?? 0) !== write.expected) return Promise.reject(new WriteConflict(previous))
    const revision = ++this.#lastRevision
    collection.writes++
    const change = createChange(write, previous, revision)
    if (this.#options.journal === undefined) {
      this.#publish(collection, change)
      return Promise.resolve(change.entry)
    }
    collection.pending.set(orderingText(write.key), {
      revision,
      entry: change.isDeletion ? undefined : change.entry,
    })
    return new Promise((resolve, reject) => {
      this.#queue.push({ collection, change, resolve, reject })
      this.#committing ??= this.#commitAll(this.#options.journal as Journal)
    })
  }

  watch(collection: CollectionName, from: number, receive: (change: Change) => void): () => void {
    const found = this.#collection(collection)
    for (const change of found.history.since(from)) receive(change)
    // One function may watch twice; each time is its own receiver.
    const own = (change: Change) => {
      if (change.revision > from) receive(change)
    }
    found.receivers.add(own)
    return () => void found.receivers.delete(own)
  }

  compact(): void {
    this.#oldest = this.#revision
    for (const collection of this.#collections.values()) collection.history.compact(this.#revision)
  }

  async close(): Promise<void> {
    while (this.#committing !== undefined) await this.#committing
    this.#failure ??= new Error('the store is closed')
    await this.#options.journal?.close()
  }

  /** Writes that arrive while a commit is under way go together into the next one. */
  async #commitAll(journal: Journal): Promise<void> {
    // Writers woken by one event get to join the first commit.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = this.#queue
      this.#queue = []
      try {
        await journal.commit(batch.map(recordOf), batch.at(-1)?.change.revision ?? this.#revision)
      } catch (error) {
        this.#fail(error, batch)
        continue
      }
      for (const { collection, change, resolve } of batch) {
        const text = orderingText(change.key)
        if (collection.pending.get(text)?.revision === change.revision) collection.pending.delete(text)
        this.#publish(collection, change)
        resolve(change.entry)
      }
    }
    this.#committing = undefined
  }

  /** Those that wait were checked against the ones that failed, and go with them. */
  #fail(reason: unknown, batch: readonly PendingWrite[]): void {
    if (!(reason instanceof StorageFull)) this.#failure = reason
    for (const { reject } of [...batch, ...this.#queue]) reject(reason)
    this.#queue = []
    for (const collection of this.#collections.values()) collection.pending.clear()
  }

  #publish(collection: Collection, change: Change): void {
    this.#revision = change.revision
    if (change.isDeletion) collection.delete(change.key)
    else collection.put(change.entry)
    collection.history.add(change)
    for (const receive of [...collection.receivers]) receive(change)
  }

  #collection(name: CollectionName): Collection {
    let found = this.#collections.get(name)
    if (found === undefined) {
      const { history = defaultHistory, monotonic } = this.#options
      found = new Collection(
        name,
        new ChangeHistory(history, monotonic, this.#oldest, coldCollections.has(name)),
      )
      this.#collections.set(name, found)
    }
    return found
  }
}

function createChange(write: Write, previous: Entry | undefined, revision: number): Change {
  const object = write.object ?? stamped((previous as Entry).object, revision)
  object.metadata.resourceVersion = String(revision)
  const entry = new StoredEntry(write.key, deepFreeze(object), revision)
  return {
    revision,
    key: write.key,
    entry,
    previous,
    isDeletion: write.object === undefined,
    renderings: new Map(),
  }
}

/** A shallow copy that may get another resourceVersion. */
export function stamped(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}

function recordOf({ collection, change }: PendingWrite): JournalRecord {
  return {
    collection: collection.name,
    key: change.key,
    bytes: change.isDeletion ? undefined : change.entry.encoded(),
  }
}

/** A store that lives and dies with the process. */
export function createMemoryStore(options: Pick<MvccStoreOptions, 'monotonic' | 'history'>): Store {
  return new MvccStore(options)
}
