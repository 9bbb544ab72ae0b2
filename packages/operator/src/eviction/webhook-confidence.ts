import type { Clock } from '@outrigger/foundation'

export interface WebhookConfidenceOptions {
  readonly clock: Clock
  /** Whether a pod created now would be asked about. */
  isAnswering(): boolean
}

/** Milliseconds that webhooks must have answered before pods are sent away for new ones to come. */
const settleTime = 3_000

/** Tells since when webhooks answer: a pod that is made while they do not comes without its sidecars. */
export class WebhookConfidence {
  readonly #options: WebhookConfidenceOptions
  #since: number | undefined

  constructor(options: WebhookConfidenceOptions) {
    this.#options = options
  }

  /** A pod came that nobody asked us about: webhooks do not work yet, whatever we believe. */
  shake(): void {
    this.#since = undefined
  }

  /** Milliseconds until they have answered long enough; more than none where they do not. */
  wait(): number {
    const { clock, isAnswering } = this.#options
    if (!isAnswering()) this.#since = undefined
    else this.#since ??= clock.monotonic()
    return this.#since === undefined ? settleTime : Math.max(0, this.#since + settleTime - clock.monotonic())
  }
}
