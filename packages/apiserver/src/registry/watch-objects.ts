import type { Clock, Random } from '@outrigger/foundation'
import { messageOf } from '@outrigger/foundation'
import { apiVersionOf, type KubeObject } from '@outrigger/kube'
import { stamped } from '../storage/mvcc-store.ts'
import { type Change, type Entry, type Store, TooOldError } from '../storage/store.ts'
import { collectionFor, fromStorage, isStorageVersion, type Shown, show } from './conversion.ts'
import { expired } from './list-objects.ts'
import type { Representation } from './media-types.ts'
import { type IncludedObject, partialMetadata, table } from './rendering.ts'
import type { ListOptions } from './request-options.ts'
import type { Resource } from './resource.ts'
import type { Selection } from './selection.ts'
import { internalError, StatusError } from './status-error.ts'

/** Where a watch writes its lines. */
export interface EventSink {
  /** False when the receiver cannot keep up; `drained` tells when it can again. */
  write(line: Buffer): boolean
  /** Rejects when the connection is gone or took too long. */
  drained(): Promise<void>
}

export interface WatchRequest {
  readonly resource: Resource
  readonly selection: Selection
  readonly options: ListOptions
  readonly representation: Representation
  readonly included: IncludedObject
}

export interface WatchEnvironment {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
}

const bookmarkInterval = 60_000
/** How long a watch goes on whose client names no end; a random part spreads reconnects. */
const shortestWatch = 30 * 60_000
/** Events waiting for one slow receiver, beyond those it was owed at the start. */
const mostWaiting = 20_000

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'
type Waiting =
  | { readonly type: 'initial'; readonly entry: Entry }
  | { readonly type: 'change'; readonly change: Change }
  | { readonly type: 'bookmark'; readonly revision: number; readonly endsInitial: boolean }
  | { readonly type: 'error'; readonly error: StatusError }

/**
 * Sends events until the client's time is over, `signal` aborts, history is too old or the receiver falls
 * too far behind. Resolves when the watch is over; everything it started has ended then.
 */
export async function watchObjects(
  environment: WatchEnvironment,
  request: WatchRequest,
  sink: EventSink,
  signal: AbortSignal,
): Promise<void> {
  await new WatchSession(environment, request, sink, signal).run()
}

class WatchSession {
  readonly #environment: WatchEnvironment
  readonly #request: WatchRequest
  readonly #sink: EventSink
  readonly #signal: AbortSignal
  #waiting: Waiting[] = []
  #isPumping = false
  #limit = mostWaiting
  #sentHeaders = false
  #finish: (() => void) | undefined

  constructor(environment: WatchEnvironment, request: WatchRequest, sink: EventSink, signal: AbortSignal) {
    this.#environment = environment
    this.#request = request
    this.#sink = sink
    this.#signal = signal
  }

  async run(): Promise<void> {
    const { clock, random } = this.#environment
    const { options } = this.#request
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    const end = () => this.#end()
    this.#signal.addEventListener('abort', end, { once: true })
    const cancels: (() => void)[] = []
    const milliseconds =
      options.timeoutSeconds === undefined
        ? shortestWatch * (1 + random.next())
        : Math.max(0, options.timeoutSeconds) * 1000
    cancels.push(clock.after(milliseconds, () => this.#endPolitely()))
    if (options.allowWatchBookmarks) this.#scheduleBookmark(cancels)
    try {
      if (!this.#signal.aborted) {
        const stop = this.#start()
        if (stop !== undefined) cancels.push(stop)
      } else end()
      await finished
    } finally {
      for (const cancel of cancels) cancel()
      this.#signal.removeEventListener('abort', end)
    }
  }

  #start(): (() => void) | undefined {
    const { store } = this.#environment
    const { resource, options, selection } = this.#request
    const collection = collectionFor(resource)
    const wantsState =
      options.sendInitialEvents ?? (options.resourceVersion === '' || options.resourceVersion === '0')
    const isFresh = options.resourceVersion === '' || options.resourceVersion === '0'
    const from = wantsState || isFresh ? store.revision : Number(options.resourceVersion)
    if (wantsState) {
      for (const entry of selection.candidates(store)) this.#waiting.push({ type: 'initial', entry })
      if (options.sendInitialEvents === true && options.allowWatchBookmarks)
        this.#waiting.push({ type: 'bookmark', revision: from, endsInitial: true })
    }
    this.#isPumping = true
    let stop: (() => void) | undefined
    try {
      stop = store.watch(collection, from, (change) => this.#push({ type: 'change', change }))
    } catch (error) {
      if (!(error instanceof TooOldError)) throw error
      this.#waiting.push({
        type: 'error',
        error: expired(`too old resource version: ${error.requested} (${error.oldest})`),
      })
    }
    this.#limit = this.#waiting.length + mostWaiting
    this.#isPumping = false
    void this.#pump()
    return stop
  }

