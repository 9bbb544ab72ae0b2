import { type Clock, type Logger, messageOf, parseTime, type Runnable } from '@outrigger/foundation'
import type { Event } from '@outrigger/kube'
import { type Entry, type Store, WriteConflict } from './storage/store.ts'

const collection = 'events'
const minute = 60_000
/** How long an event is kept after it was last seen, as kube-apiserver's `--event-ttl` has it. */
const lifetime = 60 * minute
const sweepInterval = 5 * minute

/** Removes events nobody has repeated for an hour, so that they do not pile up. */
export function createEventExpiry(store: Store, clock: Clock, logger: Logger): Runnable {
  return {
    name: 'event-expiry',
    async run(signal) {
      while (!signal.aborted) {
        try {
          await clock.sleep(sweepInterval, signal)
        } catch {
          return
        }
        try {
          await sweep(store, clock.now(), signal)
        } catch (error) {
          logger.warn('Old events could not be removed.', { error: messageOf(error) })
        }
      }
    },
  }
}

async function sweep(store: Store, now: number, signal: AbortSignal): Promise<void> {
  for (const entry of store.list(collection)) {
    if (signal.aborted) return
    if (now - lastSeen(entry) < lifetime) continue
    try {
      await store.write({ collection, key: entry.key, expected: entry.revision, object: undefined })
    } catch (error) {
      // Seen again just now.
      if (!(error instanceof WriteConflict)) throw error
    }
  }
}

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
