import {
  backoffDelay,
  type Clock,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import type { PodRuntime, SandboxState } from './runtime.ts'

export interface RuntimeWatchOptions {
  readonly runtime: PodRuntime
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Something about this pod may have changed. */
  readonly onChange: (podUid: string) => void
  /** Everything the runtime has, from time to time. */
  readonly onList: (sandboxes: readonly SandboxState[]) => void
  /** Milliseconds between two complete lists. Defaults to 10,000. */
  readonly listPeriod?: number
}

/** Follows the runtime: its own word about changes, and a list now and then for what it missed. */
export class RuntimeWatch implements Runnable {
  readonly name = 'runtime watch'
  readonly #options: RuntimeWatchOptions

  constructor(options: RuntimeWatchOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#follow(signal), this.#listAgain(signal)])
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { runtime, clock, random, logger, onChange } = this.#options
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const uid of runtime.changes(signal)) {
          failures = 0
          onChange(uid)
        }
        if (signal.aborted) return
        failures++
      } catch (error) {
        if (signal.aborted) return
        failures++
        logger.warn('runtime events were lost', { error: messageOf(error) })
      }
      const pause = backoffDelay({ initial: 200, max: 10_000, jitter: 0.2 }, failures, random)
      await clock.sleep(pause, signal).catch(() => {})
    }
  }

  async #listAgain(signal: AbortSignal): Promise<void> {
    const { runtime, clock, logger, onList, listPeriod = 10_000 } = this.#options
    while (!signal.aborted) {
      try {
        await clock.sleep(listPeriod, signal)
        onList(await runtime.list(signal))
      } catch (error) {
        if (signal.aborted) return
        logger.warn('runtime could not be listed', { error: messageOf(error) })
      }
    }
  }
}
