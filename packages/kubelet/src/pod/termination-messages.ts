import { join } from 'node:path'
import type { ContainerState, PodFiles, PodIdentity } from '../runtime.ts'
import { joinLogText } from '../server/cri-log.ts'
import { terminationPolicyOf } from './container-record.ts'
import { terminationLogPath } from './container-spec.ts'
import type { ObservedPod } from './observed-pod.ts'

const maxMessageBytes = 4096
const maxLogBytes = 2048
const maxLogLines = 80

/** What ended containers said last: read once per run, when it has ended. */
export class TerminationMessages {
  readonly #files: PodFiles
  readonly #byRun = new Map<string, string>()

  constructor(files: PodFiles) {
    this.#files = files
  }

  get all(): ReadonlyMap<string, string> {
    return this.#byRun
  }

  /** Reads the messages of runs that have ended since, and forgets those of runs that are gone. */
  async collect(observed: ObservedPod, podUid: string, pod: PodIdentity): Promise<void> {
    const present = new Set<string>()
    for (const run of [...observed.runs.values()].flat()) {
      present.add(run.id)
      if (run.state !== 'exited' || this.#byRun.has(run.id)) continue
      const message = await this.#read(run, podUid, pod)
      if (message !== '') this.#byRun.set(run.id, message)
    }
    for (const id of this.#byRun.keys()) if (!present.has(id)) this.#byRun.delete(id)
  }

  async #read(run: ContainerState, podUid: string, pod: PodIdentity): Promise<string> {
    const path = terminationLogPath(this.#files, podUid, run.name, run.attempt)
    const written = await this.#files.readTail(path, maxMessageBytes)
    if (written !== undefined && written.length > 0) return written.toString('utf8')
    if (terminationPolicyOf(run) !== 'FallbackToLogsOnError' || run.exitCode === 0) return ''
    const log = join(this.#files.logDirectory(pod), run.name, `${run.attempt}.log`)
    // Each CRI line has a head of some 45 bytes, so more is read than is kept.
    const tail = await this.#files.readTail(log, maxLogBytes * 4)
    if (tail === undefined) return ''
    const lines = joinLogText(tail).split('\n')
    const text = lines.slice(-maxLogLines - 1).join('\n')
    return Buffer.from(text).subarray(-maxLogBytes).toString('utf8')
  }
}
