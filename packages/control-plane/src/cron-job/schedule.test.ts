import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseSchedule } from './schedule.ts'

const at = (text: string) => Date.parse(text)

function runs(schedule: string, from: string, count: number, zone?: string): readonly string[] {
  const parsed = parseSchedule(schedule, zone)
  const times: string[] = []
  let time = at(from)
  while (times.length < count) {
    const next = parsed?.next(time)
    if (next === undefined) break
    times.push(new Date(next).toISOString().slice(0, 16))
    time = next
  }
  return times
}

describe('a schedule', () => {
  test.each([
    ['*/15 * * * *', ['2026-01-01T00:15', '2026-01-01T00:30', '2026-01-01T00:45']],
    ['30 4 * * *', ['2026-01-01T04:30', '2026-01-02T04:30', '2026-01-03T04:30']],
    ['0 9 * * mon-fri', ['2026-01-01T09:00', '2026-01-02T09:00', '2026-01-05T09:00']],
    ['0 0 1,15 * 1', ['2026-01-05T00:00', '2026-01-12T00:00', '2026-01-15T00:00']],
    ['0 0 29 feb *', ['2028-02-29T00:00']],
    ['10/25 1 * * *', ['2026-01-01T01:10', '2026-01-01T01:35', '2026-01-02T01:10']],
    ['@weekly', ['2026-01-04T00:00', '2026-01-11T00:00', '2026-01-18T00:00']],
  ])('%s', (schedule, expected) => {
    expect(runs(schedule, '2026-01-01T00:00:00Z', expected.length)).toEqual(expected)
  })

  test('never comes for a day that does not exist', () => {
    expect(parseSchedule('0 0 30 2 *', undefined)?.next(at('2026-01-01T00:00:00Z'))).toBeUndefined()
  })

  test('follows the clocks of its zone, and skips what daylight saving skips', () => {
    const berlin = runs('30 2 * * *', '2026-03-27T12:00:00Z', 3, 'Europe/Berlin')
    expect(berlin).toEqual(['2026-03-28T01:30', '2026-03-30T00:30', '2026-03-31T00:30'])
  })

  test.each([
    '',
    '* * * *',
    '60 * * * *',
    '* * * * 7',
    '5-1 * * * *',
    '*/0 * * * *',
    '@never',
    '@every soon',
  ])('refuses %j', (text) => {
    expect(parseSchedule(text, undefined)).toBeUndefined()
  })

  test('refuses a zone nobody lives in', () => {
    expect(parseSchedule('* * * * *', 'Moon/Crater')).toBeUndefined()
  })

  test('finds what a look at every minute finds', () => {
    const minutes = fc.constantFrom('0', '59', '*/7', '13')
    const hours = fc.constantFrom('*', '0', '23', '8-10')
    const days = fc.constantFrom('*', '1', '31')
    const start = fc.integer({ min: 0, max: 400 * 24 * 60 })
    fc.assert(
      fc.property(minutes, hours, days, start, (minute, hour, day, offset) => {
        const from = at('2026-01-01T00:00:00Z') + offset * 60_000
        const fits = (field: string, value: number) => {
          if (field === '*') return true
          if (field.startsWith('*/')) return value % Number(field.slice(2)) === 0
          const [first = 0, last = first] = field.split('-').map(Number)
          return value >= first && value <= last
        }
        let expected = from + 60_000
        const isDue = (date: Date) =>
          fits(minute, date.getUTCMinutes()) && fits(hour, date.getUTCHours()) && fits(day, date.getUTCDate())
        while (!isDue(new Date(expected))) expected += 60_000
        expect(parseSchedule(`${minute} ${hour} ${day} * *`, undefined)?.next(from)).toBe(expected)
      }),
      { numRuns: 60 },
    )
  })
})
