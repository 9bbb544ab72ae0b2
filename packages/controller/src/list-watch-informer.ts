import { ApiError, isGone, type ListOptions, listPages, pauseAfter, type Reader } from '@outrigger/client'
import {
  type BackoffOptions,
  backoffDelay,
  type Clock,
  type Deferred,
  deferred,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import { type KubeObject, keyOf, type ResourceRef, type WatchEvent } from '@outrigger/kube'
import { auditCache } from './cache-audit.ts'
import type { ChangeHandler, IndexFunction, Informer, Store } from './informer.ts'
import { ObjectCache } from './object-cache.ts'
import { SilenceGuard, WatchSilent } from './silence-guard.ts'

export interface InformerOptions<T extends KubeObject> {
  readonly client: Reader
  readonly resource: ResourceRef
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Left out: all namespaces. */
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** What of an arriving object is worth keeping. May change the object it is given. */
  readonly trim?: (object: KubeObject) => object
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>
  /** Milliseconds without an event or bookmark after which the watch is opened anew. Defaults to 120,000. */
  readonly silence?: number
  /** Objects asked for per page of the first list. Defaults to 500. */
  readonly pageSize?: number
  /** Ask for the first state inside the watch (watch-list) and fall back to a list. Defaults to false. */
  readonly watchList?: boolean
  /**
   * Milliseconds between two comparisons of the copy with the server, which find events that were lost although the watch
   * seemed well. Defaults to 0: never.
   */
  readonly audit?: number
  /** Pauses after failures. Defaults to 200 ms doubling up to 30 s, with jitter. */
  readonly backoff?: BackoffOptions
}

/** Numbers since the informer was made. */
export interface InformerCounters {
  /** Complete lists, the first one included. */
  readonly lists: number
  /** Lists because the version we had was too old. */
  readonly relists: number
  /** Watch connections opened. */
  readonly watches: number
  /** Watch connections given up because nothing was heard on them. */
  readonly silences: number
  /** Failed lists and watches, of any cause but old versions. */
  readonly failures: number
  /** Events and bookmarks received. */
  readonly events: number
  readonly objects: number
  /** Complete comparisons with the server. */
  readonly audits: number
  /** Objects whose events were lost, as far as an audit can tell; each audit that found some was followed by a new list. */
  readonly suspicions: number
  /** Whether a watch is open now. */
  readonly isWatching: boolean
  /** Since a list, an event or a bookmark arrived; `undefined` before the first one. */
  readonly silenceSeconds: number | undefined
}

/** An informer with its motor. */
export interface RunnableInformer<T extends KubeObject> extends Informer<T>, Runnable {
  readonly resource: ResourceRef
  readonly counters: InformerCounters
  /** Adds an index at any time. @throws RangeError if another function has that name. */
  addIndex(name: string, valuesOf: IndexFunction<T>): void
}

/**
 * A local copy of one resource; `run` keeps it current until its signal aborts.
 *
 * Guarantees: survives any failure of the API server or of the network, with jittered backoff;
 * resumes from the last version seen, and lists again (finding what was deleted meanwhile) only when
 * the server no longer has that version, or an audit finds that events were lost; an object replaced by a namesake is told as a deletion and
 * an addition; handlers are told one event at a time. May be run again after it has stopped.
 */
export function createInformer<T extends KubeObject>(options: InformerOptions<T>): RunnableInformer<T> {
  return new ListWatchInformer<T>(options)
}

/** The watch is given up because the copy is not what it should be. */
class EventsLost extends Error {
  override readonly name = 'EventsLost'
}

const defaultBackoff: BackoffOptions = { initial: 200, max: 30_000, factor: 2, jitter: 0.5 }
/** A watch that ends sooner than this without a word counts as a failure: the server is in trouble. */
const shortestWatch = 1_000

class ListWatchInformer<T extends KubeObject> implements RunnableInformer<T> {
  readonly name: string
  readonly resource: ResourceRef
  readonly #options: InformerOptions<T>
  readonly #logger: Logger
  readonly #cache: ObjectCache<T>
  readonly #synced: Deferred<void> = deferred()
  readonly #counts = {
    ...{ lists: 0, relists: 0, watches: 0, silences: 0, failures: 0, events: 0 },
    ...{ audits: 0, suspicions: 0 },
  }
  #hasSynced = false
  #watchList: boolean
  /** The last version seen; undefined when nothing is known or the server has forgotten it. */
  #version: string | undefined
  /** Keys seen while the first state arrives inside a watch. */
  #initial: Set<string> | undefined
  #failuresInARow = 0
  /** The watch that is open. */
  #guard: SilenceGuard | undefined
  /** When something was last heard, on the monotonic clock. */
  #heardAt: number | undefined

  constructor(options: InformerOptions<T>) {
    this.#options = options
    this.resource = options.resource
    this.name = `informer ${options.resource.resource}`
    this.#watchList = options.watchList ?? false
    this.#logger = options.logger.with({ resource: options.resource.resource })
    this.#cache = new ObjectCache<T>({
      resource: options.resource,
      logger: options.logger,
      ...(options.trim && { trim: options.trim }),
    })
    for (const [name, valuesOf] of Object.entries(options.indexes ?? {})) this.addIndex(name, valuesOf)
  }

  get store(): Store<T> {
    return this.#cache.store
  }

  get hasSynced(): boolean {
    return this.#hasSynced
  }

  get synced(): Promise<void> {
    return this.#synced.promise
  }

  get counters(): InformerCounters {
    const { clock } = this.#options
    return {
      ...this.#counts,
      objects: this.#cache.store.size,
      isWatching: this.#guard !== undefined,
      silenceSeconds: this.#heardAt === undefined ? undefined : (clock.monotonic() - this.#heardAt) / 1_000,
    }
  }

  onChange(handler: ChangeHandler<T>): () => void {
    return this.#cache.onChange(handler)
  }

  addIndex(name: string, valuesOf: IndexFunction<T>): void {
    this.#cache.store.addIndex(name, valuesOf)
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#follow(signal),
      this.#options.audit ? this.#audit(this.#options.audit, signal) : undefined,
    ])
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = this.#options.clock.monotonic()
      const eventsBefore = this.#counts.events
      try {
        if (this.#version === undefined && !this.#watchList) await this.#list(signal)
        await this.#watch(signal)
        const wasShort = this.#options.clock.monotonic() - startedAt < shortestWatch
        if (wasShort && this.#counts.events === eventsBefore) await this.#pause(undefined, signal)
      } catch (error) {
        if (signal.aborted) return
        await this.#recover(error, signal)
      }
    }
  }

  /** Looks now and then whether the copy is what the server has; a watch that lost something is not trusted any more. */
  async #audit(interval: number, signal: AbortSignal): Promise<void> {
    const { client, clock, random, resource } = this.#options
    while (!signal.aborted) {
      await clock.sleep(interval * (1 + 0.5 * random.next()), signal).catch(() => {})
      if (signal.aborted || !this.#hasSynced || this.#guard === undefined) continue
      try {
        const { store } = this.#cache
        const selection = this.#selection()
        const keys = await auditCache(
          { client, clock, resource, selection, store, pageSize: this.#options.pageSize ?? 500 },
          signal,
        )
        this.#counts.audits++
        if (keys.length > 0) this.#distrust(keys)
      } catch (error) {
        if (!signal.aborted) this.#logger.debug('audit could not be finished', { error: messageOf(error) })
      }
    }
  }

  #distrust(keys: readonly string[]): void {
    this.#counts.suspicions += keys.length
    this.#logger.warn('events were lost, listing again', { count: keys.length, first: keys[0] })
    this.#guard?.end(new EventsLost())
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, resource } = this.#options
    const seen = new Set<string>()
    const query: ListOptions = { ...this.#selection(), limit: this.#options.pageSize ?? 500, signal }
    let version = ''
    for await (const { list, isRestart } of listPages<T>(client, resource, query)) {
      if (isRestart) seen.clear()
      for (const item of list.items) {
        seen.add(keyOf(item))
        this.#cache.applyListed(item)
      }
      version = list.metadata.resourceVersion ?? ''
      this.#heardAt = this.#options.clock.monotonic()
    }
    this.#cache.removeAllExcept(seen)
    this.#version = version
    this.#counts.lists++
    this.#becomeSynced()
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, clock, random, resource } = this.#options
    const guard = new SilenceGuard(clock, this.#options.silence ?? 120_000, signal)
    this.#initial = this.#version === undefined ? new Set() : undefined
    this.#counts.watches++
    this.#guard = guard
    try {
      const events = client.watch<T>(resource, {
        ...this.#selection(),
        allowBookmarks: true,
        ...(this.#initial !== undefined
          ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' as const }
          : { resourceVersion: this.#version ?? '' }),
        // Spread, so that a thousand watches opened together do not end together.
        timeoutSeconds: Math.round(300 * (1 + random.next())),
        signal: guard.signal,
      })
      for await (const event of events) {
        this.#heardAt = guard.heard()
        this.#accept(event)
      }
      guard.signal.throwIfAborted()
    } catch (error) {
      throw guard.signal.aborted ? guard.signal.reason : error
    } finally {
      this.#guard = undefined
      guard.stop()
    }
  }

  #accept(event: WatchEvent<T>): void {
    if (event.type === 'ERROR') throw new ApiError(500, { message: 'the watch reported an error' })
    this.#counts.events++
    this.#failuresInARow = 0
    const { metadata } = event.object
    if (event.type === 'BOOKMARK') {
      if (metadata.annotations?.['k8s.io/initial-events-end'] === 'true') this.#endInitialEvents()
    } else if (event.type === 'DELETED') {
      this.#initial?.delete(keyOf(event.object))
      this.#cache.applyDeletion(event.object)
    } else if (this.#initial === undefined) {
      this.#cache.apply(event.object)
    } else {
      this.#initial.add(keyOf(event.object))
      this.#cache.applyListed(event.object)
    }
    // Initial events come in no order of version: before their end there is nothing to resume from.
    if (this.#initial === undefined && metadata.resourceVersion) this.#version = metadata.resourceVersion
  }

  #endInitialEvents(): void {
    if (this.#initial === undefined) return
    this.#cache.removeAllExcept(this.#initial)
    this.#initial = undefined
    this.#counts.lists++
    this.#becomeSynced()
  }

  #becomeSynced(): void {
    this.#failuresInARow = 0
    this.#hasSynced = true
    this.#synced.resolve()
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    if (isGone(error)) {
      this.#version = undefined
      this.#counts.relists++
      this.#logger.info('version is too old, listing again')
      // One free attempt; a server that is always too late is treated like any other failure.
      if (this.#failuresInARow++ === 0) return
      return this.#pause(error, signal)
    }
    if (error instanceof EventsLost) {
      this.#version = undefined
      return
    }
    if (error instanceof WatchSilent) {
      this.#counts.silences++
      // No warning: bookmarks are a courtesy, so a quiet resource can be silent on a healthy connection too.
      this.#logger.debug('watch was silent for too long and is opened anew', { silence: error.silence })
      return
    }
    if (
      this.#watchList &&
      this.#version === undefined &&
      error instanceof ApiError &&
      error.code < 500 &&
      error.code !== 429
    ) {
      this.#watchList = false
      this.#logger.debug('server refuses watch-list, listing instead', { error: error.message })
      return
    }
    this.#logger.warn('list or watch failed and will be retried', { error: messageOf(error) })
    await this.#pause(error, signal)
  }

  async #pause(error: unknown, signal: AbortSignal): Promise<void> {
    this.#counts.failures++
    this.#failuresInARow++
    const { clock, random } = this.#options
    const pause = backoffDelay(this.#options.backoff ?? defaultBackoff, this.#failuresInARow, random)
    await clock.sleep(pauseAfter(error, pause), signal).catch(() => {})
  }

  #selection(): Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> {
    const { namespace, labelSelector, fieldSelector } = this.#options
    return {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    }
  }
}
