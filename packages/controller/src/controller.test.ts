import { getEventListeners } from 'node:events'
import { ApiError } from '@outrigger/client'
import { SeededRandom } from '@outrigger/foundation'
import { ManualClock, MemoryLogger, settle } from '@outrigger/foundation/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { type ControllerOptions, createController } from './controller.ts'
import { earliest, lookAgain, waitForChange } from './outcome.ts'

const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop()
})

describe('Controller', () => {
  test('reconciles what its sources ask for, and stops listening to them when it stops', async () => {
    const done: string[] = []
    let isConnected = false
    const { stop } = aController({
      reconcile: async (key) => {
        done.push(key)
        return waitForChange
      },
      sources: [
        (enqueue) => {
          isConnected = true
          enqueue('a')
          enqueue('b', 1_000)
          return () => {
            isConnected = false
          }
        },
      ],
    })
    await settle()
    expect([done, isConnected]).toEqual([['a'], true])

    await stop()
    expect(isConnected).toBe(false)
  })

  test('looks again after the time the outcome names', async () => {
    const times: number[] = []
    const { clock, controller } = aController({
      reconcile: async () => {
        times.push(clock.monotonic())
        return times.length < 3 ? lookAgain(10_000) : waitForChange
      },
    })
    controller.enqueue('a')
    await clock.advance(60_000)

    expect(times).toEqual([0, 10_000, 20_000])
    expect(controller.statistics).toMatchObject({
      name: 'test',
      reconciles: { success: 1, requeue_after: 2, error: 0 },
      reconcileTime: { count: 3, sum: 0 },
    })
  })

  test('comes back to a server that is busy when it asks for it, and every ten seconds however long it stays so', async () => {
    const times: number[] = []
    const { clock, controller } = aController({
      reconcile: async () => {
        times.push(clock.monotonic())
        throw new ApiError(503, {}, 1_000)
      },
    })
    controller.enqueue('a')
    await clock.advance(120_000)

    const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0))
    expect(pauses[0]).toBe(1_000)
    expect(pauses.at(-1)).toBe(10_000)
    expect(Math.max(...pauses)).toBe(10_000)
  })

  test('retries a failure with growing pauses, says for which key, and forgets it on success', async () => {
    let failures = 0
    const { clock, controller, logger } = aController({
      reconcile: async () => {
        if (++failures <= 10) throw new Error('no luck')
        return waitForChange
      },
      backoff: { initial: 10, max: 1_000 },
    })
    controller.enqueue('default/web')
    await clock.advance(10_000)

    expect(failures).toBe(11)
    expect(logger.lines[0]).toMatchObject({
      message: 'reconcile failed and will be retried',
      fields: { controller: 'test', key: 'default/web', failures: 1, error: 'no luck' },
    })
    expect(controller.statistics).toMatchObject({
      reconciles: { success: 1, error: 10, requeue: 0, requeue_after: 0 },
      queue: { delayed: 0, retries: 10 },
    })
  })

  test('works on several keys at once, but never on one key twice', async () => {
    let now = 0
    let most = 0
    const perKey = new Map<string, number>()
    const { clock, controller } = aController({
      concurrency: 3,
      reconcile: async (key, signal) => {
        perKey.set(key, (perKey.get(key) ?? 0) + 1)
        expect(perKey.get(key)).toBe(1)
        most = Math.max(most, ++now)
        controller.enqueue(key, 5)
        await clock.sleep(10, signal)
        now--
        perKey.set(key, 0)
        return waitForChange
      },
    })
    for (const key of ['a', 'b', 'c', 'd', 'e']) controller.enqueue(key)
    await clock.advance(500)

    expect(most).toBe(3)
  })

  test('aborts a reconcile at its deadline and lets others have its worker, but nobody its key', async () => {
    const begun: string[] = []
    let finish = () => {}
    const { clock, controller } = aController({
      deadline: 1_000,
      reconcile: async (key, signal) => {
        begun.push(`${key} ${signal.aborted}`)
        if (key === 'stuck') await new Promise<void>((resolve) => (finish = resolve))
        return waitForChange
      },
    })
    controller.enqueue('stuck')
    controller.enqueue('other')
    await clock.advance(500)
    controller.enqueue('stuck')
    await clock.advance(1_000)
    expect(begun).toEqual(['stuck false', 'other false'])

    finish()
    await settle()
    expect(begun).toEqual(['stuck false', 'other false', 'stuck false'])
    finish()
    expect(controller.statistics).toMatchObject({ timeouts: 1, reconciles: { success: 2 } })
  })

  test('waits for work under way when it stops, and begins no more', async () => {
    let hasEnded = false
    const { clock, controller, stop } = aController({
      reconcile: async (_, signal) => {
        await clock.sleep(60_000, signal).catch(() => {})
        await settle()
        hasEnded = true
        return waitForChange
      },
    })
    controller.enqueue('a')
    controller.enqueue('b')
    await settle()
    await stop()

    expect(hasEnded).toBe(true)
    expect(controller.statistics).toMatchObject({
      reconciles: { success: 1 },
      activeWorkers: 0,
      queue: { depth: 1, inProgress: 0 },
    })
  })

  test('listens to its signal once, however many workers it has and however much they do', async () => {
    const { clock, controller, signal, stop } = aController({
      concurrency: 20,
      reconcile: async (_, signal) => {
        await clock.sleep(1, signal)
        return waitForChange
      },
    })
    for (let key = 0; key < 1_000; key++) controller.enqueue(String(key))
    await clock.advance(25)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await clock.advance(1_000)

    expect(controller.statistics.reconciles.success).toBe(1_000)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await stop()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('begins only when its informers have synced', async () => {
    const done: string[] = []
    let sync = () => {}
    const informer = { hasSynced: false, synced: new Promise<void>((resolve) => (sync = resolve)) }
    const { controller } = aController({
      informers: [informer],
      reconcile: async (key) => {
        done.push(key)
        return waitForChange
      },
    })
    controller.enqueue('a')
    await settle()
    expect(done).toEqual([])

    sync()
    await settle()
    expect(done).toEqual(['a'])
  })
})

test('of several outcomes the earliest look counts', () => {
  expect(earliest(waitForChange, lookAgain(5), lookAgain(3))).toEqual(lookAgain(3))
  expect(earliest(waitForChange)).toEqual(waitForChange)
})

function aController(options: Pick<ControllerOptions, 'reconcile'> & Partial<ControllerOptions>) {
  const clock = new ManualClock()
  const logger = new MemoryLogger()
  const controller = createController({
    name: 'test',
    clock,
    logger,
    random: new SeededRandom(),
    sources: [],
    ...options,
  })
  const abort = new AbortController()
  const ended = controller.run(abort.signal)
  const stop = async () => {
    abort.abort(new Error('stopping'))
    await ended
  }
  stopping.push(stop)
  return { clock, controller, logger, signal: abort.signal, stop }
}
