import type { KubeObject } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { createMemoryStore } from './mvcc-store.ts'
import { type Change, TooOldError } from './store.ts'

const key = { namespace: 'a', name: 'x' }

/** A store in which one object of about a thousand bytes was written so many times. */
async function storeAfter(writes: number, bytes: number) {
  const history = { most: 1_000, bytes, least: 500, age: 60_000 }
  const store = createMemoryStore({ monotonic: () => 0, history })
  for (let round = 1; round <= writes; round++) {
    const metadata = { ...key, annotations: { filling: 'x'.repeat(900), round: String(round) } }
    const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata } as unknown as KubeObject
    await store.write({ collection: 'c', key, expected: store.get('c', key)?.revision ?? 0, object })
  }
  return store
}

function changesSince(store: Awaited<ReturnType<typeof storeAfter>>, revision: number): Change[] {
  const seen: Change[] = []
  store.watch('c', revision, (change) => seen.push(change))()
  return seen
}

describe('the history of a collection', () => {
  it('holds no more JSON than it may, however few changes that are', async () => {
    const store = await storeAfter(100, 20_000)
    expect(() => changesSince(store, 50)).toThrow(TooOldError)
    const kept = changesSince(store, 85)
    expect(kept.map(({ revision }) => revision)).toEqual(Array.from({ length: 15 }, (_, index) => 86 + index))
  })

  it('shows what is long past as it was', async () => {
    const store = await storeAfter(200, 1_000_000)
    const [first, second] = changesSince(store, 0)
    expect(first?.entry.object.metadata.annotations?.['round']).toBe('1')
    expect(second?.previous?.object).toEqual(first?.entry.object)
    expect(Object.isFrozen(first?.entry.object.metadata)).toBe(true)
    expect(JSON.parse(String(first?.entry.encoded()))).toEqual(first?.entry.object)
    const [then] = store.listAt('c', 3)
    expect(then?.object.metadata.annotations?.['round']).toBe('3')
  })

  it('keeps of events no more than their JSON, each in memory of its own', async () => {
    const store = createMemoryStore({ monotonic: () => 0 })
    const write = (name: string) => {
      const object = { kind: 'Event', apiVersion: 'v1', metadata: { namespace: 'a', name } }
      return store.write({
        collection: 'events',
        key: { namespace: 'a', name },
        expected: 0,
        object: object as unknown as KubeObject,
      })
    }
    for (let count = 0; count < 100; count++) await write(`e-${String(count).padStart(3, '0')}`)

    const [oldest] = store.list('events')
    expect(oldest?.encoded().buffer.byteLength).toBe(oldest?.encoded().length)
    expect(oldest?.object.metadata.name).toBe('e-000')
    expect(Object.isFrozen(oldest?.object)).toBe(true)
  })
})
