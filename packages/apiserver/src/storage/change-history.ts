import { orderingText } from './key-order.ts'
import { type Change, type Entry, TooOldError } from './store.ts'

export interface HistoryLimits {
  /** Never more changes than this. */
  readonly most: number
  /** Up to this many are kept however old they are. */
  readonly least: number
  /** Beyond `least`, changes older than this many milliseconds go. */
  readonly age: number
}

/** The newest changes of one collection, oldest first. */
export class ChangeHistory {
  readonly #limits: HistoryLimits
  readonly #monotonic: () => number
  #changes: { readonly change: Change; readonly at: number }[] = []
  /** Forgotten changes still at the front of the array. */
  #first = 0
  /** Changes up to this revision are forgotten. */
  #oldest: number

  constructor(limits: HistoryLimits, monotonic: () => number, oldest: number) {
    this.#limits = limits
    this.#monotonic = monotonic
    this.#oldest = oldest
  }

  /** The oldest revision that may be asked for. */
  get oldest(): number {
    return this.#oldest
  }

  add(change: Change): void {
    const now = this.#monotonic()
    this.#changes.push({ change, at: now })
    for (;;) {
      const size = this.#changes.length - this.#first
      if (size <= this.#limits.least) return
      const front = this.#changes[this.#first]
      if (front === undefined || (size <= this.#limits.most && now - front.at <= this.#limits.age)) return
      this.#forget(front.change.revision)
    }
  }

  /** Changes after `revision`, in order. Throws TooOldError. */
  since(revision: number): readonly Change[] {
    if (revision < this.#oldest) throw new TooOldError(revision, this.#oldest)
    let low = this.#first
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#changes[middle]?.change.revision ?? 0) <= revision) low = middle + 1
      else high = middle
    }
    return this.#changes.slice(low).map((item) => item.change)
  }

  /** What was there at `revision` for each key that changed since. */
  before(revision: number): Map<string, Entry | undefined> {
    const replaced = new Map<string, Entry | undefined>()
    const changes = this.since(revision)
    for (let index = changes.length - 1; index >= 0; index--) {
      const change = changes[index] as Change
      replaced.set(orderingText(change.key), change.previous)
    }
    return replaced
  }

  compact(revision: number): void {
    this.#changes = []
    this.#first = 0
    this.#oldest = revision
  }

  #forget(revision: number): void {
    this.#first++
    this.#oldest = revision
    if (this.#first < 1024 || this.#first * 2 < this.#changes.length) return
    this.#changes = this.#changes.slice(this.#first)
    this.#first = 0
  }
}
