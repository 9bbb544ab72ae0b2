import { ManualClock } from '@outrigger/foundation/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maxFailures, ReplacementPace } from './replacement-pace.ts'

const owner = 'shop/owner-1'

describe('the pace of replacements', () => {
  it('doubles with each success, up to 32 at a time', () => {
    const pace = new ReplacementPace(new ManualClock())
    let at = 0
    const fill = () => {
      let entered = 0
      while (pace.enter(owner, `pod-${at}`).is === 'now') {
        at++
        entered++
      }
      return entered
    }
    expect(fill()).toBe(1)
    pace.succeeded(owner, 'pod-0')
    expect(fill()).toBe(2)
    for (let i = 1; i < 3; i++) pace.succeeded(owner, `pod-${i}`)
    expect(fill()).toBe(8)
    for (let i = 3; i < 11; i++) pace.succeeded(owner, `pod-${i}`)
    expect(fill()).toBe(32)
  })

  it('pauses longer after each failure, and stops after five', async () => {
    const clock = new ManualClock()
    const pace = new ReplacementPace(clock)
    const pauses: number[] = []
    for (let i = 0; i < maxFailures; i++) {
      expect(pace.enter(owner, `pod-${i}`).is).toBe('now')
      pace.failed(owner, `pod-${i}`)
      const turn = pace.enter(owner, `pod-${i + 1}`)
      if (turn.is === 'later') pauses.push(turn.after)
      await clock.advance(turn.is === 'later' ? turn.after : 0)
    }
    expect(pauses).toEqual([10_000, 20_000, 40_000, 80_000])
    expect(pace.enter(owner, 'pod').is).toBe('never')
    expect(pace.enter('shop/another', 'pod').is).toBe('now')
  })

  it('counts those that fail together as one failure', async () => {
    const clock = new ManualClock()
    const pace = new ReplacementPace(clock)
    pace.enter(owner, 'a')
    pace.succeeded(owner, 'a')
    pace.enter(owner, 'b')
    pace.enter(owner, 'c')
    await clock.advance(120_000)
    expect(pace.enter(owner, 'd')).toMatchObject({ is: 'later', failures: 1 })
  })

  it('counts a replacement for the pod that left, although it is taken for that of another', () => {
    const pace = new ReplacementPace(new ManualClock())
    pace.enter(owner, 'a')
    pace.leaving(owner, 'a')
    pace.succeeded(owner, 'marked by the leader before')
    expect(pace.room(owner)).toBe(2)
  })

  it('waits half a minute for the replacement of a pod that is gone', async () => {
    const clock = new ManualClock()
    const pace = new ReplacementPace(clock)
    pace.enter(owner, 'a')
    pace.gone(owner, 'a')
    await clock.advance(29_000)
    expect(pace.enter(owner, 'b')).toMatchObject({ is: 'later', failures: 0 })
    await clock.advance(1_000)
    expect(pace.enter(owner, 'b')).toMatchObject({ is: 'later', failures: 1 })
  })

  it('begins anew with an owner that nobody asked about for an hour', async () => {
    const clock = new ManualClock()
    const pace = new ReplacementPace(clock)
    for (let i = 0; i < maxFailures; i++) {
      await clock.advance(100_000)
      pace.enter(owner, 'a')
      pace.failed(owner, 'a')
    }
    expect(pace.enter(owner, 'a').is).toBe('never')
    await clock.advance(3_600_000)
    expect(pace.enter(owner, 'a').is).toBe('now')
  })

  it('never has more than five attempts without a success between them, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ pod: fc.nat(5), wait: fc.nat(300_000), gone: fc.boolean() }), { maxLength: 60 }),
        async (steps) => {
          const clock = new ManualClock()
          const pace = new ReplacementPace(clock)
          const attempts = new Set<string>()
          for (const [i, { pod, wait, gone }] of steps.entries()) {
            const uid = `${pod}-${i}`
            if (pace.enter(owner, uid).is === 'now') attempts.add(uid)
            if (gone) pace.gone(owner, uid)
            await clock.advance(wait)
          }
          expect(attempts.size).toBeLessThanOrEqual(maxFailures)
        },
      ),
      { numRuns: 50 },
    )
  })
})
