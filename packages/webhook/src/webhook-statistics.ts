import { DurationCounter, type DurationHistogram } from '@outrigger/foundation'

/** Upper ends of the latency buckets, in seconds: Prometheus' defaults, and finer ones below, where nearly all reviews fall. */
const latencyBounds: readonly number[] = [
  0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** What a webhook server has done since it was made. Counters only grow; read them as often as you like, it costs the server nothing in between. */
export interface WebhookStatistics {
  /** One entry for each path that is served, also when nobody has asked yet, in the order of the handlers. */
  readonly webhooks: readonly PathStatistics[]
  /** Requests refused because their body was larger than allowed, and the bytes that had been announced or read of them. */
  readonly tooLarge: { readonly requests: number; readonly bytes: number }
  /** Requests refused because too many were under way. */
  readonly overloads: number
  /** Requests for a path that nobody serves. */
  readonly unserved: number
  /** Connections that ended in the handshake: callers that do not trust the certificate, port scans. */
  readonly failedHandshakes: number
}

/** What has been asked at one path. */
export interface PathStatistics {
  readonly path: string
  readonly kind: 'admission' | 'conversion'
  /** Requests under way now. */
  readonly inFlight: number
  /** Requests answered, by HTTP status. 200 also for refusals; any other is a failed webhook to the API server. */
  readonly codes: readonly { readonly code: number; readonly count: number }[]
  /** Reviews answered, by operation (`CONVERT` for conversions) and whether they were allowed. */
  readonly reviews: readonly {
    readonly operation: string
    readonly isAllowed: boolean
    readonly count: number
  }[]
  /** Requests that missed their deadline. */
  readonly timeouts: number
  /** Requests whose caller went away before the answer. */
  readonly abandoned: number
  /** From the headers of a request to its answer. */
  readonly latency: DurationHistogram
}

/** Counts what is asked at one path. */
export class PathCounter {
  inFlight = 0
  timeouts = 0
  abandoned = 0
  readonly #path: string
  readonly #kind: PathStatistics['kind']
  readonly #codes = new Map<number, number>()
  readonly #allowed = new Map<string, number>()
  readonly #refused = new Map<string, number>()
  readonly #latency = new DurationCounter(latencyBounds)

  constructor(path: string, kind: PathStatistics['kind']) {
    this.#path = path
    this.#kind = kind
  }

  /** A request was answered after so many milliseconds. */
  answered(code: number, milliseconds: number): void {
    this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1)
    this.#latency.observe(milliseconds)
  }

  /** A review was understood and decided. */
  decided(operation: string, isAllowed: boolean): void {
    const counts = isAllowed ? this.#allowed : this.#refused
    counts.set(operation, (counts.get(operation) ?? 0) + 1)
  }

  read(): PathStatistics {
    const reviewsOf = (counts: ReadonlyMap<string, number>, isAllowed: boolean) =>
      [...counts].map(([operation, count]) => ({ operation, isAllowed, count }))
    return {
      path: this.#path,
      kind: this.#kind,
      inFlight: this.inFlight,
      codes: [...this.#codes].map(([code, count]) => ({ code, count })),
      reviews: [...reviewsOf(this.#allowed, true), ...reviewsOf(this.#refused, false)],
      timeouts: this.timeouts,
      abandoned: this.abandoned,
      latency: this.#latency.read(),
    }
  }
}
