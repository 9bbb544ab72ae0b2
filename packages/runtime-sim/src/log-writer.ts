import type { Clock } from '@outrigger/foundation'
import { append, type MemoryFile } from './memory-tree.ts'
import type { Sink } from './shell/pipe.ts'

/** Longer lines are cut into parts, as containerd cuts them. */
const maxPart = 16 * 1024

/** Writes what a container prints to its log, in the CRI format. */
export class LogWriter {
  readonly #clock: Clock
  readonly #open: () => MemoryFile
  #file: MemoryFile | undefined
  readonly #pending = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }

  /** `open` gives the file at the log path, made where it is missing. */
  constructor(clock: Clock, open: () => MemoryFile) {
    this.#clock = clock
    this.#open = open
  }

  sink(stream: 'stdout' | 'stderr'): Sink {
    return { write: (data) => this.#write(stream, data) }
  }

  /** Makes the log exist, also for a container that prints nothing. */
  touch(): void {
    this.#file ??= this.#open()
  }

  /** The old file was renamed: goes on in a fresh one. */
  reopen(): void {
    this.#file = this.#open()
  }

  /** Writes the last lines, which lack their ends. */
  flush(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#pending[stream]
      this.#pending[stream] = Buffer.alloc(0)
      if (rest.length > 0) this.#line(stream, rest, 'F')
    }
  }

  #write(stream: 'stdout' | 'stderr', data: Buffer): void {
    let rest = this.#pending[stream].length === 0 ? data : Buffer.concat([this.#pending[stream], data])
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      this.#parts(stream, rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
    while (rest.length > maxPart) {
      this.#line(stream, rest.subarray(0, maxPart), 'P')
      rest = rest.subarray(maxPart)
    }
    this.#pending[stream] = Buffer.from(rest)
  }

  #parts(stream: 'stdout' | 'stderr', line: Buffer): void {
    let rest = line
    for (; rest.length > maxPart; rest = rest.subarray(maxPart))
      this.#line(stream, rest.subarray(0, maxPart), 'P')
    this.#line(stream, rest, 'F')
  }

  #line(stream: 'stdout' | 'stderr', text: Buffer, tag: 'P' | 'F'): void {
    this.#file ??= this.#open()
    const stamp = `${new Date(this.#clock.now()).toISOString().slice(0, 23)}000000Z`
    append(this.#file, Buffer.concat([Buffer.from(`${stamp} ${stream} ${tag} `), text, Buffer.from('\n')]))
  }
}
