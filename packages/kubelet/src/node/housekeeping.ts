import { type Clock, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import { recordedGrace } from '../pod/container-record.ts'
import { isAlive } from '../pod/observed-pod.ts'
import type { PodRuntime, SandboxState } from '../runtime.ts'

export interface HousekeepingOptions {
  readonly runtime: PodRuntime
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds between two looks. */
  readonly period: number
  /** What this node knows of a pod: its sandboxes as last seen, or undefined when it is not one of ours. */
  readonly known: (podUid: string) => readonly SandboxState[] | undefined
  /** Something of a known pod is not as it was last seen. */
  readonly onMissed: (podUid: string) => void
  /** Whether the API server has told which pods there are: before, nobody is an orphan. */
  readonly isTold: () => boolean
  /** Removes the volumes of a pod. */
  readonly removeVolumes: (podUid: string) => Promise<void>
}

/** Ends and removes what nobody owns, and notices what was missed. */
export class Housekeeping implements Runnable {
  readonly name = 'housekeeping'
  readonly #options: HousekeepingOptions
  readonly #burying = new Map<string, Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(options: HousekeepingOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    const { runtime, clock, logger, period, known, removeVolumes } = this.#options
    const onAbort = () => this.#stopping.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    while (!signal.aborted) {
      try {
        this.compare(await runtime.list(signal))
        for (const uid of await runtime.files.pods()) {
          if (known(uid) === undefined && !this.#burying.has(uid)) await removeVolumes(uid)
        }
      } catch (error) {
        if (!signal.aborted) logger.warn('leftovers could not be cleared', { error: messageOf(error) })
      }
      await clock.sleep(period, signal).catch(() => {})
    }
    signal.removeEventListener('abort', onAbort)
    await Promise.allSettled(this.#burying.values())
  }

  /** Compares everything the runtime has with what is known. */
  compare(sandboxes: readonly SandboxState[]): void {
    const { known, onMissed } = this.#options
    for (const [uid, ofPod] of groupByPod(sandboxes)) {
      const seen = known(uid)
      if (seen === undefined) this.#bury(uid, ofPod)
      else if (fingerprint(seen) !== fingerprint(ofPod)) onMissed(uid)
    }
  }

  /** Ends a pod that the API server knows nothing of. */
  #bury(uid: string, sandboxes: readonly SandboxState[]): void {
    const { runtime, logger, isTold, removeVolumes } = this.#options
    const { signal } = this.#stopping
    if (this.#burying.has(uid) || !isTold() || signal.aborted) return
    const work = async () => {
      for (const sandbox of sandboxes) {
        const alive = sandbox.containers.filter(isAlive)
        await Promise.all(alive.map((run) => runtime.stopContainer(run.id, recordedGrace(run), signal)))
        await runtime.stopSandbox(sandbox.id, signal)
        await runtime.removeSandbox(sandbox.id, signal)
        await runtime.files.remove(runtime.files.logDirectory(sandbox.pod))
      }
      await removeVolumes(uid)
    }
    const burial = work()
      .catch((error: unknown) => {
        if (signal.aborted) return
        logger.warn('an orphaned pod could not be removed', { uid, error: messageOf(error) })
      })
      .finally(() => this.#burying.delete(uid))
    this.#burying.set(uid, burial)
  }
}

/** Sandboxes by the uid of their pod. */
export function groupByPod(sandboxes: readonly SandboxState[]): Map<string, SandboxState[]> {
  const groups = new Map<string, SandboxState[]>()
  for (const sandbox of sandboxes) {
    const group = groups.get(sandbox.pod.uid)
    if (group === undefined) groups.set(sandbox.pod.uid, [sandbox])
    else group.push(sandbox)
  }
  return groups
}

/** Changes when something happened to the sandboxes or their containers. */
function fingerprint(sandboxes: readonly SandboxState[]): string {
  const runs = ({ containers }: SandboxState) =>
    containers
      .map((run) => run.id + run.state)
      .sort()
      .join()
  return sandboxes
    .map((sandbox) => `${sandbox.id}/${sandbox.isReady}:${runs(sandbox)}`)
    .sort()
    .join(';')
}
