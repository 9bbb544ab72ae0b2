import { isConflict } from '@outrigger/client'
import {
  aborted,
  type BackoffOptions,
  type Clock,
  DeadlineExceeded,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import type { Outcome } from './outcome.ts'
import { type Syncing, waitForSync } from './wait-for-sync.ts'
import { createWorkQueue, type WorkQueue } from './work-queue.ts'

/** Asks for a key to be reconciled, now or after a number of milliseconds. */
export type Enqueue = (key: string, after?: number) => void

/**
 * Connects the controller to what makes keys: usually `onChange` of an informer. Called when the
 * controller starts; the function it may return is called when the controller stops.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a source that has nothing to disconnect simply returns.
export type Source = (enqueue: Enqueue) => void | (() => void)

export interface ControllerOptions {
  /** For logs and metrics: `sidecarset`. */
  readonly name: string
  /**
   * Brings the world a step towards what the object under `key` wants. Must be safe to repeat. Never
   * runs twice at once for the same key. Throwing retries the key with backoff. The signal aborts
   * when the controller stops and at the deadline.
   */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<Outcome>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sources: readonly Source[]
  /** No key is reconciled before all of these have synced. Defaults to none. */
  readonly informers?: readonly Syncing[]
  /** Keys worked on at the same time. Defaults to 1. */
  readonly concurrency?: number
  /** Milliseconds one reconcile may take. Defaults to 120,000. */
  readonly deadline?: number
  /** Pauses after failures. Defaults to 5 ms doubling up to 5 minutes, with jitter. */
  readonly backoff?: BackoffOptions
}

/** Numbers since the controller was made. */
export interface ControllerCounters {
  readonly succeeded: number
  readonly failed: number
  readonly timedOut: number
  /** Keys ready and waiting for a free worker. */
  readonly ready: number
  /** Keys waiting for their time. */
  readonly delayed: number
  /** Keys being worked on. */
  readonly inProgress: number
}

/** Keeps reconciling the keys it is given. May be run again after it has stopped. */
export interface Controller extends Runnable {
  readonly enqueue: Enqueue
  readonly counters: ControllerCounters
}

/** A controller that does nothing before `run`. */
export function createController(options: ControllerOptions): Controller {
  return new QueueController(options)
}

class QueueController implements Controller {
  readonly name: string
  readonly #options: ControllerOptions
  readonly #logger: Logger
  readonly #queue: WorkQueue
  readonly #inFlight = new Set<Promise<void>>()
  readonly #counts = { succeeded: 0, failed: 0, timedOut: 0 }

  constructor(options: ControllerOptions) {
    this.name = options.name
    this.#options = options
    this.#logger = options.logger.with({ controller: options.name })
    this.#queue = createWorkQueue({
      clock: options.clock,
      random: options.random,
      ...(options.backoff && { backoff: options.backoff }),
    })
  }

  readonly enqueue: Enqueue = (key, after = 0) => this.#queue.addAfter(key, after)

  get counters(): ControllerCounters {
    const { ready, delayed, inProgress } = this.#queue
    return { ...this.#counts, ready, delayed, inProgress }
  }

  async run(signal: AbortSignal): Promise<void> {
    const disconnects = this.#options.sources.map((source) => source(this.enqueue))
    try {
      if (!(await waitForSync(this.#options.informers ?? [], signal))) return
      const workers = Array.from({ length: this.#options.concurrency ?? 1 }, () => this.#work(signal))
      await Promise.all(workers)
    } finally {
      for (const disconnect of disconnects) disconnect?.()
      await Promise.all(this.#inFlight)
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.#queue.next(signal); key !== undefined; key = await this.#queue.next(signal)) {
      await this.#process(key, signal)
    }
  }

  /**
   * Settles when the reconcile has ended or its deadline has passed. A reconcile that outlives its
   * deadline keeps its key (nobody else may work on it) but not its worker.
   */
  async #process(key: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) {
      this.#queue.done(key)
      return this.#queue.add(key)
    }
    const { clock } = this.#options
    const deadline = this.#options.deadline ?? 120_000
    const controller = new AbortController()
    const onAbort = () => controller.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const cancel = clock.after(deadline, () => {
      this.#counts.timedOut++
      controller.abort(new DeadlineExceeded(`reconcile of ${key}`, deadline))
    })
    const work = this.#reconcile(key, controller.signal, signal).finally(() => {
      cancel()
      signal.removeEventListener('abort', onAbort)
      this.#queue.done(key)
      this.#inFlight.delete(work)
    })
    this.#inFlight.add(work)
    await Promise.race([work, aborted(controller.signal)])
  }

  async #reconcile(key: string, signal: AbortSignal, stopping: AbortSignal): Promise<void> {
    try {
      const outcome = await this.#options.reconcile(key, signal)
      this.#counts.succeeded++
      this.#queue.forget(key)
      if (outcome.next === 'look-again') this.#queue.addAfter(key, Math.max(1, outcome.after))
    } catch (error) {
      if (stopping.aborted) return
      this.#counts.failed++
      this.#queue.addRateLimited(key)
      // Somebody else wrote first: routine wherever several controllers share an object.
      const say = isConflict(error) ? this.#logger.debug : this.#logger.warn
      say.call(this.#logger, 'reconcile failed and will be retried', {
        key,
        failures: this.#queue.failures(key),
        error: messageOf(error),
        ...stackOfDefect(error),
      })
    }
  }
}

/** The stack of errors that only a mistake in the code throws; refusals of the API server need none. */
function stackOfDefect(error: unknown): { stack?: string } {
  const isDefect =
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
  return isDefect && error.stack !== undefined ? { stack: error.stack } : {}
}
