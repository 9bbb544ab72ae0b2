import { setMaxListeners } from 'node:events'
import { pauseAfter } from '@outrigger/client'
import { backoffDelay, type Clock, type Random } from '@outrigger/foundation'

export interface WorkLoopOptions {
  readonly clock: Clock
  readonly random: Random
  /** One pass. `again`: something was done, another pass is due at once. */
  readonly turn: (signal: AbortSignal) => Promise<Progress>
  /** A pass failed; it is tried again after a pause. */
  readonly onFailure: (error: unknown) => void
}

export type Progress = 'again' | 'rest'

const failureBackoff = { initial: 1_000, max: 30_000, jitter: 0.2 }

/**
 * Runs passes over one thing: one at a time, whenever it is woken, and again when a pass has wished for it.
 * A pass that fails is repeated after 1 s, doubling up to 30 s. Idle, it holds no timer.
 */
export class WorkLoop {
  readonly #options: WorkLoopOptions
  #step = freshStep()
  #isDirty = false
  #isOver = false
  #failures = 0
  #nextLook: number | undefined
  #drive: Promise<void> | undefined
  #cancelTimer: () => void = () => {}

  constructor(options: WorkLoopOptions) {
    this.#options = options
  }

  /** Makes a pass soon. Nothing after the end. */
  wake(): void {
    if (this.#isOver) return
    this.#isDirty = true
    this.#drive ??= this.#run().finally(() => {
      this.#drive = undefined
    })
  }

  /** Breaks off the pass that is under way; its signal aborts. The next begins at once. */
  interrupt(): void {
    this.#step.abort(new Error('the pod has changed'))
    this.#step = freshStep()
  }

  /** Makes a pass in so many milliseconds, unless one comes earlier: each pass states its wishes anew. */
  lookAgainIn(milliseconds: number): void {
    const at = this.#options.clock.now() + Math.max(0, milliseconds)
    this.#nextLook = Math.min(this.#nextLook ?? at, at)
  }

  /** Makes no further pass. */
  finish(): void {
    this.#isOver = true
    this.#cancelTimer()
  }

  /** Breaks off and makes no further pass. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.finish()
    this.interrupt()
    await this.#drive
  }

  async #run(): Promise<void> {
    const { turn, onFailure, random } = this.#options
    while (this.#isDirty && !this.#isOver) {
      this.#isDirty = false
      this.#cancelTimer()
      this.#nextLook = undefined
      const { signal } = this.#step
      try {
        while ((await turn(signal)) === 'again') signal.throwIfAborted()
        this.#failures = 0
      } catch (error) {
        if (this.#isOver) return
        if (signal.aborted) {
          this.#isDirty = true
          continue
        }
        this.#failures++
        onFailure(error)
        this.lookAgainIn(pauseAfter(error, backoffDelay(failureBackoff, this.#failures, random)))
      }
      this.#setTimer()
    }
  }

  #setTimer(): void {
    this.#cancelTimer()
    if (this.#nextLook === undefined || this.#isOver) return
    const { clock } = this.#options
    this.#cancelTimer = clock.after(Math.max(0, this.#nextLook - clock.now()), () => this.wake())
  }
}

/** Hooks, stops and probes of all containers may listen to one step. */
function freshStep(): AbortController {
  const step = new AbortController()
  setMaxListeners(0, step.signal)
  return step
}
