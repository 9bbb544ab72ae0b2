import { getEventListeners } from 'node:events'
import { aborted, type Runnable } from '@outrigger/foundation'
import { settle } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import { runInStages } from './run-in-stages.ts'

/** Takes some turns of the event loop to end, and writes down when it was asked to and when it has. */
function stage(name: string, events: string[], fails?: Promise<never>): Runnable {
  return {
    name,
    run: async (signal) => {
      await Promise.race([aborted(signal), fails ?? new Promise(() => {})])
      events.push(`${name} ends`)
      await settle()
      events.push(`${name} has ended`)
    },
  }
}

describe('runInStages', () => {
  test('ends the last stage first, and each one only after those that rely on it', async () => {
    const events: string[] = []
    const controller = new AbortController()
    const ended = runInStages(
      ['webhooks', 'caches', 'workers'].map((name) => stage(name, events)),
      controller.signal,
    )
    await settle()
    expect(events).toEqual([])
    controller.abort()
    await ended

    expect(events).toEqual([
      ...['workers ends', 'workers has ended', 'caches ends', 'caches has ended'],
      ...['webhooks ends', 'webhooks has ended'],
    ])
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  test('ends the others in the same order when one fails, and names it', async () => {
    const events: string[] = []
    let fail: (error: Error) => void = () => {}
    const failing = new Promise<never>((_, reject) => (fail = reject))
    const ended = runInStages(
      [stage('webhooks', events), stage('caches', events, failing), stage('workers', events)],
      new AbortController().signal,
    )
    fail(new Error('no luck'))

    await expect(ended).rejects.toThrow('caches failed: no luck')
    expect(events).toEqual(['workers ends', 'workers has ended', 'webhooks ends', 'webhooks has ended'])
  })

  test('goes on when a stage has finished its work, and ends when all have', async () => {
    const events: string[] = []
    const done: Runnable = { name: 'done', run: async () => {} }
    const controller = new AbortController()
    const ended = runInStages([stage('webhooks', events), done], controller.signal)
    await settle()
    expect(events).toEqual([])
    controller.abort()
    await ended
    await runInStages([done, done], new AbortController().signal)
  })
})
