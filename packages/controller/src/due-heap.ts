/** A key and the moment it falls due, in milliseconds of a monotonic clock. */
export interface Due {
  readonly key: string
  readonly dueAt: number
}

/** Keys ordered by when they fall due: a binary heap, O(log n) to add and to take. */
export class DueHeap {
  readonly #entries: Due[] = []

  get size(): number {
    return this.#entries.length
  }

  /** The entry that falls due first. */
  peek(): Due | undefined {
    return this.#entries[0]
  }

  push(entry: Due): void {
    const entries = this.#entries
    let at = entries.length
    entries.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = entries[parent]!
      if (above.dueAt <= entry.dueAt) break
      entries[at] = above
      at = parent
    }
    entries[at] = entry
  }

  /** Takes out the entry that falls due first. */
  pop(): Due | undefined {
    const entries = this.#entries
    const first = entries[0]
    const last = entries.pop()
    if (last === undefined || entries.length === 0) return first
    this.#sink(last)
    return first
  }

  #sink(entry: Due): void {
    const entries = this.#entries
    const half = entries.length >> 1
    let at = 0
    while (at < half) {
      let child = 2 * at + 1
      const right = child + 1
      if (right < entries.length && entries[right]!.dueAt < entries[child]!.dueAt) child = right
      if (entries[child]!.dueAt >= entry.dueAt) break
      entries[at] = entries[child]!
      at = child
    }
    entries[at] = entry
  }
}
