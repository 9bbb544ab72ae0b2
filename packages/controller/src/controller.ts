import { isConflict, pauseAfter } from '@outrigger/client'
import {
  aborted,
  type BackoffOptions,
  type Clock,
  DeadlineExceeded,
  DurationCounter,
  type DurationHistogram,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import type { Outcome } from './outcome.ts'
import { sharedAbortController } from './shared-abort-controller.ts'
import { type Syncing, waitForSync } from './wait-for-sync.ts'
import { createWorkQueue, type WorkQueue, type WorkQueueStatistics } from './work-queue.ts'

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

/** What a controller has done since it was made; `controller_runtime_*` metrics can be printed from it. */
export interface ControllerStatistics {
  readonly name: string
  /** Reconciles that have ended, by how. They add up to the number of reconciles. */
  readonly reconciles: Readonly<Record<ReconcileResult, number>>
  /** Reconciles that missed their deadline; each is counted among `reconciles` too once it ends. */
  readonly timeouts: number
  /** Reconciles under way, also those past their deadline. */
  readonly activeWorkers: number
  readonly maxConcurrentReconciles: number
  readonly reconcileTime: DurationHistogram
  readonly queue: WorkQueueStatistics
}

export type ReconcileResult =
  /** Nothing to do until something changes. */
  | 'success'
  /** Failed, to be tried again after a pause. */
  | 'error'
  /** Lost a race against another writer, to be tried again after a pause. */
  | 'requeue'
  /** To be looked at again after a time that the reconcile named. */
  | 'requeue_after'

/** Keeps reconciling the keys it is given. May be run again after it has stopped. */
export interface Controller extends Runnable {
  readonly enqueue: Enqueue
  readonly statistics: ControllerStatistics
}

/** The buckets of controller-runtime, in seconds. */
const reconcileBounds: readonly number[] = [
  ...[0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
  ...[1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60],
]

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
  readonly #results: Record<ReconcileResult, number> = { success: 0, error: 0, requeue: 0, requeue_after: 0 }
  readonly #time = new DurationCounter(reconcileBounds)
  #timeouts = 0

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

  get statistics(): ControllerStatistics {
    return {
      name: this.name,
      reconciles: { ...this.#results },
      timeouts: this.#timeouts,
      activeWorkers: this.#inFlight.size,
      maxConcurrentReconciles: this.#options.concurrency ?? 1,
      reconcileTime: this.#time.read(),
      queue: this.#queue.statistics,
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    // Workers come and go at a signal of our own: one that many controllers share hears from each of them once.
    const stopping = sharedAbortController()
    const onAbort = () => stopping.abort(signal.reason)
    if (signal.aborted) return
    signal.addEventListener('abort', onAbort, { once: true })
    const disconnects = this.#options.sources.map((source) => source(this.enqueue))
    try {
      if (!(await waitForSync(this.#options.informers ?? [], stopping.signal))) return
      const workers = Array.from({ length: this.#options.concurrency ?? 1 }, () =>
        this.#work(stopping.signal),
      )
      await Promise.all(workers)
    } finally {
      signal.removeEventListener('abort', onAbort)
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
      this.#timeouts++
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
    const startedAt = this.#options.clock.monotonic()
    const ended = (result: ReconcileResult) => {
      this.#results[result]++
      this.#time.observe(this.#options.clock.monotonic() - startedAt)
    }
    try {
      const outcome = await this.#options.reconcile(key, signal)
      ended(outcome.next === 'wait' ? 'success' : 'requeue_after')
      this.#queue.forget(key)
      if (outcome.next === 'look-again') this.#queue.addAfter(key, Math.max(1, outcome.after))
    } catch (error) {
      ended(isConflict(error) ? 'requeue' : 'error')
      if (stopping.aborted) return
      this.#queue.addRateLimited(key, (pause) => pauseAfter(error, pause))
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
