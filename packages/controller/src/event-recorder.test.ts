import { ApiError, ConnectionError } from '@outrigger/client'
import { SeededRandom } from '@outrigger/foundation'
import { ManualClock, MemoryLogger, settle } from '@outrigger/foundation/testing'
import type { KubeObject } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { createEventRecorder, type EventDraft } from './event-recorder.ts'

const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop()
})

const pulled: EventDraft = { type: 'Normal', reason: 'Pulled', message: 'image is here' }

describe('EventRecorder', () => {
  test('writes an event as Kubernetes components do', async () => {
    const { recorder, written } = aRecorder()
    recorder.event(aPod('web'), { ...pulled, fieldPath: 'spec.containers{main}', action: 'Pull' })
    await settle()

    expect(written[0]).toMatchObject({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace: 'default', name: expect.stringMatching(/^web\.[0-9a-f]{16}$/) },
      involvedObject: {
        apiVersion: 'v1',
        kind: 'Pod',
        namespace: 'default',
        name: 'web',
        uid: 'uid-web',
        fieldPath: 'spec.containers{main}',
      },
      type: 'Normal',
      reason: 'Pulled',
      message: 'image is here',
      action: 'Pull',
      source: { component: 'kubelet', host: 'node-1' },
      reportingComponent: 'kubelet',
      reportingInstance: 'node-1',
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
    })
  })

  test('counts the same event on the first one', async () => {
    const { recorder, clock, written, patched } = aRecorder()
    recorder.event(aPod('web'), pulled)
    await clock.advance(60_000)
    recorder.event(aPod('web'), pulled)
    await settle()

    expect(written.length).toBe(1)
    expect(patched).toEqual([{ count: 2, lastTimestamp: '2026-01-01T00:01:00Z', message: 'image is here' }])
  })

  test('writes a new event when the first one has expired', async () => {
    const { recorder, written, failures } = aRecorder()
    recorder.event(aPod('web'), pulled)
    await settle()
    failures.push(new ApiError(404, { reason: 'NotFound' }))
    recorder.event(aPod('web'), pulled)
    await settle()

    expect(written.map(({ count }) => count)).toEqual([1, 2])
  })

  test('combines many similar events into one', async () => {
    const { recorder, written, patched } = aRecorder()
    for (let attempt = 0; attempt < 15; attempt++)
      recorder.event(aPod('web'), { ...pulled, message: `attempt ${attempt}` })
    await settle(30)

    expect(written.length).toBe(10)
    expect(written[9]?.message).toBe('(combined from similar events): attempt 9')
    expect(patched.at(-1)).toMatchObject({ count: 6, message: '(combined from similar events): attempt 14' })
  })

  test('lets no object flood the API, and no object silence another', async () => {
    const { recorder, clock } = aRecorder()
    for (let repeat = 0; repeat < 100; repeat++) recorder.event(aPod('web'), pulled)
    recorder.event(aPod('db'), pulled)
    await settle(200)
    expect(recorder.counters).toMatchObject({ written: 2, counted: 24, held: 75 })

    await clock.advance(300_000)
    recorder.event(aPod('web'), pulled)
    await settle()
    expect(recorder.counters.counted).toBe(25)
  })

  test('tries again while nobody answers, and takes no for an answer', async () => {
    const { recorder, clock, written, failures, logger } = aRecorder()
    failures.push(new ConnectionError('away'), new ConnectionError('away'))
    recorder.event(aPod('web'), pulled)
    await clock.advance(60_000)
    expect(written.length).toBe(1)

    failures.push(new ApiError(403, { reason: 'Forbidden' }))
    recorder.event(aPod('db'), pulled)
    await settle()
    expect(recorder.counters).toMatchObject({ written: 1, dropped: 1 })
    expect(logger.lines.at(-1)?.message).toBe('event was not written')
  })

  test('drops what does not fit into its queue', async () => {
    const { recorder } = aRecorder({ queueSize: 3, isIdle: true })
    for (let repeat = 0; repeat < 5; repeat++) recorder.event(aPod('web'), pulled)

    expect(recorder.counters.dropped).toBe(2)
  })

  test('writes what is queued before it stops', async () => {
    const { recorder, written, stop } = aRecorder()
    for (const name of ['a', 'b', 'c']) recorder.event(aPod(name), pulled)
    await stop()

    expect(written.length).toBe(3)
  })
})

const aPod = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'default', name, uid: `uid-${name}`, resourceVersion: '1' },
})

function aRecorder({ queueSize = 1_000, isIdle = false } = {}) {
  const clock = new ManualClock()
  const logger = new MemoryLogger()
  const written: Record<string, unknown>[] = []
  const patched: unknown[] = []
  const failures: unknown[] = []
  const failOnce = () => {
    if (failures.length > 0) throw failures.shift()
  }
  const client = {
    create: async <T>(_: unknown, object: unknown) => {
      failOnce()
      written.push(object as Record<string, unknown>)
      return object as T
    },
    patch: async <T>(_: unknown, __: unknown, patch: { readonly body: unknown }) => {
      failOnce()
      patched.push(patch.body)
      return {} as T
    },
  }
  const recorder = createEventRecorder({
    client,
    component: 'kubelet',
    host: 'node-1',
    clock,
    logger,
    random: new SeededRandom(),
    queueSize,
  })
  const controller = new AbortController()
  const ended = isIdle ? Promise.resolve() : recorder.run(controller.signal)
  const stop = async () => {
    controller.abort()
    await ended
  }
  stopping.push(stop)
  return { recorder, clock, logger, written, patched, failures, stop }
}
