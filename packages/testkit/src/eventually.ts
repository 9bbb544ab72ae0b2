import type { Clock } from '@outrigger/foundation'

export interface EventuallyOptions {
  readonly clock: Clock
  /** Milliseconds to wait at most. Defaults to 10,000. */
  readonly timeout?: number
  /** Milliseconds between two questions. Defaults to 20. */
  readonly every?: number
}

/**
 * Asks until the answer is neither undefined nor false, and answers with it.
 *
 * @throws Error that names `what` and shows the last answer or failure when the time is up.
 */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  options: EventuallyOptions,
): Promise<T> {
  const { clock, timeout = 10_000, every = 20 } = options
  const deadline = clock.monotonic() + timeout
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
      last = answer
    } catch (error) {
      last = error
    }
    if (clock.monotonic() >= deadline)
      throw new Error(`${what} did not happen within ${timeout} ms; last: ${shown(last)}`)
    await clock.sleep(every)
  }
}

function shown(value: unknown): string {
  if (value instanceof Error) return value.message
  return JSON.stringify(value) ?? String(value)
}
