/** What became of the requests between two points of a trial. */
export interface RequestFigures {
  readonly requests: number
  readonly failed: number
  /** Milliseconds between two answers, at most; up to the first one from the last answer before. */
  readonly longestGap: number
  /** What the client said of the first request that failed; undefined where none did. */
  readonly firstFailure: string | undefined
  /** How often the connection that is to stay open was closed. */
  readonly closed: number
}

interface Entry {
  readonly kind: 'ok' | 'failed' | 'closed'
  /** Milliseconds of the epoch, by the node's clock. */
  readonly at: number
  readonly message: string
}

const pattern = /^(\S+) (ok|failed|closed) (\d+) ?(.*)$/

/**
 * What the client of a trial has written: a line for each request and each connection that was closed, with the time that the
 * node stamped on it. Lines may be added repeatedly; each counts once.
 */
export class RequestLog {
  readonly #entries: Entry[] = []
  /** The highest number seen of requests, and of connections. */
  readonly #last = { request: 0, connection: 0 }
  #lastTime: string | undefined

  /** Takes over what is new in a log with timestamps. */
  add(text: string): void {
    for (const line of text.split('\n')) {
      const [, time = '', kind, digits, message = ''] = pattern.exec(line) ?? []
      if (kind !== 'ok' && kind !== 'failed' && kind !== 'closed') continue
      const series = kind === 'closed' ? 'connection' : 'request'
      const number = Number(digits)
      if (number <= this.#last[series]) continue
      this.#last[series] = number
      this.#lastTime = time
      this.#entries.push({ kind, at: Date.parse(time), message })
    }
  }

  /** When the last line was written, as the log has it; undefined before any. */
  get lastTime(): string | undefined {
    return this.#lastTime
  }

  /** This point of the log, for `figures`. */
  mark(): number {
    return this.#entries.length
  }

  /** How many requests there were since a mark. */
  requestsSince(mark: number): number {
    return this.#entries.slice(mark).filter(({ kind }) => kind !== 'closed').length
  }

  figures(from: number, to: number = this.mark()): RequestFigures {
    const entries = this.#entries.slice(from, to)
    const failures = entries.filter(({ kind }) => kind === 'failed')
    const before = this.#entries.slice(0, from).findLast(({ kind }) => kind === 'ok')
    let longestGap = 0
    let last = before?.at
    for (const { kind, at } of entries) {
      if (kind !== 'ok') continue
      if (last !== undefined) longestGap = Math.max(longestGap, at - last)
      last = at
    }
    return {
      requests: entries.filter(({ kind }) => kind !== 'closed').length,
      failed: failures.length,
      longestGap,
      firstFailure: failures[0]?.message,
      closed: entries.filter(({ kind }) => kind === 'closed').length,
    }
  }
}
