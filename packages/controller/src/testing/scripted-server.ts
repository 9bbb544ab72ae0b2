import {
  ApiError,
  ConnectionError,
  type ListOptions,
  type Reader,
  type WatchOptions,
} from '@outrigger/client'
import { type KubeList, type KubeObject, keyOf, type ResourceRef, type WatchEvent } from '@outrigger/kube'

interface Connection {
  readonly options: WatchOptions
  readonly queue: WatchEvent[]
  end: 'open' | 'ended' | Error
  wake: () => void
}

/**
 * One resource of an API server in memory, with the watch semantics a real one showed: a watch from a
 * version yields everything after it, one from a compacted version fails with 410 as an ERROR event
 * does, and items of a list have neither kind nor apiVersion.
 */
export class ScriptedServer implements Reader {
  readonly lists: ListOptions[] = []
  readonly watches: WatchOptions[] = []
  /** Thrown by the next calls, one each. */
  readonly failures: unknown[] = []
  /** Changes happen, and open watches hear nothing of them. */
  isMute = false
  /** Called before each list, to change the world in between. */
  onList: (options: ListOptions) => void = () => {}
  #version = 10
  #oldest = 0
  readonly #objects = new Map<string, KubeObject>()
  readonly #log: { readonly version: number; readonly event: WatchEvent }[] = []
  readonly #connections = new Set<Connection>()
  readonly #snapshots = new Map<string, readonly KubeObject[]>()

  get version(): string {
    return String(this.#version)
  }

  get open(): number {
    return this.#connections.size
  }

  put(name: string, more: { uid?: string; labels?: Record<string, string> } = {}): KubeObject {
    const object: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        namespace: 'default',
        name,
        uid: more.uid ?? `uid-${name}`,
        resourceVersion: String(++this.#version),
        ...(more.labels && { labels: more.labels }),
      },
    }
    const type = this.#objects.has(keyOf(object)) ? 'MODIFIED' : 'ADDED'
    this.#objects.set(keyOf(object), object)
    this.#record({ type, object })
    return object
  }

  remove(name: string): void {
    const object = this.#objects.get(`default/${name}`)
    if (object === undefined) return
    this.#objects.delete(`default/${name}`)
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) }
    this.#record({ type: 'DELETED', object: { ...object, metadata } })
  }

  bookmark(): void {
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: '', resourceVersion: this.version } }
    for (const connection of this.#connections) push(connection, { type: 'BOOKMARK', object })
  }

  /** Forgets the past: watches from before now and lists under way fail with 410. */
  compact(): void {
    this.#oldest = this.#version
    this.#log.length = 0
    this.#snapshots.clear()
  }

  /** Ends every watch, quietly or with an error. */
  disconnect(error?: Error): void {
    for (const connection of this.#connections) {
      connection.end = error ?? 'ended'
      this.#connections.delete(connection)
      connection.wake()
    }
  }

  async get<T extends KubeObject>(): Promise<T> {
    throw new ApiError(404, { reason: 'NotFound' })
  }

  async list<T extends KubeObject>(_: ResourceRef, options: ListOptions = {}): Promise<KubeList<T>> {
    this.lists.push(options)
    this.onList(options)
    this.#failOnce()
    const [version = this.version, start = '0'] = options.continue?.split(' ') ?? []
    if (options.continue === undefined) this.#snapshots.set(version, [...this.#objects.values()])
    const all = this.#snapshots.get(version)
    if (all === undefined) throw new ApiError(410, { reason: 'Expired' })
    const end = Number(start) + (options.limit ?? all.length)
    const items = all.slice(Number(start), end).map(({ metadata }) => ({ metadata: { ...metadata } }))
    return {
      apiVersion: 'v1',
      kind: 'PodList',
      metadata: {
        resourceVersion: version,
        ...(end < all.length && { continue: `${version} ${end}` }),
      },
      // The items of a real list name no kind either.
      items: items as unknown as T[],
    }
  }

  async *watch<T extends KubeObject>(_: ResourceRef, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    this.watches.push(options)
    this.#failOnce()
    const connection: Connection = { options, queue: [], end: 'open', wake: () => {} }
    this.#begin(connection)
    const onAbort = () => connection.wake()
    options.signal.addEventListener('abort', onAbort)
    this.#connections.add(connection)
    try {
      for (;;) {
        options.signal.throwIfAborted()
        const event = connection.queue.shift()
        // Every object of this server is of the one resource the caller names as T.
        if (event !== undefined) yield structuredClone(event) as WatchEvent<T>
        else if (connection.end === 'ended') return
        else if (connection.end !== 'open') throw connection.end
        else await new Promise<void>((resolve) => (connection.wake = resolve))
      }
    } finally {
      this.#connections.delete(connection)
      options.signal.removeEventListener('abort', onAbort)
    }
  }

  #begin(connection: Connection): void {
    if (connection.options.sendInitialEvents) {
      for (const object of this.#objects.values()) connection.queue.push({ type: 'ADDED', object })
      const annotations = { 'k8s.io/initial-events-end': 'true' }
      const metadata = { name: '', resourceVersion: this.version, annotations }
      connection.queue.push({ type: 'BOOKMARK', object: { apiVersion: 'v1', kind: 'Pod', metadata } })
      return
    }
    const from = Number(connection.options.resourceVersion)
    if (from < this.#oldest)
      throw new ApiError(410, { reason: 'Expired', message: 'too old resource version' })
    for (const { version, event } of this.#log) if (version > from) connection.queue.push(event)
  }

  #record(event: WatchEvent): void {
    this.#log.push({ version: this.#version, event })
    if (!this.isMute) for (const connection of this.#connections) push(connection, event)
  }

  #failOnce(): void {
    if (this.failures.length > 0) throw this.failures.shift()
  }
}

function push(connection: Connection, event: WatchEvent): void {
  connection.queue.push(event)
  connection.wake()
}

/** What a client throws when nobody answers. */
export const unreachable = () => new ConnectionError('connection refused')
