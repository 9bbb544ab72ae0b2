import { join } from 'node:path'
import { type Clock, formatTime, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import type { ContainerState, PodRuntime, SandboxState } from '../runtime.ts'

export interface LogRotationOptions {
  readonly runtime: PodRuntime
  readonly clock: Clock
  readonly logger: Logger
  /** Sandboxes whose containers may write logs. */
  readonly sandboxes: () => readonly SandboxState[]
  /** Bytes from which on a log is rotated. Defaults to 10 MiB. */
  readonly maxBytes?: number
  /** Files kept per log, the current one included. Defaults to 5. */
  readonly maxFiles?: number
  /** Milliseconds between two looks. Defaults to 10,000. */
  readonly period?: number
}

/** Renames logs that have grown too long and lets their containers write on in fresh files. */
export class LogRotation implements Runnable {
  readonly name = 'log rotation'
  readonly #options: LogRotationOptions

  constructor(options: LogRotationOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, period = 10_000, sandboxes } = this.#options
    // A runtime that cannot reopen logs keeps them in one file.
    if (this.#options.runtime.reopenLog === undefined) return
    while (!signal.aborted) {
      try {
        await clock.sleep(period, signal)
        for (const sandbox of sandboxes()) {
          for (const run of sandbox.containers)
            if (run.state === 'running') await this.#rotate(sandbox, run, signal)
        }
      } catch (error) {
        if (signal.aborted) return
        logger.warn('logs could not be rotated', { error: messageOf(error) })
      }
    }
  }

  async #rotate(sandbox: SandboxState, run: ContainerState, signal: AbortSignal): Promise<void> {
    const { runtime, clock, maxBytes = 10 * 1024 * 1024, maxFiles = 5 } = this.#options
    const { files } = runtime
    const folder = join(files.logDirectory(sandbox.pod), run.name)
    const log = `${run.attempt}.log`
    const size = await files.size(join(folder, log))
    if (size === undefined || size <= maxBytes) return
    const stamp = formatTime(clock.now()).replace(/[-:]/g, '').replace('T', '-').replace('Z', '')
    await files.rename(join(folder, log), join(folder, `${log}.${stamp}`))
    await runtime.reopenLog?.(run.id, signal)
    const rotated = (await files.list(folder)).filter((name) => name.startsWith(`${log}.`))
    for (const name of rotated.slice(0, Math.max(0, rotated.length - (maxFiles - 1)))) {
      await files.remove(join(folder, name))
    }
  }
}
