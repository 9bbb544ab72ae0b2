import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scattered } from './scatter.ts'

/** Letters stand for pods: a capital one has the label `x` with the letter as value, others have none. */
const labelsOf = (letter: string): Record<string, string> => (/[A-Z]/.test(letter) ? { x: letter } : {})
const spread = (waiting: string, terms: readonly [string, string][], all = waiting) =>
  scattered(
    [...waiting],
    [...all].map(labelsOf),
    terms.map(([key, value]) => ({ key, value })),
    labelsOf,
  ).join('')

describe('scattering', () => {
  it('puts pods that have a label in common apart, the last of them at the end', () => {
    expect(spread('AAAA----', [['x', 'A']])).toBe('A-A-A--A')
    expect(spread('AAAA------', [['x', 'A']])).toBe('A--A--A--A')
  })

  it('leaves the order where there is next to nothing to spread', () => {
    expect(spread('A----', [['x', 'A']])).toBe('A----')
    expect(spread('AAA-', [['x', 'A']])).toBe('AAA-')
  })

  it('keeps the share of all pods where some have had their turn', () => {
    expect(spread('AA----', [['x', 'A']], 'AA--------')).toMatch(/A$/)
  })

  it('takes a star for every value there is', () => {
    expect(spread('AAABBB----', [['x', '*']])).toHaveLength(10)
  })

  it('loses and doubles nothing', () => {
    const letters = fc.array(fc.constantFrom('A', 'B', '-'), { maxLength: 40 }).map((list) => list.join(''))
    fc.assert(
      fc.property(letters, letters, (waiting, done) => {
        const result = spread(
          waiting,
          [
            ['x', 'A'],
            ['x', 'B'],
          ],
          waiting + done,
        )
        expect([...result].sort()).toEqual([...waiting].sort())
      }),
    )
  })
})
