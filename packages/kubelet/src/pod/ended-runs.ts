import { join } from 'node:path'
import type { PodIdentity, PodRuntime } from '../runtime.ts'
import { isAlive, type ObservedPod } from './observed-pod.ts'

/** Ended runs of a container that are kept beside the newest run. */
const keptRuns = 1
/** Logs outlive their runs, so that a log sidecar can catch up. */
const keptLogs = 5

/**
 * Removes old ended runs and the logs of even older ones. Ended sandboxes whose runs are all old go too.
 * Cheap when there is nothing to do.
 */
export async function collectEndedRuns(
  runtime: PodRuntime,
  observed: ObservedPod,
  pod: PodIdentity,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, runs] of observed.runs) {
    for (const run of runs.slice(1 + keptRuns)) {
      if (!isAlive(run)) await runtime.removeContainer(run.id, signal)
    }
    const newest = runs[0]
    if (newest === undefined || runs.length <= 1 + keptRuns) continue
    const oldest = newest.attempt - keptLogs
    if (oldest >= 0) await removeLogs(runtime, pod, name, oldest)
  }
  for (const sandbox of observed.sandboxes.slice(1)) {
    const isNeeded = sandbox.containers.some((run) =>
      observed.runs
        .get(run.name)
        ?.slice(0, 1 + keptRuns)
        .includes(run),
    )
    if (!isNeeded && !sandbox.isReady) await runtime.removeSandbox(sandbox.id, signal)
  }
}

async function removeLogs(
  runtime: PodRuntime,
  pod: PodIdentity,
  name: string,
  attempt: number,
): Promise<void> {
  const { files } = runtime
  const folder = join(files.logDirectory(pod), name)
  for (const file of await files.list(folder)) {
    if (file.startsWith(`${attempt}.log`)) await files.remove(join(folder, file))
  }
}
