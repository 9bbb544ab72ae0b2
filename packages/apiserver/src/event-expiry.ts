import { type Clock, type Logger, messageOf, parseTime, type Runnable } from '@outrigger/foundation'
import type { Event } from '@outrigger/kube'
import { type Entry, type Store, WriteConflict } from './storage/store.ts'

const collection = 'events'
const minute = 60_000
/** How long an event is kept after it was last seen, as kube-apiserver's `--event-ttl` has it. */
const lifetime = 60 * minute
/** How often events are looked at one by one, and how often their number alone is, in minutes. */
const sweepEvery = 5
const countEvery = 1
/** Removals under way at once; each waits until it would survive the end of the process. */
const removalsAtOnce = 64
/** Beyond so many the ones longest unwritten go first: a cluster in memory has no room for an hour of any churn. */
const mostEvents = 50_000

/** Removes events nobody has repeated for an hour, and the oldest where there are too many (50,000). */
export function createEventExpiry(
  store: Store,
  clock: Clock,
  logger: Logger,
  most: number = mostEvents,
): Runnable {
  // Events are parsed for a look at them, so each is looked at once.
  const seen = new WeakMap<Entry, number>()
  const seenAt = (entry: Entry): number => {
    const known = seen.get(entry) ?? lastSeen(entry)
    seen.set(entry, known)
    return known
  }
  return {
    name: 'event-expiry',
    async run(signal) {
      for (let minutes = countEvery; !signal.aborted; minutes += countEvery) {
        try {
          await clock.sleep(countEvery * minute, signal)
        } catch {
          return
        }
        if (minutes % sweepEvery !== 0 && store.count(collection) <= most) continue
        try {
          await sweep(store, { now: clock.now(), most, seenAt, signal })
        } catch (error) {
          logger.warn('Old events could not be removed.', { error: messageOf(error) })
        }
      }
    },
  }
}

interface Sweep {
  readonly now: number
  readonly most: number
  readonly seenAt: (entry: Entry) => number
  readonly signal: AbortSignal
}

async function sweep(store: Store, { now, most, seenAt, signal }: Sweep): Promise<void> {
  const entries = store.list(collection)
  const surplus = entries.length - most
  const newestToGo =
    surplus <= 0 ? 0 : (entries.map(({ revision }) => revision).sort(byNumber)[surplus - 1] ?? 0)
  const isToGo = (entry: Entry) => entry.revision <= newestToGo || now - seenAt(entry) >= lifetime
  const going = entries.filter(isToGo)
  for (let i = 0; i < going.length && !signal.aborted; i += removalsAtOnce)
    await Promise.all(going.slice(i, i + removalsAtOnce).map((entry) => remove(store, entry)))
}

async function remove(store: Store, { key, revision }: Entry): Promise<void> {
  try {
    await store.write({ collection, key, expected: revision, object: undefined })
  } catch (error) {
    // Seen again just now.
    if (!(error instanceof WriteConflict)) throw error
  }
}

const byNumber = (one: number, other: number): number => one - other

function lastSeen({ object }: Entry): number {
  const event = object as Event
  const stamps = [
    event.metadata.creationTimestamp,
    event.lastTimestamp,
    event.eventTime,
    event.series?.lastObservedTime,
  ]
  return Math.max(
    ...stamps.map((stamp) => (stamp ? parseTime(stamp) : 0)).filter((time) => !Number.isNaN(time)),
  )
}
