import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OrderedList } from './ordered-list.ts'

it('holds what a sorted array would, whatever comes and goes', () => {
  const change = fc.record({ value: fc.integer({ min: 0, max: 3_000 }), isAdded: fc.boolean() })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 5_000, size: 'max' }), (changes) => {
      const list = new OrderedList<number>((left, right) => left - right)
      const expected = new Set<number>()
      for (const { value, isAdded } of changes) {
        if (!isAdded) expect(list.delete(value)).toBe(expected.delete(value))
        else if (!expected.has(value)) {
          list.add(value)
          expected.add(value)
        }
      }
      expect([...list]).toEqual([...expected].sort((left, right) => left - right))
      expect(list.size).toBe(expected.size)
    }),
    { numRuns: 30 },
  )
})
