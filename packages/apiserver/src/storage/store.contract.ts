import type { KubeObject, ObjectKey } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { type Change, type Store, TooOldError, WriteConflict } from './store.ts'

/** A store to test, with a history as short as five changes. */
export interface StoreUnderTest {
  readonly store: Store
  /** Closes it and opens what it left, for stores that leave something. */
  reopen?(): Promise<Store>
  close(): Promise<void>
}

const key = (name: string, namespace = 'default'): ObjectKey => ({ namespace, name })

function object(name: string, data: Record<string, string> = {}, namespace = 'default'): KubeObject {
  const metadata = { name, ...(namespace === '' ? {} : { namespace }) }
  return { kind: 'ConfigMap', apiVersion: 'v1', metadata, data } as unknown as KubeObject
}

const collection = 'configmaps'
const names = (entries: readonly { readonly key: ObjectKey }[]) =>
  entries.map((entry) => `${entry.key.namespace}/${entry.key.name}`)
const write = (store: Store, name: string, expected: number, data: Record<string, string> = {}) =>
  store.write({ collection, key: key(name), expected, object: object(name, data) })
const remove = (store: Store, name: string, expected: number) =>
  store.write({ collection, key: key(name), expected, object: undefined })

/** What every store promises. */
export function describeStore(name: string, start: () => Promise<StoreUnderTest>): void {
  const using = async (work: (test: StoreUnderTest) => Promise<void>) => {
    const test = await start()
    try {
      await work(test)
    } finally {
      await test.close()
    }
  }

  describe(`${name} store`, () => {
    it('gives each write the next revision and stamps the object with it', () =>
      using(async ({ store }) => {
        const first = await write(store, 'a', 0)
        const second = await write(store, 'b', 0)
        expect(second.revision).toBe(first.revision + 1)
        expect(store.revision).toBe(second.revision)
        expect(store.get(collection, key('a'))?.object.metadata.resourceVersion).toBe(String(first.revision))
        expect(Object.isFrozen(store.get(collection, key('a'))?.object.metadata)).toBe(true)
      }))

    it('refuses a write that expects another revision and tells what is there', () =>
      using(async ({ store }) => {
        const first = await write(store, 'a', 0)
        await expect(write(store, 'a', 0)).rejects.toThrow(WriteConflict)
        await expect(write(store, 'a', first.revision + 1)).rejects.toThrow(WriteConflict)
        await expect(remove(store, 'missing', 5)).rejects.toThrow(WriteConflict)
        expect(store.revision).toBe(first.revision)
      }))

    it('lets only one of many racing writers win', () =>
      using(async ({ store }) => {
        const results = await Promise.allSettled(Array.from({ length: 20 }, () => write(store, 'a', 0)))
        expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
      }))

    it('lists in the order of namespaces and names, all or one namespace', () =>
      using(async ({ store }) => {
        const places: [string, string][] = [
          ['b', 'a'],
          ['a', 'a-b'],
          ['c', 'a'],
          ['a', 'a'],
        ]
        for (const [name, namespace] of places)
          await store.write({
            collection,
            key: key(name, namespace),
            expected: 0,
            object: object(name, {}, namespace),
          })
        expect(names(store.list(collection))).toEqual(['a-b/a', 'a/a', 'a/b', 'a/c'])
        expect(names(store.list(collection, 'a'))).toEqual(['a/a', 'a/b', 'a/c'])
        expect(store.list(collection, 'none')).toEqual([])
        expect(store.count(collection)).toBe(4)
      }))

    it('keeps a list that was handed out as it was', () =>
      using(async ({ store }) => {
        await write(store, 'a', 0)
        const before = store.list(collection, 'default')
        await write(store, 'b', 0)
        expect(names(before)).toEqual(['default/a'])
      }))

    it('encodes an object once, kind and apiVersion first', () =>
      using(async ({ store }) => {
        const entry = await write(store, 'a', 0, { x: 'é' })
        expect(entry.encoded().toString()).toMatch(/^\{"kind":"ConfigMap","apiVersion":"v1",/)
        expect(JSON.parse(entry.encoded().toString())).toEqual(entry.object)
        expect(entry.encoded()).toBe(entry.encoded())
      }))

    it('tells a watch all changes after a revision in order, old and new', () =>
      using(async ({ store }) => {
        const first = await write(store, 'a', 0)
        const second = await write(store, 'a', first.revision, { x: '1' })
        const seen: Change[] = []
        const stop = store.watch(collection, first.revision, (change) => seen.push(change))
        const gone = await remove(store, 'a', second.revision)
        stop()
        await write(store, 'b', 0)
        expect(seen.map((change) => [change.revision, change.isDeletion, change.previous?.revision])).toEqual(
          [
            [second.revision, false, first.revision],
            [gone.revision, true, second.revision],
          ],
        )
        expect(gone.object.metadata.resourceVersion).toBe(String(gone.revision))
        expect(store.get(collection, key('a'))).toBeUndefined()
      }))

    it('shows changes of one collection only', () =>
      using(async ({ store }) => {
        const seen: Change[] = []
        store.watch('secrets', store.revision, (change) => seen.push(change))
        await write(store, 'a', 0)
        expect(seen).toEqual([])
      }))

    it('makes a watch that waits for a later revision wait', () =>
      using(async ({ store }) => {
        const seen: Change[] = []
        store.watch(collection, store.revision + 1, (change) => seen.push(change))
        await write(store, 'a', 0)
        const second = await write(store, 'b', 0)
        expect(seen.map((change) => change.revision)).toEqual([second.revision])
      }))

    it('forgets old changes and says so', () =>
      using(async ({ store }) => {
        const first = await write(store, 'a', 0)
        for (let index = 0; index < 10; index++) await write(store, `n${index}`, 0)
        expect(() => store.watch(collection, first.revision, () => {})).toThrow(TooOldError)
        expect(() => store.listAt(collection, first.revision)).toThrow(TooOldError)
      }))

    it('shows the state of an earlier revision', () =>
      using(async ({ store }) => {
        const first = await write(store, 'a', 0, { x: '1' })
        const second = await write(store, 'b', 0)
        await write(store, 'a', first.revision, { x: '2' })
        await remove(store, 'b', second.revision)
        await write(store, 'c', 0)
        const then = store.listAt(collection, second.revision)
        expect(names(then)).toEqual(['default/a', 'default/b'])
        expect(then[0]?.object).toMatchObject({ data: { x: '1' } })
      }))

    it('forgets everything up to now when compacted', () =>
      using(async ({ store }) => {
        const first = await write(store, 'a', 0)
        await write(store, 'b', 0)
        store.compact()
        expect(() => store.watch(collection, first.revision, () => {})).toThrow(TooOldError)
        expect(() => store.watch('secrets', first.revision, () => {})).toThrow(TooOldError)
        store.watch(collection, store.revision, () => {})()
      }))

    it('finds objects by an index that follows changes', () =>
      using(async ({ store }) => {
        const readValue = (stored: KubeObject) => (stored as unknown as { data: { x?: string } }).data.x ?? ''
        const first = await write(store, 'b', 0, { x: '1' })
        store.addIndex(collection, 'x', readValue)
        await write(store, 'a', 0, { x: '1' })
        expect(names(store.indexed(collection, 'x', '1'))).toEqual(['default/a', 'default/b'])
        const second = await write(store, 'b', first.revision, { x: '2' })
        expect(names(store.indexed(collection, 'x', '1'))).toEqual(['default/a'])
        await remove(store, 'b', second.revision)
        expect(store.indexed(collection, 'x', '2')).toEqual([])
      }))

    it('lets read-modify-write see a write that is on its way', () =>
      using(async ({ store }) => {
        const pending = write(store, 'a', 0, { x: '1' })
        const latest = store.latest(collection, key('a'))
        expect(latest?.object).toMatchObject({ data: { x: '1' } })
        expect(names(store.listLatest(collection))).toEqual(['default/a'])
        const second = write(store, 'a', latest?.revision ?? 0, { x: '2' })
        await Promise.all([pending, second])
        expect(store.get(collection, key('a'))?.object).toMatchObject({ data: { x: '2' } })
      }))

    it('still has everything after it was reopened', () =>
      using(async (test) => {
        if (test.reopen === undefined) return
        const first = await write(test.store, 'a', 0, { x: '1' })
        const second = await write(test.store, 'b', 0)
        await remove(test.store, 'b', second.revision)
        const { revision } = test.store
        const again = await test.reopen()
        expect(again.revision).toBe(revision)
        expect(names(again.list(collection))).toEqual(['default/a'])
        expect(again.get(collection, key('a'))?.revision).toBe(first.revision)
        expect((await write(again, 'c', 0)).revision).toBe(revision + 1)
        expect(() => again.watch(collection, first.revision, () => {})).toThrow(TooOldError)
      }))
  })
}
