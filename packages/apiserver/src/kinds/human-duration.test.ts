import { expect, test } from 'vitest'
import { ageSince, humanDuration } from './human-duration.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

test('shows two units while the larger one is small, as kubectl does', () => {
  const shown = [
    [5 * second, '5s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [9 * minute + 59 * second, '9m59s'],
    [10 * minute + 30 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour + 20 * minute, '3h20m'],
    [8 * hour + 20 * minute, '8h'],
    [47 * hour, '47h'],
    [2 * day + 3 * hour, '2d3h'],
    [8 * day + 3 * hour, '8d'],
    [729 * day, '729d'],
    [730 * day, '2y'],
    [735 * day, '2y5d'],
    [9 * 365 * day, '9y'],
  ] as const
  for (const [duration, text] of shown) expect(humanDuration(duration), text).toBe(text)
})

test('takes a clock that is a second ahead for now, and anything more for a mistake', () => {
  expect(humanDuration(-1500)).toBe('0s')
  expect(humanDuration(-2500)).toBe('<invalid>')
  expect(ageSince(undefined, 0)).toBe('<unknown>')
})
