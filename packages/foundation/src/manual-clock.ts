import type { Clock } from './clock.ts'

interface Timer {
  readonly dueAt: number
  readonly order: number
  readonly action: () => void
}

/** A clock that stands still until `advance` is called. For tests. */
export class ManualClock implements Clock {
  /** Milliseconds since the start. Timers count in these, so that sums come out equal on both sides. */
  #elapsed = 0
  #order = 0
  readonly #start: number
  readonly #timers = new Set<Timer>()

  constructor(start = Date.parse('2026-01-01T00:00:00Z')) {
    this.#start = start
  }

  now(): number {
    return this.#start + this.#elapsed
  }

  monotonic(): number {
    return this.#elapsed
  }

  after(delay: number, action: () => void): () => void {
    const timer = { dueAt: this.#elapsed + Math.max(0, delay), order: this.#order++, action }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  sleep(delay: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        cancel()
        reject(signal?.reason)
      }
      const cancel = this.after(delay, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.#timers.size
  }

  /**
   * Moves time forward, firing what falls due in order. Between two timers the microtask queue is
   * drained, so that a woken sleeper may set its next timer before time passes it.
   */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#elapsed + milliseconds
    await settle()
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next)
      this.#elapsed = Math.max(this.#elapsed, next.dueAt)
      next.action()
      await settle()
    }
    this.#elapsed = end
    await settle()
  }

  #next(end: number): Timer | undefined {
    let best: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueAt > end) continue
      if (
        best === undefined ||
        timer.dueAt < best.dueAt ||
        (timer.dueAt === best.dueAt && timer.order < best.order)
      )
        best = timer
    }
    return best
  }
}

/** Lets everything that is ready in the event loop run, several rounds deep. */
export async function settle(rounds = 5): Promise<void> {
  for (let round = 0; round < rounds; round++) await new Promise((resolve) => setImmediate(resolve))
}
