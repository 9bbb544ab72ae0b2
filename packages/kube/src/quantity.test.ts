import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMillis,
  quantityToNumber,
  subtractQuantities,
} from './quantity.ts'

describe('quantities', () => {
  test.each([
    ['1000m', '1'],
    ['0.5Gi', '512Mi'],
    ['1.5Gi', '1536Mi'],
    ['1024Ki', '1Mi'],
    ['1023', '1023'],
    ['1e3', '1e3'],
    ['1500e-3', '1500e-3'],
    ['123000e-3', '123'],
    ['0', '0'],
    ['0.1n', '1n'],
    ['+1', '1'],
    ['-1500m', '-1500m'],
    ['100000', '100k'],
    ['1.', '1'],
    ['.5', '500m'],
    ['0.5Ki', '512'],
    ['1E', '1E'],
    ['0.0001Ki', '102400u'],
  ])('%s is written %s', (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical)
  })

  test('knows what is none', () => {
    for (const text of ['', '.', 'x', '1KB', '1 Gi', '--1', '1e', '1Kii', '0x10', '1ki'])
      expect(parseQuantity(text)).toBeUndefined()
  })

  test('reads back what it writes', () => {
    const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'u', 'n', 'e3', 'E-2')
    fc.assert(
      fc.property(fc.integer({ min: -(10 ** 7), max: 10 ** 7 }), suffix, (digits, unit) => {
        const exact = parseQuantity(`${digits}${unit}`)!
        const text = formatQuantity(exact)

        expect(parseQuantity(text)!.nanos).toBe(exact.nanos)
        expect(canonicalQuantity(text)).toBe(text)
      }),
    )
  })

  test('adds and subtracts exactly', () => {
    expect(addQuantities('1Gi', '512Mi')).toBe('1536Mi')
    expect(addQuantities('0', '512Mi')).toBe('512Mi')
    expect(subtractQuantities('1', '1m')).toBe('999m')
    expect(compareQuantities('1000m', 1)).toBe(0)
    expect(compareQuantities('1Ki', '1k')).toBe(1)
  })

  test('rounds up, as a request must not shrink', () => {
    expect(quantityMillis('1u')).toBe(1)
    expect(quantityToNumber('1m')).toBe(1)
    expect(quantityToNumber('2Ki')).toBe(2048)
  })
})
