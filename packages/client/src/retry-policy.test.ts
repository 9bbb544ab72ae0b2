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
  ['PUT', 'unavailable for a while', refused(503, 1_000), 1_000],
  ['PATCH', 'unavailable for a while', refused(503, 1_000), 1_000],
  ['PATCH', 'unavailable', refused(503), undefined],
  ['POST', 'unavailable, even for a while', refused(503, 1_000), undefined],
  ['DELETE', 'unavailable, even for a while', refused(503, 1_000), undefined],
  ['PATCH', 'lost by a gateway, which does not know', refused(502, 1_000), undefined],
  ['PATCH', 'too late for a gateway, which does not know', refused(504, 1_000), undefined],
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
  expect(retryPause(method, 10, error)).toBeUndefined()
})

test('a call is repeated four times, and nine times where the server invites it, with no long wait in between', () => {
  const pauses = (error: unknown) =>
    Array.from({ length: 12 }, (_, i) => retryPause('GET', i + 1, error)).filter(
      (pause) => pause !== undefined,
    )
  expect(pauses(refused(503))).toEqual([100, 200, 400, 800])
  expect(pauses(refused(503, 1_000))).toEqual([1_000, 1_000, 1_000, 1_000, 1_600, 2_000, 2_000, 2_000, 2_000])
  expect(pauses(lost('unsent'))).toEqual([0, 200, 400, 800])
})

test('a JSON patch is not repeated after 503, since done twice it may do twice as much', () => {
  const type = 'application/json-patch+json'

  expect(retryPause('PATCH', 1, refused(503, 1_000), type)).toBeUndefined()
  expect(retryPause('PATCH', 1, refused(429, 1_000), type)).toBe(1_000)
  expect(retryPause('PATCH', 1, refused(503, 1_000), 'application/merge-patch+json')).toBe(1_000)
})
