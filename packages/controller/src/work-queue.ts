import {
  type BackoffOptions,
  backoffDelay,
  type Clock,
  DurationCounter,
  type DurationHistogram,
  type Random,
} from '@outrigger/foundation'
import { DueHeap } from './due-heap.ts'

export interface WorkQueueOptions {
  readonly clock: Clock
  /** Draws the jitter of the backoff. Left out: no jitter. */
  readonly random?: Random
  /** Pauses of `addRateLimited`. Defaults to 5 ms doubling up to 5 minutes, with a jitter of 0.2. */
  readonly backoff?: BackoffOptions
}

/** What a queue has seen since it was made; client-go's `workqueue_*` metrics can be printed from it. */
export interface WorkQueueStatistics {
  /** Keys ready and waiting for a free worker. */
  readonly depth: number
  /** Keys waiting for their time. */
  readonly delayed: number
  /** Keys being worked on. */
  readonly inProgress: number
  /** Keys that became ready, or will once the work in progress on them is done; repetitions are not counted. */
  readonly adds: number
  /** Failures that were followed by another attempt. */
  readonly retries: number
  /** Seconds of work in progress, added up over the keys. */
  readonly unfinishedWorkSeconds: number
  /** Seconds of the work in progress that began first; 0 without any. */
  readonly longestRunningProcessorSeconds: number
  /** From becoming ready to being taken. */
  readonly queueDuration: DurationHistogram
  /** From being taken to being done. */
  readonly workDuration: DurationHistogram
}

/**
 * Keys that want to be worked on.
 *
 * Guarantees: a key waits at most once however often it was added; a key that was taken is not
 * handed out again before `done`, and is then handed out once more if it was added meanwhile; keys
 * are handed out in the order in which they became ready, so no key starves.
 */
export interface WorkQueue {
  /** Makes `key` ready at once. */
  add(key: string): void
  /** Makes `key` ready after `delay` milliseconds; of several delays the earliest wins. */
  addAfter(key: string, delay: number): void
  /**
   * Counts a failure of `key` and makes it ready after the pause its failures in a row call for, or what `adapt` makes
   * of that pause.
   */
  addRateLimited(key: string, adapt?: (pause: number) => number): void
  /** Forgets the failures of `key`. */
  forget(key: string): void
  /** Failures in a row that `addRateLimited` has counted for `key`. */
  failures(key: string): number
  /** The next ready key, or undefined when none is. Whoever takes a key must call `done`. */
  take(): string | undefined
  /** Waits for a ready key. Resolves with undefined once `signal` aborts or the queue is shut down. */
  next(signal: AbortSignal): Promise<string | undefined>
  /** Ends the work on a key that was taken. */
  done(key: string): void
  /** No key is handed out any more, delayed keys are dropped and `add` does nothing. */
  shutDown(): void
  /** Keys ready to be taken. */
  readonly ready: number
  /** Keys waiting for their time. */
  readonly delayed: number
  /** Keys taken and not done. */
  readonly inProgress: number
  readonly statistics: WorkQueueStatistics
}

/** The buckets of client-go: 10 ns to 1,000 s, each ten times the one before. */
const queueBounds: readonly number[] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1_000]

const defaultBackoff: BackoffOptions = { initial: 5, max: 300_000, factor: 2, jitter: 0.2 }

/** A new, empty queue. Runs one timer at most, and only while a key waits for its time. */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new FairWorkQueue(options)
}

interface Taker {
  readonly resolve: (key: string | undefined) => void
}

class FairWorkQueue implements WorkQueue {
  readonly #options: WorkQueueOptions
  /** Ready keys in order; `#head` is the first one not yet taken. */
  #order: string[] = []
  #head = 0
  /** Keys that are ready, or will be as soon as the work in progress on them is done, and when they were added. */
  readonly #dirty = new Map<string, number>()
  /** When each key was taken. */
  readonly #taken = new Map<string, number>()
  readonly #queueDuration = new DurationCounter(queueBounds)
  readonly #workDuration = new DurationCounter(queueBounds)
  #adds = 0
  #retries = 0
  readonly #failures = new Map<string, number>()
  /** When each delayed key is due; entries of the heap that disagree are outdated. */
  readonly #dueAt = new Map<string, number>()
  readonly #heap = new DueHeap()
  readonly #takers = new Set<Taker>()
  #timer: { readonly dueAt: number; readonly cancel: () => void } | undefined
  #isShutDown = false

  constructor(options: WorkQueueOptions) {
    this.#options = options
  }

