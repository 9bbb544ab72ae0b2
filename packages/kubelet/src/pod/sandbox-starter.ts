import { backoffDelay, messageOf } from '@outrigger/foundation'
import type { Pod } from '@outrigger/kube'
import type { NodeContext } from './node-context.ts'
import type { PodAction } from './plan-pod.ts'
import { sandboxSpec } from './sandbox-spec.ts'

/** Milliseconds. */
const sandboxBackoff = { initial: 1_000, max: 10_000 }

/** Makes the sandboxes of one pod. One that cannot be made is tried again after 1 s, doubling up to 10 s. */
export class SandboxStarter {
  readonly #context: NodeContext
  readonly #lookAgainIn: (milliseconds: number) => void
  #failures = 0
  /** Milliseconds since 1970. */
  #due = 0

  constructor(context: NodeContext, lookAgainIn: (milliseconds: number) => void) {
    this.#context = context
    this.#lookAgainIn = lookAgainIn
  }

  /** Answers whether one was made. Rejects only when the signal aborts or an old one cannot be stopped. */
  async start(
    pod: Pod,
    action: Extract<PodAction, { kind: 'create-sandbox' }>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { runtime, clock, dns, record } = this.#context
    const left = this.#due - clock.now()
    if (left > 0) {
      this.#lookAgainIn(left)
      return false
    }
    if (action.attempt > 0) {
      record(pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.')
    }
    for (const id of action.replaces) await runtime.stopSandbox(id, signal)
    try {
      const spec = sandboxSpec(pod, action.attempt, runtime.files, dns)
      await runtime.files.makeDirectory(spec.logDirectory, 0o755)
      await runtime.createSandbox(spec, signal)
      this.#failures = 0
      return true
    } catch (error) {
      if (signal.aborted) throw error
      this.#failures++
      const pause = backoffDelay(sandboxBackoff, this.#failures)
      this.#due = clock.now() + pause
      this.#lookAgainIn(pause)
      const message = `Failed to create pod sandbox: ${messageOf(error)}`
      record(pod, 'Warning', 'FailedCreatePodSandBox', message)
      return false
    }
  }
}
