import type { Clock } from '@outrigger/foundation'

/** Milliseconds until a pod is tried again that was refused: doubling from the first to the last. */
const retry = { first: 5_000, last: 300_000 }
/** Milliseconds without evictions after a new pod came without its sidecars as well: doubling. */
const futility = { first: 60_000, last: 3_600_000 }

interface Held {
  readonly failures: number
  readonly until: number
}

/** Who is to wait until when: pods that were not let go, and SidecarSets whose new pods come no better than the old ones. */
export class Pauses {
  readonly #clock: Clock
  readonly #pods = new Map<string, Held>()
  readonly #sidecarSets = new Map<string, Held>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  clear(): void {
    this.#pods.clear()
    this.#sidecarSets.clear()
  }

  holdBack(uid: string): void {
    this.#pods.set(uid, this.#longer(this.#pods.get(uid), retry))
  }

  release(uid: string): void {
    this.#pods.delete(uid)
  }

  isHeldBack(uid: string): boolean {
    return (this.#pods.get(uid)?.until ?? 0) > this.#clock.monotonic()
  }

  /** Milliseconds until the first pod may be tried again; forgets those whose longest pause is long over. */
  nextRetry(): number | undefined {
    const now = this.#clock.monotonic()
    let next: number | undefined
    for (const [uid, { until }] of this.#pods) {
      if (until > now) next = Math.min(next ?? until - now, until - now)
      else if (until + 2 * retry.last < now) this.#pods.delete(uid)
    }
    return next
  }

  failed(sidecarSet: string): void {
    this.#sidecarSets.set(sidecarSet, this.#longer(this.#sidecarSets.get(sidecarSet), futility))
  }

  succeeded(sidecarSet: string): void {
    this.#sidecarSets.delete(sidecarSet)
  }

  /** How often in a row evictions of a SidecarSet brought nothing, and the milliseconds until the next. */
  of(sidecarSet: string): { readonly failures: number; readonly wait: number } {
    const { failures = 0, until = 0 } = this.#sidecarSets.get(sidecarSet) ?? {}
    return { failures, wait: Math.max(0, until - this.#clock.monotonic()) }
  }

  #longer(before: Held | undefined, { first, last }: typeof retry): Held {
    const failures = (before?.failures ?? 0) + 1
    return { failures, until: this.#clock.monotonic() + Math.min(last, first * 2 ** (failures - 1)) }
  }
}
