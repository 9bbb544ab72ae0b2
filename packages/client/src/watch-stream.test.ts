import { Readable } from 'node:stream'
import type { KubeObject, WatchEvent } from '@outrigger/kube'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ApiError, ConnectionError } from './api-error.ts'
import { readWatch } from './watch-stream.ts'

const never = new AbortController().signal
const event = (type: string, name: string) => ({ type, object: { metadata: { name } } })

test('yields events until something is none, and throws nothing but our two errors', async () => {
  const value = fc.oneof(
    fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK').map((type) => event(type, 'a')),
    fc.record({ type: fc.constant('ERROR'), object: fc.jsonValue() }),
    fc.record({ type: fc.constantFrom('ADDED', 'LATER', 7, null), object: fc.jsonValue() }),
    fc.jsonValue(),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(value),
      fc.uint8Array({ maxLength: 20 }),
      fc.nat({ max: 50 }),
      async (values, garbage, size) => {
        const text = values.map((one) => `${JSON.stringify(one)}\n`).join('')
        const body = inChunks(Buffer.concat([Buffer.from(text), garbage]), size + 1)

        const { events, error } = await drain(body)

        const good = values.findIndex((one) => !isGood(one))
        expect(events.slice(0, values.length)).toEqual(good < 0 ? values : values.slice(0, good))
        if (error !== undefined)
          expect(error instanceof ApiError || error instanceof ConnectionError).toBe(true)
        if (good >= 0) expect(error).toBeDefined()
        expect(body.destroyed).toBe(true)
      },
    ),
  )
})

test.each([
  ['a Status', { code: 410, reason: 'Expired', message: 'too old' }, [410, 'Expired', 'too old']],
  ['a string', 'gone', [500, '', 'the API server answered 500']],
  ['nothing', null, [500, '', 'the API server answered 500']],
  ['the wrong types', { code: '410', reason: 7, message: {} }, [500, '', 'the API server answered 500']],
])('an ERROR event that carries %s becomes an ApiError', async (_, object, expected) => {
  const { error } = await drain(inChunks(Buffer.from(`${JSON.stringify({ type: 'ERROR', object })}\n`), 10))

  const { code, reason, message } = error as ApiError
  expect(error).toBeInstanceOf(ApiError)
  expect([code, reason, message]).toEqual(expected)
})

test('a last event without the end of its line counts, half an event does not', async () => {
  const added = JSON.stringify(event('ADDED', 'a'))

  expect(await drain(inChunks(Buffer.from(`${added}\n${added}`), 7))).toEqual({
    events: [event('ADDED', 'a'), event('ADDED', 'a')],
    error: undefined,
  })
  const { events, error } = await drain(inChunks(Buffer.from(`${added}\n${added.slice(0, -1)}`), 7))
  expect(events).toHaveLength(1)
  expect(error).toBeInstanceOf(ConnectionError)
})

function isGood(value: unknown): boolean {
  const { type, object } = (value ?? {}) as { type?: unknown; object?: { metadata?: unknown } }
  const isKnown =
    ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'].includes(String(type)) && typeof type === 'string'
  return isKnown && isObject(object) && isObject(object.metadata)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function inChunks(bytes: Buffer, size: number): Readable {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
  return Readable.from(chunks)
}

async function drain(body: Readable) {
  const events: WatchEvent<KubeObject>[] = []
  try {
    for await (const one of readWatch<KubeObject>(body, never)) events.push(one)
    return { events, error: undefined }
  } catch (error) {
    return { events, error }
  }
}
