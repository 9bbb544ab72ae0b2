import { setMaxListeners } from 'node:events'
import { type Clock, DeadlineExceeded } from '@outrigger/foundation'

/** Something that ends when its time is over. */
export interface Expiring {
  expire(): void
}

/** The deadlines that fall into the same tick. They share one signal, which aborts when the tick comes. */
export interface DeadlineSlot {
  readonly signal: AbortSignal
  /** Takes one out that ended in time. */
  delete(entry: Expiring): void
}

const tick = 100

/**
 * Many deadlines on one timer, each met up to 100 ms late. A timer, a signal and its listeners for each review would
 * cost as much as reading it.
 */
export class DeadlineWheel {
  readonly #clock: Clock
  readonly #slots = new Map<number, Slot>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `expire` after so many milliseconds, unless the entry is taken out of the slot before. */
  add(entry: Expiring, milliseconds: number): DeadlineSlot {
    const due = Math.ceil((this.#clock.monotonic() + milliseconds) / tick)
    let slot = this.#slots.get(due)
    if (slot === undefined) {
      slot = new Slot(milliseconds)
      this.#slots.set(due, slot)
    }
    slot.entries.add(entry)
    this.#cancel ??= this.#clock.after(tick, () => this.#turn())
    return slot
  }

  /** Ends everything now. */
  expireAll(): void {
    for (const slot of this.#slots.values()) slot.expire()
    this.#slots.clear()
  }

  #turn(): void {
    const now = Math.floor(this.#clock.monotonic() / tick)
    for (const [due, slot] of this.#slots) {
      if (due > now) continue
      this.#slots.delete(due)
      slot.expire()
    }
    this.#cancel = this.#slots.size > 0 ? this.#clock.after(tick, () => this.#turn()) : undefined
  }
}

class Slot implements DeadlineSlot {
  readonly entries = new Set<Expiring>()
  readonly #controller = new AbortController()
  readonly #milliseconds: number

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
    // A thousand reviews may wait with the same signal.
    setMaxListeners(0, this.#controller.signal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  delete(entry: Expiring): void {
    this.entries.delete(entry)
  }

  expire(): void {
    if (this.entries.size === 0) return
    this.#controller.abort(new DeadlineExceeded('a review', this.#milliseconds))
    for (const entry of [...this.entries]) entry.expire()
  }
}
