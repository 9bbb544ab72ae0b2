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
  /** Never resolves; rejects when something fails, or when everything is being stopped. */
  readonly #end = deferred<never>()
  #isStopping = false

  constructor() {
    // Whoever waits for it hears; if nobody does, `stop` still runs.
    this.#end.promise.catch(() => {})
  }

  /** Rejects when anything that was started fails, and when `stop` begins. */
  get failure(): Promise<never> {
    return this.#end.promise
  }

  /** Runs it; resolves when `ready` does. Rejects when anything fails first, and once `stop` has begun. */
  async start<T>(runnable: Runnable, ready?: Promise<T>): Promise<T | undefined> {
    if (this.#isStopping) throw new Error(`${runnable.name} is not started any more`)
    const stop = new AbortController()
    const ended = runnable.run(stop.signal).then(
      () => {
        if (!stop.signal.aborted) this.#end.reject(new Error(`${runnable.name} ended unexpectedly`))
      },
      (error: unknown) => {
        if (!stop.signal.aborted) this.#end.reject(error)
      },
    )
    this.#running.push({ name: runnable.name, stop, ended })
    return ready === undefined ? undefined : Promise.race([ready, this.#end.promise])
  }

  /** Ends everything, last first. Repeatable. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#end.reject(new Error('stopping'))
    for (let running = this.#running.pop(); running !== undefined; running = this.#running.pop()) {
      running.stop.abort(new Error('stopping'))
      await running.ended
    }
  }
}
