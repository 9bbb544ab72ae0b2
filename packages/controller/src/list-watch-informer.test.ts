import { getEventListeners } from 'node:events'
import { ApiError } from '@outrigger/client'
import { SeededRandom } from '@outrigger/foundation'
import { ManualClock, MemoryLogger, settle } from '@outrigger/foundation/testing'
import { type KubeObject, keyOf, resources } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { createInformer, type InformerOptions, type RunnableInformer } from './list-watch-informer.ts'
import { ScriptedServer, unreachable } from './testing/scripted-server.ts'

const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop()
})

describe('Informer', () => {
  test('lists in pages, then follows every change', async () => {
    const { server, informer, told } = await aRunningInformer({ pageSize: 2 }, ['a', 'b', 'c'])

    server.put('d')
    server.put('a')
    server.remove('b')
    await settle()

    expect(told).toEqual(['add a', 'add b', 'add c', 'add d', 'update a', 'delete b'])
    expect(names(informer)).toEqual(['a', 'c', 'd'])
    expect(server.lists.map(({ limit }) => limit)).toEqual([2, 2])
    expect(informer.store.get('default/c')).toMatchObject({ apiVersion: 'v1', kind: 'Pod' })
  })

  test('has not synced before the last page', async () => {
    const { server, informer } = anInformer({})
    server.failures.push(unreachable())
    const { clock } = start(informer)
    await settle()

    expect(informer.hasSynced).toBe(false)
    await clock.advance(1_000)
    await informer.synced
    expect(informer.hasSynced).toBe(true)
  })

  test('resumes where it was after the connection broke, without listing again', async () => {
    const { server, told, clock } = await aRunningInformer({}, ['a'])
    server.put('b')
    await settle()

    server.disconnect(unreachable())
    server.put('c')
    server.remove('a')
    await clock.advance(2_000)

    expect(told).toEqual(['add a', 'add b', 'add c', 'delete a'])
    expect(server.lists.length).toBe(1)
    expect(server.watches.at(-1)?.resourceVersion).toBe('12')
  })

  test('resumes from the last bookmark when nothing else was heard', async () => {
    const { server, clock } = await aRunningInformer({}, ['a'])

    for (let other = 0; other < 5; other++) server.put('z')
    server.bookmark()
    await settle()
    server.disconnect()
    await clock.advance(2_000)

    expect(server.watches.at(-1)?.resourceVersion).toBe(server.version)
  })

  test('lists again when its version is too old, and finds what was deleted meanwhile', async () => {
    const { server, informer, told, clock } = await aRunningInformer({}, ['a', 'b', 'c'])
    told.length = 0

    server.disconnect(unreachable())
    server.remove('a')
    server.put('b')
    server.put('d')
    server.compact()
    await clock.advance(5_000)

    expect(told.sort()).toEqual(['add d', 'delete a', 'update b'])
    expect(informer.counters).toMatchObject({ lists: 2, relists: 1 })
  })

  test('begins a listing anew when the server forgets it between two pages', async () => {
    const { server, informer } = anInformer({ pageSize: 2 })
    for (const name of ['a', 'b', 'c']) server.put(name)
    server.onList = (options) => {
      if (options.continue === undefined) return
      server.onList = () => {}
      server.remove('a')
      server.compact()
    }
    start(informer)
    await settle()

    expect(names(informer)).toEqual(['b', 'c'])
    expect(server.lists.length).toBe(3)
  })

  test('tells a namesake from the object it replaces', async () => {
    const { server, told, clock } = await aRunningInformer({}, ['a'])

    server.disconnect(unreachable())
    server.remove('a')
    server.put('a', { uid: 'another' })
    server.compact()
    await clock.advance(5_000)

    expect(told).toEqual(['add a', 'delete a', 'add a'])
  })

  test('opens a silent watch anew', async () => {
    const { server, informer, clock } = await aRunningInformer({ silence: 60_000 }, ['a'])

    for (let minute = 0; minute < 3; minute++) {
      await clock.advance(50_000)
      server.bookmark()
    }
    expect(server.watches.length).toBe(1)
    await clock.advance(60_000)

    expect(server.watches.length).toBe(2)
    expect(informer.counters.silences).toBe(1)
    expect(server.open).toBe(1)
  })

  test('pauses longer and longer while the server is away', async () => {
    const { server, clock, informer } = await aRunningInformer({}, ['a'])

    for (let failure = 0; failure < 200; failure++) server.failures.push(unreachable())
    server.disconnect(unreachable())
    await clock.advance(60_000)
    const attempts = server.watches.length
    server.failures.length = 0
    server.put('b')
    await clock.advance(46_000)

    expect(attempts).toBeLessThan(12)
    expect(names(informer)).toEqual(['a', 'b'])
  })

  test('waits as long as the server asks', async () => {
    const { server, informer } = anInformer({})
    server.failures.push(new ApiError(429, { reason: 'TooManyRequests' }, 20_000))
    const { clock } = start(informer)
    await clock.advance(19_000)

    expect(server.lists.length).toBe(1)
    await clock.advance(1_500)
    expect(informer.hasSynced).toBe(true)
  })

  test('does not hammer a server that ends every watch at once', async () => {
    const { server, clock } = await aRunningInformer({}, [])

    for (let second = 0; second < 300; second++) {
      server.disconnect()
      await clock.advance(100)
    }

    expect(server.watches.length).toBeLessThan(20)
  })

  test('is not disturbed by a handler that throws', async () => {
    const { server, informer, logger } = await aRunningInformer({}, ['a'])
    informer.onChange({
      onAdd: () => {
        throw new Error('no')
      },
    })
    server.put('b')
    await settle()

    expect(names(informer)).toEqual(['a', 'b'])
    expect(logger.lines.filter(({ message }) => message === 'change handler threw').length).toBe(2)
  })

  test('tells a late handler what is known, and a removed one nothing', async () => {
    const { server, informer } = await aRunningInformer({}, ['a'])
    const told: string[] = []
    const remove = informer.onChange({ onAdd: (object) => told.push(object.metadata.name) })
    remove()
    server.put('b')
    await settle()

    expect(told).toEqual(['a'])
  })

  test('keeps only what trim leaves', async () => {
    const { informer } = await aRunningInformer(
      {
        trim: ({ apiVersion, kind, metadata: { namespace, name, uid, resourceVersion } }) => ({
          apiVersion,
          kind,
          metadata: { namespace, name, uid, resourceVersion },
        }),
      },
      ['a'],
    )

    expect(informer.store.get('default/a')?.metadata.labels).toBeUndefined()
  })

  test('can take the first state from the watch itself', async () => {
    const { server, informer, told } = await aRunningInformer({ watchList: true }, ['a', 'b'])
    server.remove('a')
    await settle()

    expect(server.lists.length).toBe(0)
    expect(told).toEqual(['add a', 'add b', 'delete a'])
    expect(informer.counters.lists).toBe(1)
  })

  test('lists where the server refuses to send the first state in a watch', async () => {
    const { server, informer } = anInformer({ watchList: true })
    server.put('a')
    server.failures.push(new ApiError(422, { reason: 'Invalid' }))
    start(informer)
    await settle()

    expect(names(informer)).toEqual(['a'])
    expect(server.lists.length).toBe(1)
  })

  test('ends with its signal, leaves nothing behind and can run again', async () => {
    const { server, informer } = anInformer({})
    const first = start(informer)
    await settle()
    await first.stop()

    expect([server.open, first.clock.pending]).toEqual([0, 0])
    start(informer)
    server.put('a')
    await settle()
    expect(names(informer)).toEqual(['a'])
  })

  test('finds what a watch that seemed well has lost, and tells of that alone', async () => {
    const { server, informer, told, clock, logger } = await aRunningInformer(
      { audit: 600_000, pageSize: 2, silence: 3_600_000 },
      ['a', 'b', 'c', 'd', 'e'],
    )
    server.isMute = true
    server.put('b')
    server.remove('c')
    server.put('f')
    server.isMute = false
    told.length = 0
    await clock.advance(1_000_000)

    expect(told.sort()).toEqual(['add f', 'delete c', 'update b'])
    expect(names(informer)).toEqual(['a', 'b', 'd', 'e', 'f'])
    expect(informer.counters).toMatchObject({
      audits: 1,
      suspicions: 3,
      lists: 2,
      watches: 2,
      isWatching: true,
    })
    expect(logger.lines).toContainEqual(
      expect.objectContaining({ message: 'events were lost, listing again' }),
    )
    await clock.advance(1_000_000)
    expect(informer.counters).toMatchObject({ audits: 2, suspicions: 3, lists: 2 })
  })

  test('suspects nothing while a watch is merely behind what was listed', async () => {
    const { server, informer, told, clock } = await aRunningInformer({ audit: 600_000, silence: 3_600_000 }, [
      'a',
      'b',
    ])
    // Changed after the list was made, or before it with the event on its way.
    server.onList = () => {
      server.onList = () => {}
      server.put('b')
      server.put('late')
      server.remove('a')
    }
    await clock.advance(1_000_000)

    expect(informer.counters).toMatchObject({ audits: 1, suspicions: 0, lists: 1, watches: 1 })
    expect(told).toEqual(['add a', 'add b', 'update b', 'add late', 'delete a'])
  })

  test('leaves no listener behind, however often it watches anew', async () => {
    const { server, informer, signal, clock } = await aRunningInformer({ audit: 600_000 }, ['a'])
    for (let round = 0; round < 1_000; round++) {
      server.put('a')
      await settle(1)
      server.disconnect()
      await clock.advance(1_000)
    }

    expect(informer.counters.watches).toBeGreaterThan(1_000)
    // Of the open watch and of the pause before the next audit.
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(2)
  })
})

