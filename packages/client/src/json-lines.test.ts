import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConnectionError } from './api-error.ts'
import { JsonLines } from './json-lines.ts'

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 })
const mebibyte = 1024 * 1024

describe('JsonLines', () => {
  test('yields the same values wherever the chunks are cut, with or without carriage returns and a mark at the start', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ text: fc.string({ unit: 'binary' }), number: fc.integer() })),
        fc.constantFrom('\n', '\r\n', '\n\n'),
        fc.constantFrom('', '\uFEFF'),
        fc.boolean(),
        sizes,
        (values, lineEnd, mark, endsWithLine, cuts) => {
          const lines = values.map((value) => JSON.stringify(value)).join(lineEnd)
          const bytes = Buffer.from(mark + lines + (endsWithLine ? lineEnd : ''))

          const { seen, error } = read(bytes, cuts)

          expect(error).toBeUndefined()
          expect(seen).toEqual(values)
        },
      ),
    )
  })

  test('makes the same of garbage wherever the chunks are cut, and throws nothing but ConnectionError', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      fc.json({ maxDepth: 1 }).map((text) => Buffer.from(`${text}\n`)),
      fc.constantFrom('\n', '\r', '\0', '\uFEFF', '{', '"', '\\').map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(fc.array(piece), sizes, (pieces, cuts) => {
        const bytes = Buffer.concat(pieces)
        const whole = read(bytes, [bytes.length || 1])

        const cut = read(bytes, cuts)

        expect(cut.seen).toEqual(whole.seen)
        expect(cut.error === undefined).toBe(whole.error === undefined)
        expect(cut.error ?? new ConnectionError('')).toBeInstanceOf(ConnectionError)
      }),
    )
  })

  test('yields what comes before a line that is not JSON', () => {
    const { seen, error } = read(Buffer.from('1\n2\n<html>\n3\n'), [100])

    expect(seen).toEqual([1, 2])
    expect(error).toMatchObject({ message: 'the answer has a line that is not JSON' })
  })

  test('refuses a line that was cut off at the end', () => {
    expect(read(Buffer.from('1\n{"a"'), [3])).toMatchObject({ seen: [1], error: { name: 'ConnectionError' } })
  })

  test('refuses a line longer than 64 MiB, and keeps no more than that', () => {
    const lines = new JsonLines()
    const chunk = Buffer.alloc(mebibyte, ' ')
    for (let number = 0; number < 64; number++) expect([...lines.push(chunk)]).toEqual([])

    expect(() => [...lines.push(Buffer.from(' '))]).toThrow('longer than 67108864 bytes')
    expect([...new JsonLines().push(Buffer.concat([chunk, Buffer.from('1\n')]))]).toEqual([1])
  })

  test('takes a line of a megabyte byte by byte', () => {
    const text = `"${'x'.repeat(mebibyte)}"`

    const { seen } = read(Buffer.from(`${text}\n`), [1])

    expect(seen).toEqual([text.slice(1, -1)])
  })
})

function read(bytes: Buffer, cuts: readonly number[]): { seen: unknown[]; error: unknown } {
  const lines = new JsonLines()
  const seen: unknown[] = []
  try {
    for (let at = 0, cut = 0; at < bytes.length; cut++) {
      const end = at + (cuts[cut % cuts.length] ?? 1)
      for (const value of lines.push(bytes.subarray(at, end))) seen.push(value)
      at = end
    }
    for (const value of lines.end()) seen.push(value)
    return { seen, error: undefined }
  } catch (error) {
    return { seen, error }
  }
}
