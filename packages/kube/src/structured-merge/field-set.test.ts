import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  differenceOf,
  equalFieldSets,
  type FieldPath,
  fieldSetOf,
  formatFieldPath,
  hasPath,
  intersectionOf,
  isEmptyFieldSet,
  parseFieldSet,
  pathsOf,
  recursiveDifferenceOf,
  unionOf,
} from './field-set.ts'

const element = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:1')
const paths = fc.array(fc.array(element, { minLength: 1, maxLength: 3 }), { maxLength: 6 })

describe('field sets', () => {
  test('obey the algebra of sets of paths', () => {
    fc.assert(
      fc.property(paths, paths, (one, two) => {
        const left = fieldSetOf(one)
        const right = fieldSetOf(two)

        expect(texts(pathsOf(left))).toEqual(texts(one))
        expect(texts(pathsOf(unionOf(left, right)))).toEqual(texts([...one, ...two]))
        expect(texts(pathsOf(intersectionOf(left, right)))).toEqual(
          texts(one.filter((path) => hasPath(right, path))),
        )
        expect(texts(pathsOf(differenceOf(left, right)))).toEqual(
          texts(one.filter((path) => !hasPath(right, path))),
        )
        expect(texts(pathsOf(recursiveDifferenceOf(left, right)))).toEqual(
          texts(one.filter((path) => !path.some((_, end) => hasPath(right, path.slice(0, end + 1))))),
        )
        expect(equalFieldSets(left, right)).toBe(texts(one).join() === texts(two).join())
        expect(isEmptyFieldSet(differenceOf(left, left))).toBe(true)
        expect(equalFieldSets(left, parseFieldSet(JSON.parse(JSON.stringify(left)))!)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('are read in any order of keys, and only if they are sets', () => {
    expect(parseFieldSet({ 'k:{"protocol": "TCP","port":80}': {} })).toEqual({
      'k:{"port":80,"protocol":"TCP"}': {},
    })
    for (const wrong of [null, [], { x: {} }, { 'f:a': 1 }, { 'k:1': {} }, { 'k:{': {} }, { 'i:x': {} }])
      expect(parseFieldSet(wrong)).toBeUndefined()
  })

  test('print paths as conflicts do', () => {
    expect(formatFieldPath(['f:spec', 'f:ports', 'k:{"port":80,"protocol":"TCP"}', 'f:name'])).toBe(
      '.spec.ports[port=80,protocol="TCP"].name',
    )
    expect(formatFieldPath(['f:metadata', 'f:finalizers', 'v:"a/b"'])).toBe('.metadata.finalizers[="a/b"]')
  })
})

function texts(list: readonly FieldPath[]): string[] {
  return [...new Set(list.map((path) => path.join(' ')))].sort()
}
