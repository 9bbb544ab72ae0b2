/** What a process writes to. */
export interface Sink {
  /** @throws BrokenPipe when nobody reads any more */
  write(data: Buffer): void | Promise<void>
}

/** What a process reads from. */
export interface Source {
  /** The next piece; undefined at the end. Rejects when the signal aborts. */
  read(signal: AbortSignal): Promise<Buffer | undefined>
}

export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe'
}

const capacity = 64 * 1024

/** Bytes from one process to another; a writer waits while the pipe is full. */
export class Pipe implements Sink, Source {
  readonly #chunks: Buffer[] = []
  #size = 0
  #isEnded = false
  #isBroken = false
  #wakeReader: () => void = () => {}
  #wakeWriter: () => void = () => {}

  async write(data: Buffer): Promise<void> {
    while (this.#size > capacity && !this.#isBroken) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve
      })
    }
    if (this.#isBroken) throw new BrokenPipe('write error: Broken pipe')
    if (this.#isEnded || data.length === 0) return
    this.#chunks.push(data)
    this.#size += data.length
    this.#wakeReader()
  }

  async read(signal: AbortSignal): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#isEnded) return undefined
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        const onAbort = () => resolve()
        signal.addEventListener('abort', onAbort, { once: true })
        this.#wakeReader = () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        }
      })
    }
    const chunk = this.#chunks.shift()!
    this.#size -= chunk.length
    this.#wakeWriter()
    return chunk
  }

  /** Nothing more will be written. */
  end(): void {
    this.#isEnded = true
    this.#wakeReader()
  }

  /** Nobody reads any more. */
  break(): void {
    this.#isBroken = true
    this.#wakeWriter()
  }
}

/** Nothing to read. */
export const emptySource: Source = { read: async () => undefined }

/** Collects what is written. */
export class Collector implements Sink {
  readonly #chunks: Buffer[] = []

  write(data: Buffer): void {
    this.#chunks.push(data)
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}
