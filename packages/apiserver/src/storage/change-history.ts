import { orderingText } from './key-order.ts'
import { type Change, type Entry, TooOldError } from './store.ts'

export interface HistoryLimits {
  /** Never more changes than this. */
  readonly most: number
  /** Never more JSON than this many bytes, however few changes that are. */
  readonly bytes: number
  /** Up to this many are kept however old they are. */
  readonly least: number
  /** Beyond `least`, changes older than this many milliseconds go. */
  readonly age: number
}

interface Kept {
  readonly change: Change
  readonly at: number
  readonly bytes: number
}

/** So many of the newest changes keep what makes them quick to send; the others are kept small. */
const fresh = 64

/** The newest changes of one collection, oldest first. */
export class ChangeHistory {
  readonly #limits: HistoryLimits
  readonly #monotonic: () => number
  readonly #isCold: boolean
  /** Undefined before `#first`. */
  #changes: (Kept | undefined)[] = []
  #bytes = 0
  /** Forgotten changes still at the front of the array. */
  #first = 0
  /** Changes up to this revision are forgotten. */
  #oldest: number

  /** With `isCold` what is there now is soon kept small as well, not only what was. */
  constructor(limits: HistoryLimits, monotonic: () => number, oldest: number, isCold = false) {
    this.#limits = limits
    this.#isCold = isCold
    this.#monotonic = monotonic
    this.#oldest = oldest
  }

  /** The oldest revision that may be asked for. */
  get oldest(): number {
    return this.#oldest
  }

  add(change: Change): void {
    const now = this.#monotonic()
    const bytes = change.entry.encoded().length
    this.#changes.push({ change, at: now, bytes })
    this.#bytes += bytes
    this.#settle(this.#changes[this.#changes.length - 1 - fresh]?.change)
    for (;;) {
      const size = this.#changes.length - this.#first
      const front = this.#changes[this.#first]
      if (front === undefined || size <= 1) return
      const { most, least, age } = this.#limits
      const isTooMuch = this.#bytes > this.#limits.bytes
      if (!isTooMuch && (size <= least || (size <= most && now - front.at <= age))) return
      this.#bytes -= front.bytes
      this.#forget(front.change.revision)
    }
  }

  /** Whoever watches has had this change by now: of what is past, the JSON is enough. */
  #settle(change: Change | undefined): void {
    if (change === undefined) return
    change.renderings.clear()
    change.previous?.shrink()
    if (change.isDeletion || this.#isCold) change.entry.shrink()
  }

  /** Changes after `revision`, in order. Throws TooOldError. */
  since(revision: number): readonly Change[] {
    if (revision < this.#oldest) throw new TooOldError(revision, this.#oldest)
    let low = this.#first
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#changes[middle] as Kept).change.revision <= revision) low = middle + 1
      else high = middle
    }
    return this.#changes.slice(low).map((item) => (item as Kept).change)
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
    this.#bytes = 0
    this.#first = 0
    this.#oldest = revision
  }

  #forget(revision: number): void {
    this.#changes[this.#first++] = undefined
    this.#oldest = revision
    if (this.#first < 1024 || this.#first * 2 < this.#changes.length) return
    this.#changes = this.#changes.slice(this.#first)
    this.#first = 0
  }
}
