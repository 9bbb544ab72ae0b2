import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SystemClock } from './system-clock.ts'

const month = 30 * 24 * 3_600_000

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

describe("the machine's clock", () => {
  it.each([1, 10, 2 ** 31 - 1, 2 ** 31, 3 * month])('acts after %d ms and not before', (delay) => {
    let acted = 0
    new SystemClock().after(delay, () => acted++)
    vi.advanceTimersByTime(delay - 1)
    expect(acted).toBe(0)
    vi.advanceTimersByTime(1)
    expect(acted).toBe(1)
    vi.advanceTimersByTime(3 * month)
    expect(acted).toBe(1)
  })

  it.each([10, 3 * month])('does not act after %d ms when it was taken back at half of it', (delay) => {
    let acted = 0
    const cancel = new SystemClock().after(delay, () => acted++)
    vi.advanceTimersByTime(delay / 2)
    cancel()
    vi.advanceTimersByTime(delay)
    expect(acted).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([10, 3 * month])(
    'ends a sleep of %d ms when it is called off, and leaves nothing behind',
    async (delay) => {
      const calling = new AbortController()
      const slept = new SystemClock().sleep(delay, calling.signal)
      const reason = new Error('no more')
      vi.advanceTimersByTime(delay / 2)
      calling.abort(reason)
      await expect(slept).rejects.toBe(reason)
      expect(vi.getTimerCount()).toBe(0)
    },
  )

  it('does not begin to sleep when it was called off before', async () => {
    await expect(new SystemClock().sleep(10, AbortSignal.abort('over'))).rejects.toBe('over')
    expect(vi.getTimerCount()).toBe(0)
  })
})
