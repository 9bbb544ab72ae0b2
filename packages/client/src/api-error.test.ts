import { expect, it } from 'vitest'
import { ApiError, ConnectionError, pauseAfter } from './api-error.ts'

it.each([
  ['an error that says nothing', new ApiError(500, {}), 40_000, 40_000],
  ['a lost connection', new ConnectionError('lost'), 40_000, 40_000],
  ['a defect', new TypeError('x'), 40_000, 40_000],
  ['a busy server', new ApiError(429, {}), 40_000, 10_000],
  ['a server that is not available', new ApiError(503, {}), 40_000, 10_000],
  ['a busy server that names a time', new ApiError(429, {}, 15_000), 40_000, 15_000],
  ['the first refusal of a server that names a time', new ApiError(503, {}, 1_000), 5, 1_000],
  ['any other error that names a time', new ApiError(500, {}, 7_000), 5, 7_000],
  ['a server that asks for an hour', new ApiError(429, {}, 3_600_000), 5, 60_000],
])('waits after %s', (_, error, backoff, pause) => {
  expect(pauseAfter(error, backoff)).toBe(pause)
})
