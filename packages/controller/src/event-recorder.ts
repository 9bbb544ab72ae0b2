import { type Client, ConnectionError, isNotFound } from '@outrigger/client'
import {
  type Clock,
  formatTime,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import { type Event, type KubeObject, type ObjectReference, resources } from '@outrigger/kube'
import { EventCorrelator, type EventMemory, type Occurrence } from './event-correlator.ts'

export interface EventRecorderOptions {
  readonly client: Pick<Client, 'create' | 'patch'>
  /** Who reports: `sidecarset-controller`. */
  readonly component: string
  /** The node the component runs on; empty when that says nothing. */
  readonly host: string
  readonly clock: Clock
  readonly logger: Logger
  readonly random: Random
  /** Events waiting to be written; more are dropped. Defaults to 1,000. */
  readonly queueSize?: number
}

export interface EventDraft {
  readonly type: 'Normal' | 'Warning'
  /** One word in CamelCase for machines: `SidecarsUpdated`. */
  readonly reason: string
  /** One sentence for people, at most 1,024 characters; longer ones are cut. */
  readonly message: string
  /** Which part of the object: `spec.containers{web}`. */
  readonly fieldPath?: string
  readonly related?: ObjectReference
  readonly action?: string
}

/** Numbers since the recorder was made. */
export interface EventRecorderCounters {
  readonly written: number
  /** Repetitions counted on an event that exists. */
  readonly counted: number
  /** Held back because one object had too many. */
  readonly held: number
  /** Lost because the queue was full or the API server refused. */
  readonly dropped: number
}

/**
 * Tells people what happened, as Events of the API.
 *
 * Guarantees: `event` returns at once and never throws; failures reach the log, not the caller; the
 * same event again is counted on the first one, many similar ones are combined, and one object
 * cannot flood the API (the rules of client-go's correlator). On stop, what is queued is written
 * within five seconds or dropped.
 */
export interface EventRecorder extends Runnable {
  event(object: KubeObject, draft: EventDraft): void
  readonly counters: EventRecorderCounters
}

/** A recorder that queues until `run`. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new QueueingRecorder(options)
}

const maxAttempts = 12
const retryPause = 10_000
const drainTime = 5_000

class QueueingRecorder implements EventRecorder {
  readonly name = 'event recorder'
  readonly #options: EventRecorderOptions
  readonly #correlator: EventCorrelator
  readonly #counts = { written: 0, counted: 0, held: 0, dropped: 0 }
  #queue: Occurrence[] = []
  #wake: () => void = () => {}

  constructor(options: EventRecorderOptions) {
    this.#options = options
    this.#correlator = new EventCorrelator(options.clock)
  }

  get counters(): EventRecorderCounters {
    return { ...this.#counts }
  }

  event(object: KubeObject, draft: EventDraft): void {
    if (this.#queue.length >= (this.#options.queueSize ?? 1_000)) {
      this.#counts.dropped++
      return
    }
    this.#queue.push({
      involved: {
        kind: object.kind,
        ...(object.metadata.namespace && { namespace: object.metadata.namespace }),
        name: object.metadata.name,
        ...(object.metadata.uid && { uid: object.metadata.uid }),
        apiVersion: object.apiVersion,
        ...(object.metadata.resourceVersion && { resourceVersion: object.metadata.resourceVersion }),
        ...(draft.fieldPath !== undefined && { fieldPath: draft.fieldPath }),
      },
      type: draft.type,
      reason: draft.reason,
      message: draft.message.slice(0, 1024),
      at: this.#options.clock.now(),
      ...(draft.related && { related: draft.related }),
      ...(draft.action !== undefined && { action: draft.action }),
    })
    this.#wake()
  }

  async run(signal: AbortSignal): Promise<void> {
    const drain = new AbortController()
    let cancelDrain: () => void = () => {}
    const onAbort = () => {
      cancelDrain = this.#options.clock.after(drainTime, () => drain.abort())
      this.#wake()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    while (!drain.signal.aborted) {
      const occurrence = this.#queue.shift()
      if (occurrence !== undefined) await this.#record(occurrence, signal, drain.signal)
      else if (signal.aborted) break
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    this.#counts.dropped += this.#queue.length
    this.#queue = []
    cancelDrain()
    signal.removeEventListener('abort', onAbort)
  }

  async #record(occurrence: Occurrence, stopping: AbortSignal, signal: AbortSignal): Promise<void> {
    const verdict = this.#correlator.correlate(occurrence)
    if (verdict.kind === 'hold') {
      this.#counts.held++
      return
    }
    for (let attempt = 1; attempt <= maxAttempts && !signal.aborted; attempt++) {
      try {
        return await this.#write(verdict.occurrence, verdict.memory, signal)
      } catch (error) {
        // A server that answers has made up its mind; only one that cannot be reached is asked again.
        if (!(error instanceof ConnectionError) || attempt === maxAttempts || stopping.aborted) {
          this.#options.logger.warn('event was not written', {
            reason: occurrence.reason,
            error: messageOf(error),
          })
          break
        }
        const pause = attempt === 1 ? retryPause * this.#options.random.next() : retryPause
        await this.#options.clock.sleep(pause, stopping).catch(() => {})
      }
    }
    this.#counts.dropped++
  }

  async #write(occurrence: Occurrence, memory: EventMemory, signal: AbortSignal): Promise<void> {
    const { client } = this.#options
    const namespace = occurrence.involved.namespace ?? 'default'
    if (memory.name !== undefined) {
      const body = {
        count: memory.count,
        lastTimestamp: formatTime(occurrence.at),
        message: occurrence.message,
      }
      const key = { namespace, name: memory.name }
      try {
        await client.patch<Event>(resources.events, key, { type: 'strategic', body }, { signal })
        this.#counts.counted++
        return
      } catch (error) {
        // Events expire after an hour; a new one goes on counting.
        if (!isNotFound(error)) throw error
      }
    }
    const created = await client.create<Event>(resources.events, this.#compose(occurrence, memory), {
      signal,
    })
    memory.name = created.metadata.name
    this.#counts.written++
  }

  #compose(occurrence: Occurrence, memory: EventMemory) {
    const { clock, component, host, random } = this.#options
    const { involved, related, action } = occurrence
    const nanoseconds = BigInt(Math.floor(clock.now())) * 1_000_000n + BigInt(Math.floor(random.next() * 1e6))
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {
        name: `${(involved.name ?? '').slice(0, 230)}.${nanoseconds.toString(16)}`,
        namespace: involved.namespace ?? 'default',
      },
      involvedObject: involved,
      type: occurrence.type,
      reason: occurrence.reason,
      message: occurrence.message,
      source: { component, ...(host !== '' && { host }) },
      reportingComponent: component,
      reportingInstance: host,
      firstTimestamp: formatTime(memory.firstAt ?? occurrence.at),
      lastTimestamp: formatTime(occurrence.at),
      count: memory.count,
      ...(related && { related }),
      ...(action !== undefined && { action }),
    }
  }
}
