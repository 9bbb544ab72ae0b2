import { aborted, type Runnable } from '@outrigger/foundation'
import { describe, expect, test } from 'vitest'
import { readinessOf } from './readiness.ts'
import { RunnableFailed, runAll } from './run-all.ts'

describe('runAll', () => {
  test('stops everything when one fails, waits for it and names the culprit', async () => {
    const ended: string[] = []
    const patient: Runnable = {
      name: 'patient',
      run: async (signal) => {
        await aborted(signal)
        await new Promise((resolve) => setImmediate(resolve))
        ended.push('patient')
      },
    }
    const broken: Runnable = { name: 'broken', run: async () => Promise.reject(new Error('no port')) }

    const failure = await runAll([patient, broken], new AbortController().signal).catch(
      (error: unknown) => error,
    )

    expect(failure).toBeInstanceOf(RunnableFailed)
    expect(failure).toMatchObject({ runnable: 'broken', message: 'broken failed: no port' })
    expect(ended).toEqual(['patient'])
  })

  test('ends quietly with its signal, also when a runnable passes the reason on', async () => {
    const controller = new AbortController()
    const loud: Runnable = {
      name: 'loud',
      run: async (signal) => {
        await aborted(signal)
        throw signal.reason
      },
    }
    const running = runAll([loud], controller.signal)
    controller.abort()

    await expect(running).resolves.toBeUndefined()
  })

  test('goes on when one has finished its work', async () => {
    const quick: Runnable = { name: 'quick', run: async () => {} }
    const controller = new AbortController()
    const running = runAll([quick, { name: 'long', run: (signal) => aborted(signal) }], controller.signal)
    const first = await Promise.race([
      running.then(() => 'ended'),
      new Promise((resolve) => setImmediate(() => resolve('goes on'))),
    ])

    expect(first).toBe('goes on')
    controller.abort()
    await running
  })
})

test('readiness names what it waits for, a check that throws included', () => {
  const checks = [
    { name: 'caches', isReady: () => true },
    { name: 'certificates', isReady: () => false },
    {
      name: 'webhooks',
      isReady: () => {
        throw new Error('no')
      },
    },
  ]

  expect(readinessOf(checks)).toEqual({ isReady: false, waitingFor: ['certificates', 'webhooks'] })
})
