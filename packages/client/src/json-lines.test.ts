import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConnectionError } from './api-error.ts'
import { JsonLines } from './json-lines.ts'

describe('JsonLines', () => {
  test('yields the same values wherever the chunks are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ text: fc.string({ unit: 'binary' }), number: fc.integer() })),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (values, sizes) => {
          const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
          const lines = new JsonLines()
          const seen: unknown[] = []
          for (let at = 0, cut = 0; at < bytes.length; cut++) {
            const end = at + (sizes[cut % sizes.length] ?? 1)
            seen.push(...lines.push(bytes.subarray(at, end)))
            at = end
          }

          expect(seen).toEqual(values)
          expect(lines.isWithinLine).toBe(false)
        },
      ),
    )
  })

  test('ignores empty lines and knows when a line has only begun', () => {
    const lines = new JsonLines()

    expect(lines.push(Buffer.from('\n\r\n1\n{"a"'))).toEqual([1])
    expect(lines.isWithinLine).toBe(true)
  })

  test('refuses a line that is not JSON', () => {
    expect(() => new JsonLines().push(Buffer.from('<html>\n'))).toThrow(ConnectionError)
  })
})
