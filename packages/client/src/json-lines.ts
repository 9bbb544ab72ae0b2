import { ConnectionError } from './api-error.ts'

const newline = 0x0a
/** One watch event; etcd accepts 1.5 MB, so this is far beyond any object. */
const longestLine = 64 * 1024 * 1024

/**
 * Cuts chunks into the JSON values of their lines. A chunk is looked at once and a line copied at
 * most once, whatever the sizes of lines and chunks.
 */
export class JsonLines {
  #partial: Buffer[] = []
  #length = 0

  /** The values whose lines end in this chunk. @throws ConnectionError for a line that is not JSON. */
  push(chunk: Buffer): unknown[] {
    const values: unknown[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const text = this.#take(chunk, start, end)
      if (text.length > 0 && text.trim() !== '') values.push(parse(text))
      start = end + 1
    }
    if (start < chunk.length) {
      this.#partial.push(start === 0 ? chunk : chunk.subarray(start))
      this.#length += chunk.length - start
      if (this.#length > longestLine)
        throw new ConnectionError(`a line of the answer is longer than ${longestLine} bytes`)
    }
    return values
  }

  /** Whether the last line has begun and not ended. */
  get isWithinLine(): boolean {
    return this.#length > 0
  }

  #take(chunk: Buffer, start: number, end: number): string {
    if (this.#length === 0) return chunk.toString('utf8', start, end)
    this.#partial.push(chunk.subarray(start, end))
    const text = Buffer.concat(this.#partial).toString('utf8')
    this.#partial = []
    this.#length = 0
    return text
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ConnectionError('the answer has a line that is not JSON', { cause: error })
  }
}