  #scheduleBookmark(cancels: (() => void)[]): void {
    const { clock, store } = this.#environment
    const slot = cancels.length
    const next = () => {
      cancels[slot] = clock.after(bookmarkInterval, () => {
        this.#push({ type: 'bookmark', revision: store.revision, endsInitial: false })
        next()
      })
    }
    next()
  }

  /** A last bookmark saves the client a relist when it comes back. */
  #endPolitely(): void {
    if (this.#request.options.allowWatchBookmarks && !this.#isPumping) {
      this.#push({ type: 'bookmark', revision: this.#environment.store.revision, endsInitial: false })
    }
    this.#end()
  }

  #end(): void {
    this.#waiting = []
    this.#finish?.()
    this.#finish = undefined
  }

  #push(item: Waiting): void {
    if (this.#finish === undefined) return
    if (this.#waiting.length >= this.#limit) {
      this.#end()
      return
    }
    this.#waiting.push(item)
    if (!this.#isPumping) void this.#pump()
  }

  /** Writes what waits, in order. Runs synchronously as long as nothing has to be waited for. */
  async #pump(): Promise<void> {
    this.#isPumping = true
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting
        this.#waiting = []
        for (const item of batch) {
          if (this.#finish === undefined) return
          const rendered = this.#render(item)
          const line = rendered instanceof Promise ? await rendered : rendered
          if (line !== undefined && !this.#sink.write(line)) await this.#sink.drained()
          if (item.type === 'error') return this.#end()
        }
      }
    } catch (error) {
      if (error instanceof StatusError) this.#sink.write(errorLine(error))
      else if (!this.#signal.aborted) this.#sink.write(errorLine(internalError(messageOf(error))))
      this.#end()
    } finally {
      this.#isPumping = false
    }
  }

  #render(item: Waiting): Buffer | undefined | Promise<Buffer | undefined> {
    switch (item.type) {
      case 'initial':
        return this.#initialLine(item.entry)
      case 'change':
        return this.#changeLine(item.change)
      case 'bookmark':
        return this.#bookmarkLine(item.revision, item.endsInitial)
      case 'error':
        return errorLine(item.error)
    }
  }

  #initialLine(entry: Entry): Buffer | undefined | Promise<Buffer | undefined> {
    const { resource, selection } = this.#request
    if (isStorageVersion(resource)) return selection.matches(entry) ? this.#line('ADDED', entry) : undefined
    return fromStorage(resource, [entry], this.#signal).then(([shown]) =>
      shown !== undefined && selection.matches(shown) ? this.#line('ADDED', shown) : undefined,
    )
  }

  #changeLine(change: Change): Buffer | undefined | Promise<Buffer | undefined> {
    const { resource, selection } = this.#request
    if (!selection.covers(change.key)) return undefined
    if (isStorageVersion(resource)) return this.#transitionLine(change, change.entry, change.previous)
    const entries = change.previous === undefined ? [change.entry] : [change.entry, change.previous]
    return fromStorage(resource, entries, this.#signal).then(([now, before]) =>
      now === undefined ? undefined : this.#transitionLine(change, now, before),
    )
  }

  #transitionLine(change: Change, now: Shown, before: Shown | undefined): Buffer | undefined {
    const { selection } = this.#request
    const wasIn = before !== undefined && selection.matches(before)
    const isIn = !change.isDeletion && selection.matches(now)
    if (isIn) return this.#sharedLine(change, wasIn ? 'MODIFIED' : 'ADDED', now)
    if (!wasIn) return undefined
    // Who left the selection is shown as it was, with the revision of the change.
    if (change.isDeletion) return this.#sharedLine(change, 'DELETED', now)
    return this.#line('DELETED', show(stamped((before as Shown).object, change.revision)))
  }

  /** Most watches want the same bytes; they are made once for each change. */
  #sharedLine(change: Change, type: EventType, shown: Shown): Buffer {
    const { resource, representation, included } = this.#request
    if (representation.as === 'Table') return this.#line(type, shown)
    const name = `${type} ${apiVersionOf(resource)} ${representation.format} ${representation.as ?? ''} ${representation.metaVersion} ${included}`
    const known = change.renderings.get(name)
    if (known !== undefined) return known
    const line = this.#line(type, shown)
    change.renderings.set(name, line)
    return line
  }

  #line(type: EventType | 'BOOKMARK', shown: Shown): Buffer {
    const { resource, representation, included } = this.#request
    const head = `{"type":"${type}","object":`
    if (representation.as === 'Table') {
      const now = this.#environment.clock.now()
      const { resourceVersion } = shown.object.metadata
      const view = { representation, included, now, isHeadless: this.#sentHeaders }
      this.#sentHeaders = true
      if (type === 'BOOKMARK') {
        const empty = table(resource, [], { resourceVersion }, view)
        const row = { cells: [], object: partialMetadata(shown.object, representation) }
        return Buffer.from(`${head}${JSON.stringify({ ...empty, rows: [row] })}}\n`)
      }
      return Buffer.from(
        `${head}${JSON.stringify(table(resource, [shown.object], { resourceVersion }, view))}}\n`,
      )
    }
    if (representation.as !== undefined)
      return Buffer.from(`${head}${JSON.stringify(partialMetadata(shown.object, representation))}}\n`)
    return Buffer.concat([Buffer.from(head), shown.encoded(), lineEnd])
  }

  #bookmarkLine(revision: number, endsInitial: boolean): Buffer {
    const { resource } = this.#request
    const metadata = {
      resourceVersion: String(revision),
      ...(endsInitial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    }
    const { kind } = resource
    return this.#line(
      'BOOKMARK',
      show({ kind, apiVersion: apiVersionOf(resource), metadata } as unknown as KubeObject),
    )
  }
}

const lineEnd = Buffer.from('}\n')

const errorLine = (error: StatusError): Buffer =>
  Buffer.from(`${JSON.stringify({ type: 'ERROR', object: error.status })}\n`)
