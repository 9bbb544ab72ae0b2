import type { Entry } from './store.ts'

/**
 * Entries in the order of their names. Finding is binary search; inserting moves what lies behind,
 * which is a memory copy and cheap up to a hundred thousand entries.
 */
export class OrderedEntries {
  #entries: Entry[] = []
  #isShared = false

  /** Sorted by name. Must not be changed; later writes go to a copy. */
  get all(): readonly Entry[] {
    this.#isShared = true
    return this.#entries
  }

  get size(): number {
    return this.#entries.length
  }

  put(entry: Entry): void {
    const index = this.#indexOf(entry.key.name)
    this.#own()
    if (this.#entries[index]?.key.name === entry.key.name) this.#entries[index] = entry
    else if (index === this.#entries.length) this.#entries.push(entry)
    else this.#entries.splice(index, 0, entry)
  }

  delete(name: string): void {
    const index = this.#indexOf(name)
    if (this.#entries[index]?.key.name !== name) return
    this.#own()
    this.#entries.splice(index, 1)
  }

  /** A reader may still be walking the array it was given. */
  #own(): void {
    if (!this.#isShared) return
    this.#entries = this.#entries.slice()
    this.#isShared = false
  }

  /** Of the first entry whose name is not less. */
  #indexOf(name: string): number {
    let low = 0
    let high = this.#entries.length
    const last = this.#entries[high - 1]
    if (last === undefined || last.key.name < name) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle] as Entry).key.name < name) low = middle + 1
      else high = middle
    }
    return low
  }
}
