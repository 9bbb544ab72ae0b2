/** How often durations of which length occurred, as Prometheus' histograms have it. All in seconds. */
export interface DurationHistogram {
  /** Upper ends of the buckets, ascending. */
  readonly bounds: readonly number[]
  /** `cumulative[i]` durations were at most `bounds[i]`; those above the last bound are in `count` alone. */
  readonly cumulative: readonly number[]
  readonly count: number
  readonly sum: number
}

/** Counts durations. Costs one search and one addition each; memory is one number per bucket. */
export class DurationCounter {
  readonly #bounds: readonly number[]
  readonly #buckets: Float64Array
  #count = 0
  #sum = 0

  /** `bounds`: upper ends of the buckets in seconds, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#buckets = new Float64Array(bounds.length)
  }

  observe(milliseconds: number): void {
    const seconds = milliseconds / 1_000
    this.#count++
    this.#sum += seconds
    const bucket = this.#bounds.findIndex((bound) => seconds <= bound)
    if (bucket >= 0) this.#buckets[bucket]!++
  }

  read(): DurationHistogram {
    let running = 0
    return {
      bounds: this.#bounds,
      cumulative: Array.from(this.#buckets, (count) => {
        running += count
        return running
      }),
      count: this.#count,
      sum: this.#sum,
    }
  }
}
