import type { Clock } from '@outrigger/foundation'
import type { Probe } from '@outrigger/kube'
import type { ProbeOutcome } from './probe-attempt.ts'

export interface ProbeLoopOptions {
  readonly probe: Probe
  readonly clock: Clock
  /** When the container was started; the initial delay counts from here. Milliseconds since 1970. */
  readonly startedAt: number
  readonly attempt: (signal: AbortSignal) => Promise<ProbeOutcome>
  /** Whether probing makes sense now; asked before each attempt. */
  readonly isWanted: () => boolean
  readonly onFailure: (output: string) => void
  /** The probe could not be made, twice in a row: once may only mean that the container is ending. */
  readonly onUnknown: (output: string) => void
  /** The thresholds turned the verdict. */
  readonly onTurn: (isPassing: boolean) => void
  readonly initially: boolean | undefined
}

/** Repeats one probe of one run of a container and applies its thresholds. */
export class ProbeLoop {
  readonly #options: ProbeLoopOptions
  readonly #stop = new AbortController()
  #cancelTimer: () => void = () => {}
  #isBusy = false
  #isUnknown = false
  #streak = 0
  #lastVerdict: boolean | undefined
  #isPassing: boolean | undefined

  constructor(options: ProbeLoopOptions) {
    this.#options = options
    this.#isPassing = options.initially
  }

  /** What the thresholds say; undefined while they say nothing. */
  get isPassing(): boolean | undefined {
    return this.#isPassing
  }

  /** Makes the first attempt after the initial delay. */
  start(): void {
    const { probe, clock, startedAt } = this.#options
    const due = startedAt + (probe.initialDelaySeconds ?? 0) * 1000
    this.#after(Math.max(0, due - clock.now()))
  }

  /** Probes at once instead of at the next period, for example when a container has just started. */
  hurry(): void {
    if (!this.#isBusy && !this.#stop.signal.aborted) {
      const { probe, clock, startedAt } = this.#options
      if (clock.now() >= startedAt + (probe.initialDelaySeconds ?? 0) * 1000) this.#after(0)
    }
  }

  stop(): void {
    this.#stop.abort()
    this.#cancelTimer()
  }

  #after(delay: number): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#options.clock.after(delay, () => void this.#tick())
  }

  async #tick(): Promise<void> {
    const { probe, clock } = this.#options
    const began = clock.monotonic()
    if (this.#options.isWanted()) {
      this.#isBusy = true
      try {
        this.#take(await this.#options.attempt(this.#stop.signal))
      } catch {
        // Only our own stop gets here; a probe that fails answers.
      }
      this.#isBusy = false
    }
    if (this.#stop.signal.aborted) return
    const period = (probe.periodSeconds ?? 10) * 1000
    this.#after(Math.max(0, period - (clock.monotonic() - began)))
  }

  #take(outcome: ProbeOutcome): void {
    if (this.#stop.signal.aborted) return
    const wasUnknown = this.#isUnknown
    this.#isUnknown = outcome.verdict === 'unknown'
    if (this.#isUnknown) {
      if (wasUnknown) this.#options.onUnknown(outcome.output)
      return
    }
    const isGood = outcome.verdict === 'success'
    if (!isGood) this.#options.onFailure(outcome.output)
    this.#streak = this.#lastVerdict === isGood ? this.#streak + 1 : 1
    this.#lastVerdict = isGood
    const { probe } = this.#options
    const threshold = isGood ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3)
    if (this.#streak < threshold || this.#isPassing === isGood) return
    this.#isPassing = isGood
    this.#options.onTurn(isGood)
  }
}
