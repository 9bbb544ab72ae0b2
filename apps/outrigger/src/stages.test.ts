import { deferred, type Runnable } from '@outrigger/foundation'
import { describe, expect, test } from 'vitest'
import { Stages } from './stages.ts'

describe('Stages', () => {
  test('stop what was started last first, each after the one behind it has ended', async () => {
    const log: string[] = []
    const stages = new Stages()
    await stages.start(aPart('server', log))
    await stages.start(aPart('client', log))

    await stages.stop()

    expect(log).toEqual(['client ends', 'server ends'])
  })

  test('tell of a part that fails', async () => {
    const stages = new Stages()
    await stages.start({ name: 'broken', run: () => Promise.reject(new Error('port in use')) })

    await expect(stages.failure).rejects.toThrow('port in use')
  })

  test('tell of a part that ends by itself', async () => {
    const stages = new Stages()
    await stages.start({ name: 'short', run: async () => {} })

    await expect(stages.failure).rejects.toThrow('short ended unexpectedly')
  })

  test('give up waiting for a part that will never be ready once they are stopped', async () => {
    const stages = new Stages()
    const starting = stages.start(aPart('slow', []), new Promise<void>(() => {}))
    const outcome = expect(starting).rejects.toThrow('stopping')
    await stages.stop()

    await outcome
    await expect(stages.start(aPart('late', []))).rejects.toThrow('late is not started any more')
  })
})

function aPart(name: string, log: string[]): Runnable {
  return {
    name,
    async run(signal) {
      const ended = deferred()
      signal.addEventListener('abort', () => ended.resolve(), { once: true })
      await ended.promise
      log.push(`${name} ends`)
    },
  }
}
