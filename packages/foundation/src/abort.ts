import type { Clock } from './clock.ts'

/** The reason of a signal that a deadline of ours aborted. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded'

  constructor(what: string, milliseconds: number) {
    super(`${what} did not finish within ${milliseconds} ms`)
  }
}

/**
 * Runs `work` with a signal that aborts when `signal` does or after `milliseconds`.
 *
 * Rejects with `DeadlineExceeded` on time-out even if `work` ignores its signal; `work` is then on
 * its own and must not be waited for.
 */
export async function withDeadline<T>(
  clock: Clock,
  milliseconds: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const controller = new AbortController()
  const onAbort = () => controller.abort(signal?.reason)
  if (signal?.aborted) throw signal.reason
  signal?.addEventListener('abort', onAbort, { once: true })
  const cancel = clock.after(milliseconds, () => controller.abort(new DeadlineExceeded(what, milliseconds)))
  try {
    return await Promise.race([work(controller.signal), rejectOnAbort(controller.signal)])
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** A promise and the two functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: unknown) => void
}

/** Node 20 has no `Promise.withResolvers`. */
export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Resolves when `signal` aborts; at once if it has. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