const clock = { current: new ManualClock() }

function anInformer(options: Partial<InformerOptions<KubeObject>>) {
  const server = new ScriptedServer()
  const logger = new MemoryLogger()
  clock.current = new ManualClock()
  const informer = createInformer<KubeObject>({
    client: server,
    resource: resources.pods,
    clock: clock.current,
    random: new SeededRandom(),
    logger,
    ...options,
  })
  return { server, informer, logger }
}

function start(informer: RunnableInformer<KubeObject>) {
  const controller = new AbortController()
  const ended = informer.run(controller.signal)
  const stop = async () => {
    controller.abort()
    await ended
  }
  stopping.push(stop)
  return { clock: clock.current, signal: controller.signal, stop }
}

async function aRunningInformer(options: Partial<InformerOptions<KubeObject>>, existing: readonly string[]) {
  const { server, informer, logger } = anInformer(options)
  for (const name of existing) server.put(name, { labels: { app: name } })
  const told: string[] = []
  informer.onChange({
    onAdd: (object) => told.push(`add ${object.metadata.name}`),
    onUpdate: (object) => told.push(`update ${object.metadata.name}`),
    onDelete: (object) => told.push(`delete ${object.metadata.name}`),
  })
  const { clock, signal } = start(informer)
  await settle()
  return { server, informer, logger, told, clock, signal }
}

const names = (informer: RunnableInformer<KubeObject>) =>
  informer.store
    .list()
    .map((object) => keyOf(object).replace('default/', ''))
    .sort()
