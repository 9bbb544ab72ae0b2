import { expect, test } from 'vitest'
import { ApiError, ConnectionError, type ConnectionPhase } from './api-error.ts'
import { retryPause } from './retry-policy.ts'

const refused = (code: number, retryAfter?: number) => new ApiError(code, {}, retryAfter)
const lost = (phase: ConnectionPhase) => new ConnectionError('x', { phase })

test.each([
  ['GET', 'turned away for a while', refused(429, 2_000), 2_000],
  ['POST', 'turned away for a while', refused(429, 2_000), 2_000],
  ['GET', 'turned away without a time', refused(429), 100],
  ['POST', 'turned away without a time', refused(429), undefined],
  ['GET', 'unavailable', refused(503), 100],
  ['PUT', 'unavailable, even with a time', refused(503, 1_000), undefined],
  ['GET', 'told to come back much later', refused(429, 3_600_000), undefined],
  ['GET', 'not found', refused(404), undefined],
  ['GET', 'an internal error', refused(500), undefined],
  ['POST', 'not sent', lost('unsent'), 0],
  ['PATCH', 'without a connection', lost('connect'), 100],
  ['GET', 'lost on the way', lost('lost'), 100],
  ['DELETE', 'lost on the way', lost('lost'), undefined],
  ['GET', 'too late', lost('timeout'), undefined],
  ['GET', 'hopeless', lost('final'), undefined],
  ['GET', 'a defect', new TypeError('x'), undefined],
])('%s that was %s is repeated only if nothing can happen twice', (method, _, error, pause) => {
  expect(retryPause(method, 1, error)).toBe(pause)
  expect(retryPause(method, 5, error)).toBeUndefined()
})
