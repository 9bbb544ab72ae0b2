import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deepCopy } from './deep-copy.ts'
import { deepFreeze } from './deep-freeze.ts'
import { applyJsonPatch, createJsonPatch, maxJsonPatchOperations } from './json-patch.ts'
import { applyMergePatch, createMergePatch } from './merge-patch.ts'
import { PatchError } from './patch-error.ts'
import { recordedSteps } from './testing/recorded.ts'

const key = fc.constantFrom('a', 'b/c', 'd~e', 'name', '')
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>('x', 'y', 1, 2, true),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value

describe('JSON patch', () => {
  test('refuses what a real server refuses', () => {
    const [create, ...patches] = recordedSteps('patch/json-errors')
    const live = create!.answer
    for (const step of patches.filter(({ method }) => method === 'PATCH')) {
      if (step.status === 200) expect(applyJsonPatch(live, step.body)).toEqual(live)
      else {
        const error = thrownBy(() => applyJsonPatch(live, step.body))
        expect(error.reason).toBe(step.status === 400 ? 'malformed' : 'unprocessable')
        if (step.status === 400) expect(error.message).toBe(step.answer.message)
      }
    }
  })

  test('does all of it or nothing', () => {
    const live = deepFreeze({ list: [1, 2] })
    const patch = [
      { op: 'add', path: '/list/0', value: 0 },
      { op: 'remove', path: '/none' },
    ]

    expect(() => applyJsonPatch(live, patch)).toThrow(PatchError)
    expect(live).toEqual({ list: [1, 2] })
  })

  test('adds, moves, copies and tests by RFC 6901 pointers', () => {
    const patch = [
      { op: 'add', path: '/a~1b', value: [1] },
      { op: 'add', path: '/a~1b/-', value: 2 },
      { op: 'move', from: '/a~1b/0', path: '/first' },
      { op: 'copy', from: '/a~1b', path: '/again' },
      { op: 'test', path: '/again', value: [2] },
      { op: 'replace', path: '/again/0', value: null },
    ]

    expect(applyJsonPatch({}, patch)).toEqual({ 'a/b': [2], first: 1, again: [null] })
  })

  test('keeps prototypes and limits out of reach', () => {
    expect(() => applyJsonPatch({}, [{ op: 'add', path: '/__proto__/x', value: 1 }])).toThrow('__proto__')
    const many = Array.from({ length: maxJsonPatchOperations + 1 }, () => ({
      op: 'test',
      path: '',
      value: {},
    }))
    expect(thrownBy(() => applyJsonPatch({}, many)).reason).toBe('too-large')
    const bomb = Array.from({ length: 40 }, () => ({ op: 'copy', from: '/a', path: '/a/-' }))
    expect(thrownBy(() => applyJsonPatch({ a: [1] }, bomb)).reason).toBe('too-large')
  })

  test('a created patch leads from one value to the other', () => {
    fc.assert(
      fc.property(json, json, (from, to) => {
        expect(applyJsonPatch(from, deepCopy(createJsonPatch(from, to)))).toEqual(to)
      }),
      { numRuns: 2000 },
    )
  })

  test('a created patch is as small as the change', () => {
    const from = { spec: { containers: [{ name: 'app', image: 'a' }], volumes: [{ name: 'v' }] } }
    const to = {
      spec: {
        containers: [
          { name: 'log', image: 'l' },
          { name: 'app', image: 'b' },
        ],
        volumes: [{ name: 'v' }, { name: 'w' }],
      },
    }

    expect(createJsonPatch(from, from)).toEqual([])
    expect(createJsonPatch(from, to)).toEqual([
      { op: 'add', path: '/spec/containers/0', value: { name: 'log', image: 'l' } },
      { op: 'replace', path: '/spec/containers/1/image', value: 'b' },
      { op: 'add', path: '/spec/volumes/1', value: { name: 'w' } },
    ])
  })
})

describe('merge patch', () => {
  test('a created patch leads from one value to the other', () => {
    const object = fc.dictionary(key, json, { noNullPrototype: true })
    fc.assert(
      fc.property(object, object, (from, to) => {
        expect(applyMergePatch(deepFreeze(from), createMergePatch(from, to))).toEqual(to)
      }),
    )
  })

  test('removes what is null and replaces lists', () => {
    expect(
      applyMergePatch({ a: 1, b: { c: 1, d: 2 }, l: [1, 2] }, { a: null, b: { c: null }, l: [3] }),
    ).toEqual({
      b: { d: 2 },
      l: [3],
    })
  })
})

function thrownBy(act: () => unknown): PatchError {
  try {
    act()
  } catch (error) {
    if (error instanceof PatchError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
