/** The largest part of the list that is moved when one item comes or goes. */
const chunkSize = 512

/**
 * Items kept in order. Coming and going costs a search and the move of at most one chunk, looking from the front costs
 * what is looked at. Items that compare as equal must be the same.
 */
export class OrderedList<T> {
  readonly #compare: (left: T, right: T) => number
  /** None is empty. */
  readonly #chunks: T[][] = []
  #size = 0

  constructor(compare: (left: T, right: T) => number) {
    this.#compare = compare
  }

  get size(): number {
    return this.#size
  }

  add(item: T): void {
    const chunk = this.#chunks[this.#chunkFor(item)]
    if (chunk === undefined) {
      this.#chunks.push([item])
    } else {
      chunk.splice(this.#placeIn(chunk, item), 0, item)
      if (chunk.length > chunkSize)
        this.#chunks.splice(this.#chunks.indexOf(chunk) + 1, 0, chunk.splice(chunkSize / 2))
    }
    this.#size++
  }

  /** Whether the item was there. */
  delete(item: T): boolean {
    const at = this.#chunkFor(item)
    const chunk = this.#chunks[at]
    if (chunk === undefined) return false
    const place = this.#placeIn(chunk, item)
    const found = chunk[place]
    if (found === undefined || this.#compare(found, item) !== 0) return false
    chunk.splice(place, 1)
    if (chunk.length === 0) this.#chunks.splice(at, 1)
    this.#size--
    return true
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const chunk of this.#chunks) yield* chunk
  }

  /** The first chunk whose last item is not before the item; else the last one. */
  #chunkFor(item: T): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      const last = this.#chunks[middle]?.at(-1)
      if (last !== undefined && this.#compare(last, item) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #placeIn(chunk: readonly T[], item: T): number {
    let low = 0
    let high = chunk.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(chunk[middle] as T, item) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
