import { SeededRandom } from '@outrigger/foundation'
import { ManualClock, settle } from '@outrigger/foundation/testing'
import type { KubeObject } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { builtInResources } from '../kinds/built-in-resources.ts'
import { createMemoryStore } from '../storage/mvcc-store.ts'
import type { Store } from '../storage/store.ts'
import { parseListOptions } from './request-options.ts'
import type { Resource } from './resource.ts'
import { createSelection } from './selection.ts'
import { createObjects } from './stored-objects.ts'
import { type EventSink, watchObjects } from './watch-objects.ts'

interface Line {
  readonly type: string
  readonly object: KubeObject
}

function setUp() {
  const clock = new ManualClock()
  const random = new SeededRandom()
  const store = createMemoryStore({ monotonic: () => clock.monotonic() })
  const objects = createObjects(store, clock, random)
  const resource = builtInResources({ objects, clock, random, isEnabled: () => false }).find(
    ({ plural }) => plural === 'configmaps',
  ) as Resource
  return { clock, random, store, resource }
}

type World = ReturnType<typeof setUp>

function watch(world: World, query: string, sink: EventSink) {
  const options = parseListOptions({ query: new URLSearchParams(query), verb: 'watch' })
  const stop = new AbortController()
  const selection = createSelection(world.resource, { namespace: '', name: '' }, options)
  const representation = { format: 'json', as: undefined, metaVersion: 'v1' } as const
  const request = {
    resource: world.resource,
    selection,
    options,
    representation,
    included: 'Metadata',
  } as const
  const done = watchObjects(world, request, sink, stop.signal)
  return { done, stop }
}

function collector() {
  const lines: Line[] = []
  const sink: EventSink = {
    write(line) {
      lines.push(JSON.parse(line.toString()))
      return true
    },
    drained: () => Promise.resolve(),
  }
  return { lines, sink }
}

const write = (store: Store, name: string, labels: Record<string, string> = {}) => {
  const key = { namespace: 'default', name }
  const expected = store.latest('configmaps', key)?.revision ?? 0
  const metadata = { name, namespace: 'default', labels }
  const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata } as KubeObject
  return store.write({ collection: 'configmaps', key, expected, object })
}

describe('a watch', () => {
  it('begins with what is there, and a marked bookmark if asked', async () => {
    const world = setUp()
    await write(world.store, 'a')
    const { lines, sink } = collector()
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    const { stop, done } = watch(world, query, sink)
    await write(world.store, 'b')
    await settle()
    expect(lines.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK', 'ADDED'])
    expect(lines[1]?.object.metadata).toEqual({
      resourceVersion: '1',
      annotations: { 'k8s.io/initial-events-end': 'true' },
    })
    stop.abort()
    await done
  })

  it('sends a bookmark every minute to who wants them, and leaves no timer behind', async () => {
    const world = setUp()
    const { lines, sink } = collector()
    const { stop, done } = watch(world, 'watch=1&allowWatchBookmarks=true', sink)
    await write(world.store, 'a')
    await world.clock.advance(120_000)
    expect(lines.map(({ type, object }) => [type, object.metadata.resourceVersion])).toEqual([
      ['ADDED', '1'],
      ['BOOKMARK', '1'],
      ['BOOKMARK', '1'],
    ])
    stop.abort()
    await done
    expect(world.clock.pending).toBe(0)
  })

  it('ends when its time is over', async () => {
    const world = setUp()
    const { sink } = collector()
    const { done } = watch(world, 'watch=1&timeoutSeconds=5', sink)
    await world.clock.advance(5_000)
    await done
  })

  it('turns a change of labels into coming and going, and shows who goes as it was', async () => {
    const world = setUp()
    const { lines, sink } = collector()
    const { stop, done } = watch(world, 'watch=1&labelSelector=app%3Dx', sink)
    await write(world.store, 'a', { app: 'y' })
    await write(world.store, 'a', { app: 'x' })
    await write(world.store, 'a', { app: 'z' })
    await settle()
    expect(
      lines.map(({ type, object }) => [type, object.metadata.labels, object.metadata.resourceVersion]),
    ).toEqual([
      ['ADDED', { app: 'x' }, '2'],
      ['DELETED', { app: 'x' }, '3'],
    ])
    stop.abort()
    await done
  })

  it('encodes a change once for all who watch', async () => {
    const world = setUp()
    const written: Buffer[][] = [[], []]
    const stops = written.map((lines) =>
      watch(world, 'watch=1', {
        write(line) {
          lines.push(line)
          return true
        },
        drained: () => Promise.resolve(),
      }),
    )
    await write(world.store, 'a')
    await settle()
    expect(written[0]?.[0]).toBeDefined()
    expect(written[0]?.[0]).toBe(written[1]?.[0])
    for (const { stop, done } of stops) {
      stop.abort()
      await done
    }
  })

  it('gives up a receiver that falls too far behind', async () => {
    const world = setUp()
    const { done } = watch(world, 'watch=1', { write: () => false, drained: () => new Promise(() => {}) })
    for (let index = 0; index < 20_010; index++) await write(world.store, 'a')
    await done
  })
})
