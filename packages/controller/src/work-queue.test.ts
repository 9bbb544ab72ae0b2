import { ManualClock } from '@outrigger/foundation/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createWorkQueue, type WorkQueue } from './work-queue.ts'

describe('WorkQueue', () => {
  test('hands out a key once, however often it was added meanwhile', () => {
    const { queue } = aQueue()
    queue.add('default/web')
    queue.add('default/web')

    expect(queue.take()).toBe('default/web')
    expect(queue.take()).toBeUndefined()
  })

  test('holds back a key that is still being worked on', () => {
    const { queue } = aQueue()
    queue.add('default/web')
    queue.take()
    queue.add('default/web')

    expect(queue.take()).toBeUndefined()
    queue.done('default/web')
    expect(queue.take()).toBe('default/web')
  })

  test('keeps the earlier of two delays', async () => {
    const { queue, clock } = aQueue()
    queue.addAfter('default/web', 30_000)
    queue.addAfter('default/web', 5_000)

    await clock.advance(5_000)
    expect(queue.take()).toBe('default/web')
    queue.done('default/web')
    await clock.advance(60_000)
    expect(queue.take()).toBeUndefined()
  })

  test('releases a key that falls due while a later one was waiting first', async () => {
    const { queue, clock } = aQueue()
    queue.addAfter('late', 10_000)
    queue.addAfter('early', 1_000)

    await clock.advance(1_000)
    expect(queue.take()).toBe('early')
    await clock.advance(9_000)
    expect(queue.take()).toBe('late')
  })

  test('doubles the pause with each failure until the failures are forgotten', async () => {
    const { queue, clock } = aQueue()
    const pauses: number[] = []
    for (let failure = 0; failure < 4; failure++) {
      if (failure === 3) queue.forget('a')
      const startedAt = clock.monotonic()
      queue.addRateLimited('a')
      while (queue.ready === 0) await clock.advance(1)
      pauses.push(clock.monotonic() - startedAt)
      queue.done(queue.take() ?? '')
    }

    expect(pauses).toEqual([5, 10, 20, 5])
  })

  test('wakes whoever waits, in the order in which they came', async () => {
    const { queue } = aQueue()
    const signal = new AbortController().signal
    const first = queue.next(signal)
    const second = queue.next(signal)
    queue.add('a')
    queue.add('b')

    expect([await first, await second]).toEqual(['a', 'b'])
  })

  test('loses no key to a waiter that has gone', async () => {
    const { queue } = aQueue()
    const controller = new AbortController()
    const gone = queue.next(controller.signal)
    controller.abort()
    queue.add('a')

    expect(await gone).toBeUndefined()
    expect(queue.take()).toBe('a')
  })

  test('tells how many keys came and waited, for how long, and what is still being worked on', async () => {
    const { queue, clock } = aQueue()
    queue.add('a')
    queue.add('a')
    queue.add('b')
    await clock.advance(250)
    expect(queue.take()).toBe('a')
    await clock.advance(2_000)
    expect(queue.take()).toBe('b')
    await clock.advance(1_000)

    expect(queue.statistics).toMatchObject({
      depth: 0,
      inProgress: 2,
      adds: 2,
      unfinishedWorkSeconds: 4,
      longestRunningProcessorSeconds: 3,
      queueDuration: { count: 2, sum: 2.5 },
    })
    queue.done('a')
    queue.addRateLimited('a')
    const { workDuration, retries, delayed, longestRunningProcessorSeconds } = queue.statistics
    expect(workDuration).toMatchObject({ count: 1, sum: 3 })
    // Nothing up to a second; the one duration lies in the bucket up to ten seconds.
    expect(workDuration.cumulative.slice(-4)).toEqual([0, 1, 1, 1])
    expect({ retries, delayed, longestRunningProcessorSeconds }).toEqual({
      retries: 1,
      delayed: 1,
      longestRunningProcessorSeconds: 1,
    })
  })

  test('hands out nothing once it is shut down', async () => {
    const { queue, clock } = aQueue()
    const waiting = queue.next(new AbortController().signal)
    queue.addAfter('a', 10)
    queue.shutDown()
    queue.add('b')
    await clock.advance(100)

    expect(await waiting).toBeUndefined()
    expect(queue.take()).toBeUndefined()
    expect(clock.pending).toBe(0)
  })

  test('never hands out a key twice at once, never loses one and keeps the order, whatever happens', async () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant('add' as const), key: fc.integer({ min: 0, max: 5 }) }),
      fc.record({
        do: fc.constant('delay' as const),
        key: fc.integer({ min: 0, max: 5 }),
        by: fc.integer({ min: 0, max: 50 }),
      }),
      fc.record({ do: fc.constant('take' as const) }),
      fc.record({ do: fc.constant('done' as const), nth: fc.nat() }),
      fc.record({ do: fc.constant('advance' as const), by: fc.integer({ min: 1, max: 60 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const { queue, clock } = aQueue()
        const model = new Model()
        for (const step of commands) {
          if (step.do === 'add') {
            queue.add(`k${step.key}`)
            model.add(`k${step.key}`)
          } else if (step.do === 'delay') {
            queue.addAfter(`k${step.key}`, step.by)
            model.addAfter(`k${step.key}`, step.by)
          } else if (step.do === 'take') {
            expect(queue.take()).toBe(model.take())
          } else if (step.do === 'done') {
            const key = model.anyTaken(step.nth)
            if (key === undefined) continue
            queue.done(key)
            model.done(key)
          } else {
            // One millisecond at a time, so that the order of what falls due is the same.
            await clock.advance(step.by)
            model.advance(step.by)
          }
          expect([queue.ready, queue.inProgress]).toEqual([model.ready.length, model.taken.size])
        }
      }),
      { numRuns: 150 },
    )
  })
})

function aQueue(): { queue: WorkQueue; clock: ManualClock } {
  const clock = new ManualClock()
  return { queue: createWorkQueue({ clock }), clock }
}

/** The queue as one would explain it. */
class Model {
  ready: string[] = []
  taken = new Set<string>()
  again = new Set<string>()
  due = new Map<string, { at: number }>()
  now = 0

  add(key: string): void {
    if (this.taken.has(key)) this.again.add(key)
    else if (!this.ready.includes(key)) this.ready.push(key)
  }

  addAfter(key: string, by: number): void {
    if (by === 0) {
      this.add(key)
      return
    }
    const already = this.due.get(key)
    if (already === undefined || already.at > this.now + by) this.due.set(key, { at: this.now + by })
  }

  take(): string | undefined {
    const key = this.ready.shift()
    if (key !== undefined) this.taken.add(key)
    return key
  }

  done(key: string): void {
    this.taken.delete(key)
    if (this.again.delete(key)) this.ready.push(key)
  }

  advance(by: number): void {
    const due = [...this.due].filter(([, { at }]) => at <= this.now + by).sort(([, a], [, b]) => a.at - b.at)
    this.now += by
    for (const [key] of due) {
      this.due.delete(key)
      this.add(key)
    }
  }

  anyTaken(nth: number): string | undefined {
    return [...this.taken][nth % Math.max(1, this.taken.size)]
  }
}
