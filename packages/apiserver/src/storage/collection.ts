import type { KubeObject, ObjectKey } from '@outrigger/kube'
import type { ChangeHistory } from './change-history.ts'
import { orderingText } from './key-order.ts'
import { OrderedEntries } from './ordered-entries.ts'
import type { Change, Entry } from './store.ts'

interface Index {
  readonly readValue: (object: KubeObject) => string
  readonly buckets: Map<string, Map<string, Entry>>
}

const byKey = (one: Entry, other: Entry) => {
  const left = orderingText(one.key)
  const right = orderingText(other.key)
  return left < right ? -1 : left > right ? 1 : 0
}

/** The committed objects of one kind, writes to them under way, and who watches. */
export class Collection {
  readonly name: string
  readonly history: ChangeHistory
  /** Writes on their way: the entry that will be there, or undefined for a deletion. */
  readonly pending = new Map<string, { readonly revision: number; readonly entry: Entry | undefined }>()
  readonly receivers = new Set<(change: Change) => void>()
  writes = 0
  readonly #entries = new Map<string, Entry>()
  readonly #namespaces = new Map<string, OrderedEntries>()
  readonly #indexes = new Map<string, Index>()
  #namespaceOrder: string[] | undefined

  constructor(name: string, history: ChangeHistory) {
    this.name = name
    this.history = history
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: ObjectKey): Entry | undefined {
    return this.#entries.get(orderingText(key))
  }

  latest(key: ObjectKey): Entry | undefined {
    const text = orderingText(key)
    const pending = this.pending.get(text)
    return pending === undefined ? this.#entries.get(text) : pending.entry
  }

  list(namespace?: string): readonly Entry[] {
    if (namespace !== undefined) return this.#namespaces.get(namespace)?.all ?? []
    this.#namespaceOrder ??= [...this.#namespaces.keys()].sort((one, other) =>
      `${one}/` < `${other}/` ? -1 : 1,
    )
    if (this.#namespaceOrder.length === 1)
      return this.#namespaces.get(this.#namespaceOrder[0] as string)?.all ?? []
    const all: Entry[] = []
    for (const name of this.#namespaceOrder)
      for (const entry of this.#namespaces.get(name)?.all ?? []) all.push(entry)
    return all
  }

  /** The list with some keys replaced (undefined: left out). */
  listWith(replaced: ReadonlyMap<string, Entry | undefined>, namespace?: string): readonly Entry[] {
    if (replaced.size === 0) return this.list(namespace)
    const entries = this.list(namespace).filter((entry) => !replaced.has(orderingText(entry.key)))
    for (const entry of replaced.values())
      if (entry !== undefined && (namespace === undefined || entry.key.namespace === namespace))
        entries.push(entry)
    return entries.sort(byKey)
  }

  put(entry: Entry): void {
    const text = orderingText(entry.key)
    this.#unindex(text)
    this.#entries.set(text, entry)
    let ordered = this.#namespaces.get(entry.key.namespace)
    if (ordered === undefined) {
      ordered = new OrderedEntries()
      this.#namespaces.set(entry.key.namespace, ordered)
      this.#namespaceOrder = undefined
    }
    ordered.put(entry)
    for (const index of this.#indexes.values()) addTo(index, text, entry)
  }

  delete(key: ObjectKey): void {
    const text = orderingText(key)
    this.#unindex(text)
    this.#entries.delete(text)
    const ordered = this.#namespaces.get(key.namespace)
    ordered?.delete(key.name)
    if (ordered?.size === 0) {
      this.#namespaces.delete(key.namespace)
      this.#namespaceOrder = undefined
    }
  }

  addIndex(name: string, readValue: (object: KubeObject) => string): void {
    const index: Index = { readValue, buckets: new Map() }
    this.#indexes.set(name, index)
    for (const [text, entry] of this.#entries) addTo(index, text, entry)
  }

  hasIndex(name: string): boolean {
    return this.#indexes.has(name)
  }

  indexed(name: string, value: string): readonly Entry[] {
    const bucket = this.#indexes.get(name)?.buckets.get(value)
    return bucket === undefined ? [] : [...bucket.values()].sort(byKey)
  }

  #unindex(text: string): void {
    if (this.#indexes.size === 0) return
    const old = this.#entries.get(text)
    if (old === undefined) return
    for (const index of this.#indexes.values()) {
      const value = index.readValue(old.object)
      const bucket = index.buckets.get(value)
      bucket?.delete(text)
      if (bucket?.size === 0) index.buckets.delete(value)
    }
  }
}

function addTo(index: Index, text: string, entry: Entry): void {
  const value = index.readValue(entry.object)
  const bucket = index.buckets.get(value)
  if (bucket === undefined) index.buckets.set(value, new Map([[text, entry]]))
  else bucket.set(text, entry)
}
