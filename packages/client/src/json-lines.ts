import { ConnectionError } from './api-error.ts'

const newline = 0x0a
/** One watch event; etcd accepts 1.5 MB, so this is far beyond any object. */
const longestLine = 64 * 1024 * 1024

/**
 * Cuts chunks into the JSON values of their lines. A chunk is looked at once, and what is copied grows
 * with the length of a line alone: the number of chunks it comes in, down to single bytes, does not count.
 */
export class JsonLines {
  /** The line that has begun, in a buffer that is mostly larger. */
  #partial = Buffer.alloc(0)
  #length = 0;

  /**
   * The values whose lines end in this chunk. Must be read to its end before the next chunk.
   *
   * @throws ConnectionError for a line that is not JSON, after the values before it, or is too long.
   */
  *push(chunk: Buffer): Generator<unknown> {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const text = this.#take(chunk, start, end)
      start = end + 1
      if (text.length > 0 && text.trim() !== '') yield parse(text)
    }
    if (start < chunk.length) this.#keep(chunk, start)
  }

  /** The value of a last line that the stream ended without a line's end. @throws ConnectionError when it is cut off. */
  *end(): Generator<unknown> {
    const text = this.#partial.toString('utf8', 0, this.#length)
    this.#length = 0
    if (text.trim() !== '') yield parse(text)
  }

  #take(chunk: Buffer, start: number, end: number): string {
    if (this.#length === 0) return chunk.toString('utf8', start, end)
    this.#keep(chunk.subarray(0, end), start)
    const text = this.#partial.toString('utf8', 0, this.#length)
    this.#length = 0
    // A long line is rare; its buffer is not kept for the short ones.
    if (this.#partial.length > 1024 * 1024) this.#partial = Buffer.alloc(0)
    return text
  }

  #keep(chunk: Buffer, start: number): void {
    const length = this.#length + chunk.length - start
    if (length > longestLine)
      throw new ConnectionError(`a line of the answer is longer than ${longestLine} bytes`)
    if (length > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.#partial.length * 2))
      this.#partial.copy(larger, 0, 0, this.#length)
      this.#partial = larger
    }
    chunk.copy(this.#partial, this.#length, start)
    this.#length = length
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // JSON knows no byte order mark, but what passes text on may put one before it.
    if (text.startsWith('\uFEFF')) return parse(text.slice(1))
    throw new ConnectionError('the answer has a line that is not JSON', { cause: error })
  }
}
