import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isAlreadyExists, isConflict, isGone, isNotFound } from './api-error.ts'
import { apiErrorFromAnswer, apiErrorFromEvent } from './status-body.ts'

const fields = fc.record(
  {
    kind: fc.constantFrom('Status', 'Other'),
    code: fc.oneof(fc.integer(), fc.jsonValue()),
    reason: fc.oneof(fc.string(), fc.jsonValue()),
    message: fc.oneof(fc.string(), fc.jsonValue()),
    details: fc.oneof(
      fc.jsonValue(),
      fc.record({ retryAfterSeconds: fc.jsonValue(), causes: fc.jsonValue() }, { requiredKeys: [] }),
    ),
  },
  { requiredKeys: [] },
)

test('whatever a body holds, the error has the types it promises', () => {
  const body = fc.oneof(
    fields.map((one) => Buffer.from(JSON.stringify(one))),
    fc.jsonValue().map((one) => Buffer.from(JSON.stringify(one))),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  )
  const retryAfter = fc.oneof(
    fc.string(),
    fc.constantFrom('1', '-1', 'Wed, 21 Oct 2026 07:28:00 GMT', 'NaN', 'Infinity'),
  )
  fc.assert(
    fc.property(fc.integer({ min: 300, max: 599 }), body, retryAfter, (status, bytes, seconds) => {
      const error = apiErrorFromAnswer(status, { 'retry-after': seconds }, bytes)

      expect(error.code).toBe(status)
      expectTypes(error)
    }),
  )
  fc.assert(fc.property(fc.oneof(fields, fc.jsonValue()), (object) => expectTypes(apiErrorFromEvent(object))))
})

test.each([
  ['', 'the API server answered 503'],
  ['upstream connect error', 'upstream connect error'],
  ['{"kind":"Status","message":"etcd is away"}', 'etcd is away'],
  ['{"kind":"Status"}', 'the API server answered 503'],
  ['{"error":"no healthy upstream"}', '{"error":"no healthy upstream"}'],
  [
    '  <html><head><title>\n503  Service Unavailable</title>',
    'the API server answered 503 with an HTML page (503 Service Unavailable), as gateways do',
  ],
  ['<!doctype html>', 'the API server answered 503 with an HTML page, as gateways do'],
  ['x'.repeat(5_000), 'x'.repeat(1_024)],
])('of the body %j the error says what there is to say', (body, message) => {
  expect(apiErrorFromAnswer(503, {}, Buffer.from(body)).message).toBe(message)
})

function expectTypes(error: ReturnType<typeof apiErrorFromEvent>): void {
  expect(Number.isInteger(error.code)).toBe(true)
  expect(typeof error.reason).toBe('string')
  expect(typeof error.message).toBe('string')
  if (error.retryAfter !== undefined) expect(error.retryAfter).toBeGreaterThanOrEqual(0)
  for (const is of [isNotFound, isConflict, isAlreadyExists, isGone]) expect(typeof is(error)).toBe('boolean')
  for (const cause of error.status.details?.causes ?? []) expect(typeof cause).toBe('object')
}
