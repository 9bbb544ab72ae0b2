import { silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import type { KubeObject } from '@outrigger/kube'
import { expect, it } from 'vitest'
import { createEventExpiry } from './event-expiry.ts'
import { createMemoryStore } from './storage/mvcc-store.ts'

it('removes events an hour after they were last seen, and no others', async () => {
  const clock = new ManualClock(Date.parse('2026-01-01T00:00:00Z'))
  const store = createMemoryStore({ monotonic: () => clock.monotonic() })
  const add = (name: string, lastTimestamp: string) => {
    const metadata = { name, namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' }
    const object = { kind: 'Event', apiVersion: 'v1', metadata, lastTimestamp } as unknown as KubeObject
    return store.write({ collection: 'events', key: { namespace: 'default', name }, expected: 0, object })
  }
  await add('old', '2026-01-01T00:00:00Z')
  await add('repeated', '2026-01-01T00:30:00Z')
  const stop = new AbortController()
  const running = createEventExpiry(store, clock, silentLogger).run(stop.signal)
  await clock.advance(55 * 60_000)
  expect(store.count('events')).toBe(2)
  await clock.advance(10 * 60_000)
  expect(store.list('events').map((entry) => entry.key.name)).toEqual(['repeated'])
  stop.abort()
  await running
})

it('removes those longest unwritten within a minute where there are too many', async () => {
  const clock = new ManualClock(Date.parse('2026-01-01T00:00:00Z'))
  const store = createMemoryStore({ monotonic: () => clock.monotonic() })
  const write = (name: string, expected: number) => {
    const metadata = { name, namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' }
    const object = { kind: 'Event', apiVersion: 'v1', metadata } as unknown as KubeObject
    return store.write({ collection: 'events', key: { namespace: 'default', name }, expected, object })
  }
  const first = await write('a', 0)
  for (const name of ['b', 'c', 'd']) await write(name, 0)
  await write('a', first?.revision ?? 0)
  const stop = new AbortController()
  const running = createEventExpiry(store, clock, silentLogger, 2).run(stop.signal)
  await clock.advance(60_000)

  expect(store.list('events').map((entry) => entry.key.name)).toEqual(['a', 'd'])
  stop.abort()
  await running
})
