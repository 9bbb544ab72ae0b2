import { silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import { createCertificateKeeper } from './certificate-keeper.ts'

describe('the certificate keeper', () => {
  test('looks twice a day and restarts only after a renewal', async () => {
    const { clock, keeper, seen } = aKeeper([[], ['apiserver']])
    const stop = new AbortController()
    const ended = keeper.run(stop.signal)

    await clock.advance(12 * 60 * 60_000)
    expect(seen).toEqual({ looks: 1, restarts: 0 })
    await clock.advance(12 * 60 * 60_000)
    expect(seen).toEqual({ looks: 2, restarts: 1 })

    stop.abort()
    await ended
    expect(clock.pending).toBe(0)
  })

  test('looks at once when asked', async () => {
    const { clock, keeper, seen, ask } = aKeeper([['ca']])
    const stop = new AbortController()
    const ended = keeper.run(stop.signal)
    await clock.advance(1)

    ask()
    await clock.advance(1)

    expect(seen).toEqual({ looks: 1, restarts: 1 })
    stop.abort()
    await ended
  })

  test('goes on after a failure', async () => {
    const { clock, keeper, seen } = aKeeper([new Error('disk full'), ['apiserver']])
    const stop = new AbortController()
    const ended = keeper.run(stop.signal)

    await clock.advance(24 * 60 * 60_000)

    expect(seen).toEqual({ looks: 2, restarts: 1 })
    stop.abort()
    await ended
  })
})

function aKeeper(answers: (readonly string[] | Error)[]) {
  const clock = new ManualClock()
  const seen = { looks: 0, restarts: 0 }
  let ask = () => {}
  const keeper = createCertificateKeeper({
    clock,
    logger: silentLogger,
    renew: async () => {
      const answer = answers[seen.looks++] ?? []
      if (answer instanceof Error) throw answer
      return answer
    },
    onRenewed: () => {
      seen.restarts++
    },
    onRequest: (look) => {
      ask = look
      return () => {}
    },
  })
  return { clock, keeper, seen, ask: () => ask() }
}
