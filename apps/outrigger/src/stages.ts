import { deferred, type Runnable } from '@outrigger/foundation'

interface Running {
  readonly name: string
  readonly stop: AbortController
  readonly ended: Promise<void>
}

/**
 * Things started one after the other and stopped in the opposite order, each only once the one after it
 * has ended. When one fails, `failure` rejects; the rest keeps running until `stop`.
 */
export class Stages {
  readonly #running: Running[] = []
  readonly #failure = deferred<never>()

  constructor() {
    // Whoever waits for it hears; if nobody does, `stop` still runs.
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when anything that was started fails. */
  get failure(): Promise<never> {
    return this.#failure.promise
  }

  /** Runs it; resolves when `ready` does, rejects when it or anything before it fails first. */
  async start<T>(runnable: Runnable, ready?: Promise<T>): Promise<T | undefined> {
    const stop = new AbortController()
    const ended = runnable.run(stop.signal).then(
      () => {
        if (!stop.signal.aborted) this.#failure.reject(new Error(`${runnable.name} ended unexpectedly`))
      },
      (error: unknown) => {
        if (!stop.signal.aborted) this.#failure.reject(error)
      },
    )
    this.#running.push({ name: runnable.name, stop, ended })
    return ready === undefined ? undefined : Promise.race([ready, this.#failure.promise])
  }

  /** Ends everything, last first. Repeatable. */
  async stop(): Promise<void> {
    for (let running = this.#running.pop(); running !== undefined; running = this.#running.pop()) {
      running.stop.abort(new Error('stopping'))
      await running.ended
    }
  }
}
