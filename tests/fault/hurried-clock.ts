import { type Clock, SystemClock } from '@outrigger/foundation'

/** A clock whose waits are shorter than they were asked to be, so that deadlines of minutes pass in a test. */
export class HurriedClock implements Clock {
  readonly #clock = new SystemClock()
  readonly #factor: number

  /** Every wait takes the `factor`-th part. */
  constructor(factor: number) {
    this.#factor = factor
  }

  now(): number {
    return this.#clock.now()
  }

  monotonic(): number {
    return this.#clock.monotonic() * this.#factor
  }

  after(delay: number, action: () => void): () => void {
    return this.#clock.after(delay / this.#factor, action)
  }

  sleep(delay: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(delay / this.#factor, signal)
  }
}
