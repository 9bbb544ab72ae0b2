import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalQuantity, formatNanos, nanosOf } from './amounts.ts'

test('writes quantities the way Kubernetes does', () => {
  const written = [
    ['0.5', '500m'],
    [0.25, '250m'],
    ['1024Mi', '1Gi'],
    ['1.5Gi', '1536Mi'],
    ['2000', '2k'],
    ['1000m', '1'],
    ['100m', '100m'],
    ['1e3', '1e3'],
    ['512', '512'],
    ['0.1Ki', '102400m'],
    ['-1.5', '-1500m'],
    ['12Q', '12Q'],
  ] as const
  for (const [given, text] of written) expect(canonicalQuantity(given), String(given)).toBe(text)
})

test('keeps the value of every quantity it writes', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
      fc.constantFrom('1', '1Ki', '1e3'),
      (nanos, like) => {
        const text = formatNanos(nanos, like)
        expect(nanosOf(text)).toBe(nanos)
        expect(canonicalQuantity(text)).toBe(canonicalQuantity(canonicalQuantity(text)))
      },
    ),
  )
  expect(nanosOf('nonsense')).toBe(0n)
})
