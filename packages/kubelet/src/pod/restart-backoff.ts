/** Delays between restarts of containers: 10 s, doubling up to 5 min, forgotten after 10 min without one. */
export class RestartBackoff {
  readonly #entries = new Map<string, { delay: number; at: number }>()
  readonly #initial: number
  readonly #max: number

  /** Milliseconds. */
  constructor(initial = 10_000, max = 300_000) {
    this.#initial = initial
    this.#max = max
  }

  /** Until when `key`, which failed at `since`, must wait: milliseconds since 1970. Undefined: not at all. */
  waitUntil(key: string, since: number, now: number): number | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || this.#isExpired(entry, now)) return undefined
    const until = since + entry.delay
    return until > now ? until : undefined
  }

  /** The delay in force, in milliseconds; 0 for none. */
  delay(key: string): number {
    return this.#entries.get(key)?.delay ?? 0
  }

  /** Counts one more attempt. */
  next(key: string, now: number): void {
    const entry = this.#entries.get(key)
    const isNew = entry === undefined || this.#isExpired(entry, now)
    this.#entries.set(key, { delay: isNew ? this.#initial : Math.min(this.#max, entry.delay * 2), at: now })
  }

  /**
   * Takes up what an earlier process had counted: the run that began at `at` had waited for `waited` milliseconds.
   * Nothing happens where there is a count already.
   */
  takeUp(key: string, waited: number, at: number): void {
    if (this.#entries.has(key)) return
    let delay = this.#initial
    // A wait is never shorter than its delay, and the next delay is twice that.
    while (delay <= waited && delay < this.#max) delay = Math.min(this.#max, delay * 2)
    this.#entries.set(key, { delay, at })
  }

  forget(key: string): void {
    this.#entries.delete(key)
  }

  #isExpired(entry: { at: number }, now: number): boolean {
    return now - entry.at > 2 * this.#max
  }
}

/** A duration as Go prints it in whole seconds: `10s`, `1m20s`, `5m0s`. */
export function formatGoSeconds(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m${seconds % 60}s`
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds % 60}s`
}

/** A duration as Go prints it in milliseconds: `12ms`, `1.204s`. */
export function formatGoMilliseconds(milliseconds: number): string {
  const whole = Math.round(milliseconds)
  if (whole < 1000) return `${whole}ms`
  const minutes = Math.floor(whole / 60_000)
  const seconds = String((whole % 60_000) / 1000)
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`
}
