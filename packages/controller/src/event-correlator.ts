import type { Clock } from '@outrigger/foundation'
import type { ObjectReference } from '@outrigger/kube'

/** Something that happened to an object, before it is an Event. */
export interface Occurrence {
  readonly involved: ObjectReference
  readonly type: string
  readonly reason: string
  readonly message: string
  /** Wall time in milliseconds. */
  readonly at: number
  readonly related?: ObjectReference
  readonly action?: string
}

/** What is known of the Event that an occurrence belongs to. */
export interface EventMemory {
  /** Undefined until the Event exists; set by whoever writes it. */
  name: string | undefined
  /** Occurrences so far, this one and those held back included. */
  count: number
  /** Wall time of the first one, in milliseconds. */
  firstAt: number | undefined
}

export type Verdict =
  /** The object has had too many events of late. */
  | { readonly kind: 'hold' }
  | { readonly kind: 'write'; readonly occurrence: Occurrence; readonly memory: EventMemory }

interface Group {
  readonly messages: Set<string>
  lastAt: number
}

interface Bucket {
  tokens: number
  filledAt: number
}

/** client-go's `events_cache.go`: defaults of its correlator. */
const cacheSize = 4096
const similarEvents = 10
const similarWithin = 600_000
const burst = 25
const refillEvery = 300_000

/**
 * Decides what becomes of each occurrence, by the rules of client-go's event correlator: more than 10
 * messages of one reason on one object within 10 minutes are combined into one event; an object may
 * have 25 events at once and one more every 5 minutes; the same event again is counted.
 *
 * Remembers the 4,096 most recently used of everything and forgets the rest.
 */
export class EventCorrelator {
  readonly #clock: Clock
  readonly #groups = new Map<string, Group>()
  readonly #memories = new Map<string, EventMemory>()
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  correlate(occurrence: Occurrence): Verdict {
    const { involved } = occurrence
    const object = JSON.stringify([
      involved.kind,
      involved.namespace,
      involved.name,
      involved.uid,
      involved.apiVersion,
    ])
    const { occurrence: combined, key } = this.#combine(object, occurrence)
    const memory = remember(this.#memories, key, () => ({ name: undefined, count: 0, firstAt: undefined }))
    // What is held back is counted all the same: the next one written tells the whole number.
    memory.count++
    memory.firstAt ??= occurrence.at
    if (!this.#takeToken(object)) return { kind: 'hold' }
    return { kind: 'write', occurrence: combined, memory }
  }

  #combine(object: string, occurrence: Occurrence): { occurrence: Occurrence; key: string } {
    const groupKey = JSON.stringify([object, occurrence.type, occurrence.reason])
    const now = this.#clock.monotonic()
    const group = remember(this.#groups, groupKey, () => ({ messages: new Set<string>(), lastAt: now }))
    if (now - group.lastAt > similarWithin) group.messages.clear()
    group.lastAt = now
    group.messages.add(occurrence.message)
    if (group.messages.size < similarEvents)
      return {
        occurrence,
        key: JSON.stringify([groupKey, occurrence.involved.fieldPath, occurrence.message]),
      }
    // One message goes again, so that the set stays at its limit and a new one can be counted.
    group.messages.delete(group.messages.values().next().value ?? '')
    const message = `(combined from similar events): ${occurrence.message}`
    return { occurrence: { ...occurrence, message }, key: groupKey }
  }

  #takeToken(object: string): boolean {
    const now = this.#clock.monotonic()
    const bucket = remember(this.#buckets, object, () => ({ tokens: burst, filledAt: now }))
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.filledAt) / refillEvery)
    bucket.filledAt = now
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }
}

/** What `key` holds, made if there is nothing, and marked as used last; the least used falls out. */
function remember<V>(cache: Map<string, V>, key: string, make: () => V): V {
  const known = cache.get(key)
  const value = known ?? make()
  if (known !== undefined) cache.delete(key)
  cache.set(key, value)
  if (cache.size > cacheSize) cache.delete(cache.keys().next().value ?? '')
  return value
}
