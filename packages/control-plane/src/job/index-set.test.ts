import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatIndexes, parseIndexes } from './index-set.ts'

test('three and more in a row become a range', () => {
  expect(formatIndexes([7, 0, 1, 3, 4, 5])).toBe('0,1,3-5,7')
  expect(formatIndexes([])).toBe('')
})

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(200)), (indexes) => {
      expect([...parseIndexes(formatIndexes(indexes))].sort((a, b) => a - b)).toEqual(
        [...indexes].sort((a, b) => a - b),
      )
    }),
  )
})

test('passes over what is no index', () => {
  expect([...parseIndexes('1,x,3-2,-4,5')]).toEqual([1, 5])
  expect(parseIndexes('0-999999999').size).toBe(100_000)
})
