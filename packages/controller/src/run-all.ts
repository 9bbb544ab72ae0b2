import { messageOf, type Runnable } from '@outrigger/foundation'
import { sharedAbortController } from './shared-abort-controller.ts'

/** One of several runnables ended although nobody asked it to. */
export class RunnableFailed extends Error {
  override readonly name = 'RunnableFailed'
  /** The `name` of the runnable that failed. */
  readonly runnable: string

  constructor(runnable: string, cause: unknown) {
    super(`${runnable} failed: ${messageOf(cause)}`, { cause })
    this.runnable = runnable
  }
}

/**
 * Runs all of them side by side until `signal` aborts.
 *
 * Guarantees: when one rejects, the others are aborted; settles only after every one of them has
 * ended; rejects with `RunnableFailed`, which names the first one that failed. A runnable that
 * resolves early has finished its work and does not stop the others.
 */
export async function runAll(runnables: readonly Runnable[], signal: AbortSignal): Promise<void> {
  const controller = sharedAbortController()
  const onAbort = () => controller.abort(signal.reason)
  if (signal.aborted) return
  signal.addEventListener('abort', onAbort, { once: true })
  let failure: RunnableFailed | undefined
  const runOne = async (runnable: Runnable) => {
    try {
      await runnable.run(controller.signal)
    } catch (error) {
      if (controller.signal.aborted && error === controller.signal.reason) return
      failure ??= new RunnableFailed(runnable.name, error)
      controller.abort(failure)
    }
  }
  try {
    await Promise.all(runnables.map(runOne))
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
  if (failure !== undefined) throw failure
}

/** Several runnables as one. */
export function runTogether(name: string, runnables: readonly Runnable[]): Runnable {
  return { name, run: (signal) => runAll(runnables, signal) }
}