  get ready(): number {
    return this.#order.length - this.#head
  }

  get delayed(): number {
    return this.#dueAt.size
  }

  get inProgress(): number {
    return this.#taken.size
  }

  get statistics(): WorkQueueStatistics {
    const now = this.#options.clock.monotonic()
    let unfinished = 0
    let longest = 0
    for (const takenAt of this.#taken.values()) {
      unfinished += now - takenAt
      longest = Math.max(longest, now - takenAt)
    }
    return {
      depth: this.ready,
      delayed: this.delayed,
      inProgress: this.inProgress,
      adds: this.#adds,
      retries: this.#retries,
      unfinishedWorkSeconds: unfinished / 1_000,
      longestRunningProcessorSeconds: longest / 1_000,
      queueDuration: this.#queueDuration.read(),
      workDuration: this.#workDuration.read(),
    }
  }

  add(key: string): void {
    if (this.#isShutDown || this.#dirty.has(key)) return
    this.#dirty.set(key, this.#options.clock.monotonic())
    this.#adds++
    if (!this.#taken.has(key)) this.#makeReady(key)
  }

  addAfter(key: string, delay: number): void {
    if (this.#isShutDown) return
    if (!(delay > 0)) {
      this.add(key)
      return
    }
    const dueAt = this.#options.clock.monotonic() + delay
    const already = this.#dueAt.get(key)
    if (already !== undefined && already <= dueAt) return
    this.#dueAt.set(key, dueAt)
    this.#heap.push({ key, dueAt })
    this.#armTimer()
  }

  addRateLimited(key: string, adapt = (pause: number) => pause): void {
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    this.#retries++
    const pause = backoffDelay(this.#options.backoff ?? defaultBackoff, failures, this.#options.random)
    this.addAfter(key, adapt(pause))
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0
  }

  take(): string | undefined {
    if (this.#isShutDown || this.#head >= this.#order.length) return undefined
    const key = this.#order[this.#head++]!
    this.#compact()
    const now = this.#options.clock.monotonic()
    this.#queueDuration.observe(now - (this.#dirty.get(key) ?? now))
    this.#dirty.delete(key)
    this.#taken.set(key, now)
    return key
  }

  next(signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted || this.#isShutDown) return Promise.resolve(undefined)
    const key = this.take()
    if (key !== undefined) return Promise.resolve(key)
    return new Promise((resolve) => {
      const onAbort = () => taker.resolve(undefined)
      const taker: Taker = {
        resolve: (key) => {
          signal.removeEventListener('abort', onAbort)
          this.#takers.delete(taker)
          resolve(key)
        },
      }
      this.#takers.add(taker)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  done(key: string): void {
    const takenAt = this.#taken.get(key)
    if (takenAt === undefined) return
    this.#taken.delete(key)
    this.#workDuration.observe(this.#options.clock.monotonic() - takenAt)
    if (this.#dirty.has(key)) this.#makeReady(key)
  }

  shutDown(): void {
    this.#isShutDown = true
    this.#timer?.cancel()
    this.#timer = undefined
    this.#dueAt.clear()
    this.#order = []
    this.#head = 0
    this.#dirty.clear()
    for (const taker of [...this.#takers]) taker.resolve(undefined)
  }

  #makeReady(key: string): void {
    this.#order.push(key)
    const taker = this.#takers.values().next().value
    if (taker !== undefined) taker.resolve(this.take())
  }

  /** Gives back the memory of taken keys once they are the larger part of the array. */
  #compact(): void {
    if (this.#head < 1024 || this.#head * 2 < this.#order.length) return
    this.#order = this.#order.slice(this.#head)
    this.#head = 0
  }

  #armTimer(): void {
    const first = this.#heap.peek()
    if (first === undefined || (this.#timer !== undefined && this.#timer.dueAt <= first.dueAt)) return
    this.#timer?.cancel()
    const cancel = this.#options.clock.after(first.dueAt - this.#options.clock.monotonic(), () => {
      this.#timer = undefined
      this.#releaseDue()
    })
    this.#timer = { dueAt: first.dueAt, cancel }
  }

  #releaseDue(): void {
    const now = this.#options.clock.monotonic()
    for (let first = this.#heap.peek(); first !== undefined; first = this.#heap.peek()) {
      const isCurrent = this.#dueAt.get(first.key) === first.dueAt
      if (isCurrent && first.dueAt > now) break
      this.#heap.pop()
      if (!isCurrent) continue
      this.#dueAt.delete(first.key)
      this.add(first.key)
    }
    this.#armTimer()
  }
}
