import type { Clock } from '@outrigger/foundation'
import type { ContainerFiles } from '../container-files.ts'
import type { Sink, Source } from './pipe.ts'

/** What a simulated program can reach. */
export interface ProcessWorld {
  readonly clock: Clock
  readonly files: ContainerFiles
  readonly hostname: string
  /** Serves files of a folder on a port of the pod. Returns a function that stops it. */
  readonly serveFolder: (port: number, folder: string) => () => void
  /** Fetches a page. Rejects with a message like wget's. */
  readonly fetch: (
    url: string,
    signal: AbortSignal,
  ) => Promise<{ readonly status: number; readonly body: Buffer }>
  /** Sends a signal to the first process of the container. */
  readonly signalMain: (name: string) => void
}

export interface ProcessIo {
  readonly stdin: Source
  readonly stdout: Sink
  readonly stderr: Sink
}

/** One running program: its surroundings and how it is told to end. */
export class Process {
  readonly world: ProcessWorld
  readonly io: ProcessIo
  readonly environment: Map<string, string>
  directory: string
  /** Aborts with a `Killed` when the process must end now. */
  readonly signal: AbortSignal
  readonly traps: Map<string, string>
  /** Signals that have arrived and wait for the shell to look. */
  readonly pending: string[]
  readonly #wakers: Set<() => void>

  constructor(
    world: ProcessWorld,
    io: ProcessIo,
    environment: Map<string, string>,
    directory: string,
    signal: AbortSignal,
    parent?: Process,
  ) {
    this.world = world
    this.io = io
    this.environment = environment
    this.directory = directory
    this.signal = signal
    this.traps = parent?.traps ?? new Map()
    this.pending = parent?.pending ?? []
    this.#wakers = parent?.wakers ?? new Set()
  }

  get wakers(): Set<() => void> {
    return this.#wakers
  }

  /** The same process with other streams, for a command of a script. */
  with(io: Partial<ProcessIo>, isSubshell = false): Process {
    const environment = isSubshell ? new Map(this.environment) : this.environment
    return new Process(this.world, { ...this.io, ...io }, environment, this.directory, this.signal, this)
  }

  /** Delivers a signal that the process has a trap for. */
  deliver(name: string): void {
    this.pending.push(name)
    for (const wake of [...this.#wakers]) wake()
  }

  /** Waits for a signal with a trap, without a timer. Rejects when killed. */
  park(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason)
      if (this.pending.length > 0) return resolve()
      const finish = () => {
        this.#wakers.delete(finish)
        this.signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#wakers.delete(finish)
        reject(this.signal.reason)
      }
      this.#wakers.add(finish)
      this.signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  path(name: string): string {
    return name.startsWith('/') ? name : `${this.directory}/${name}`
  }

  async print(text: string): Promise<void> {
    await this.io.stdout.write(Buffer.from(text))
  }

  async complain(text: string): Promise<void> {
    await this.io.stderr.write(Buffer.from(`${text}\n`))
  }
}

/** Ends a process from outside. */
export class Killed extends Error {
  override readonly name = 'Killed'
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`killed (${exitCode})`)
    this.exitCode = exitCode
  }
}

/** Ends a process from inside. */
export class Exit extends Error {
  override readonly name = 'Exit'
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`exit ${exitCode}`)
    this.exitCode = exitCode
  }
}
