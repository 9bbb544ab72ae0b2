import type { Runnable } from '@outrigger/foundation'
import { RunnableFailed } from './run-all.ts'
import { sharedAbortController } from './shared-abort-controller.ts'

/**
 * Runs all stages side by side until `signal` aborts; then ends them one by one, the last one first, so that each can
 * rely on those before it until it has ended.
 *
 * Guarantees: a stage is asked to end only after every later one has ended; settles only after all have ended; when one
 * rejects, the others are ended in the same order, and `RunnableFailed` names the first that failed. A stage that
 * resolves early has finished its work and does not stop the others.
 */
export async function runInStages(stages: readonly Runnable[], signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  let failure: RunnableFailed | undefined
  let end: (reason: unknown) => void = () => {}
  const ending = new Promise<unknown>((resolve) => {
    end = resolve
  })
  const onAbort = () => end(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const running = stages.map((stage) => {
    const controller = sharedAbortController()
    const ended = stage.run(controller.signal).catch((error: unknown) => {
      if (controller.signal.aborted && error === controller.signal.reason) return
      failure ??= new RunnableFailed(stage.name, error)
      end(failure)
    })
    return { controller, ended }
  })
  void Promise.all(running.map(({ ended }) => ended)).then(() => end(undefined))
  const reason = await ending
  signal.removeEventListener('abort', onAbort)
  for (const { controller, ended } of running.reverse()) {
    controller.abort(reason)
    await ended
  }
  if (failure !== undefined) throw failure
}
