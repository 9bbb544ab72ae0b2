import type { Clock } from '@outrigger/foundation'

/** Nothing was heard on a watch for longer than a live server keeps quiet. */
export class WatchSilent extends Error {
  override readonly name = 'WatchSilent'
  /** Milliseconds. */
  readonly silence: number

  constructor(silence: number) {
    super(`the watch was silent for ${silence} ms`)
    this.silence = silence
  }
}

/**
 * A signal that aborts with `WatchSilent` when `heard` was not called for `silence` milliseconds, and
 * whenever `parent` aborts. Costs one timer per period, not one per event.
 */
export class SilenceGuard {
  readonly #controller = new AbortController()
  readonly #clock: Clock
  readonly #silence: number
  readonly #parent: AbortSignal
  readonly #onAbort = () => this.#controller.abort(this.#parent.reason)
  #heardAt: number
  #cancel: () => void = () => {}

  constructor(clock: Clock, silence: number, parent: AbortSignal) {
    this.#clock = clock
    this.#silence = silence
    this.#parent = parent
    this.#heardAt = clock.monotonic()
    if (parent.aborted) this.#onAbort()
    else parent.addEventListener('abort', this.#onAbort, { once: true })
    this.#arm(silence)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Something was heard. Answers with when, on the monotonic clock. */
  heard(): number {
    this.#heardAt = this.#clock.monotonic()
    return this.#heardAt
  }

  /** Aborts the signal for another reason. */
  end(reason: Error): void {
    this.#controller.abort(reason)
  }

  /** Ends the guard: the signal will not abort any more. */
  stop(): void {
    this.#cancel()
    this.#parent.removeEventListener('abort', this.#onAbort)
  }

  #arm(delay: number): void {
    this.#cancel = this.#clock.after(delay, () => {
      const quiet = this.#clock.monotonic() - this.#heardAt
      if (quiet >= this.#silence) this.#controller.abort(new WatchSilent(this.#silence))
      else this.#arm(this.#silence - quiet)
    })
  }
}
