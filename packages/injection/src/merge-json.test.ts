import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSameJson, MergeError, mergeJson } from './merge-json.ts'

describe('merging JSON into an annotation', () => {
  it.each([
    ['{"main":2}', '{"log":1}', '{"log":1,"main":2}'],
    ['{"b":{"z":1, "y":2},"a":1}', '{"c":1}', '{"a":1,"b":{"z":1,"y":2},"c":1}'],
    ['{"b":{"z":1,"y":2}}', '{"b":{"x":3}}', '{"b":{"x":3,"y":2,"z":1}}'],
    ['{"a":1}', '{"a":null}', '{}'],
    ['{"a":null}', '{"b":{"c":null,"e":1,"d":2}}', '{"a":null,"b":{"d":2,"e":1}}'],
    ['{"a":[{"b":null}]}', '{"c":[{"b":null,"a":1},null]}', '{"a":[{"b":null}],"c":[{"a":1},null]}'],
    ['[1,2]', '{"a":null,"b":1}', '{"b":1}'],
    ['"text"', '{"b":1}', '{"b":1}'],
    ['{"a":1}', '[{"b":null}]', '[{"b":null}]'],
    // Numbers stay as they are written, keys that look like numbers in their order, and no key is special.
    ['{"id":12345678901234567890,"f":1.0}', '{"e":1e3}', '{"e":1e3,"f":1.0,"id":12345678901234567890}'],
    ['{"2":"b","10":"a"}', '{"x":1}', '{"10":"a","2":"b","x":1}'],
    ['{"a":1}', '{"__proto__":{"b":1},"constructor":2}', '{"__proto__":{"b":1},"a":1,"constructor":2}'],
    ['{"a":"<b>&"}', '{"c":"\\"}\\u2028"}', '{"a":"\\u003cb\\u003e\\u0026","c":"\\"}\\u2028"}'],
  ])('%s and %s make %s', (target, patch, result) => {
    expect(mergeJson(target, patch)).toBe(result)
  })

  it.each([
    ['null', '{}', 'objects on both sides'],
    ['{}', 'null', 'objects on both sides'],
    ['{}', '1', 'objects on both sides'],
    ['not-json', '{}', 'one side is not'],
    ['{}', '{"a":}', 'one side is not'],
    [`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`, '{"b":1}', 'nested deeper than 200'],
    ['{}', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'nested deeper than 200'],
  ])('%.20s and %.20s are refused', (target, patch, why) => {
    expect(() => mergeJson(target, patch)).toThrow(MergeError)
    expect(() => mergeJson(target, patch)).toThrow(why)
  })

  it('does what RFC 7386 says, but for nulls inside of lists', () => {
    const { someObject } = fc.letrec<{ someObject: Record<string, unknown> }>((tie) => ({
      someObject: fc.dictionary(
        fc.constantFrom('a', 'b', '1', '10'),
        fc.oneof(
          { depthSize: 'small' },
          fc.constant(null),
          fc.string(),
          fc.array(fc.integer()),
          tie('someObject'),
        ),
      ),
    }))
    fc.assert(
      fc.property(someObject, someObject, (target, patch) => {
        expect(JSON.parse(mergeJson(JSON.stringify(target, null, 1), JSON.stringify(patch)))).toEqual(
          JSON.parse(JSON.stringify(reference(target, patch))),
        )
      }),
    )
  })

  it('knows JSON of the same meaning', () => {
    expect(isSameJson('{"a":1,"b":null}', '{ "a" : 1 }')).toBe(true)
    expect(isSameJson('{"a":1}', '{"a":1,"b":null}')).toBe(true)
    expect(isSameJson('{"a":[1,{"b":2}]}', '{"a":[1,{"b":3}]}')).toBe(false)
    expect(isSameJson('{"a":12345678901234567890}', '{"a":12345678901234567891}')).toBe(false)
    expect(isSameJson('{"a":1}', '{"a":1,"b":2}')).toBe(false)
  })
})

/** The algorithm as the RFC prints it. */
function reference(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = reference(result[key], value)
  }
  return result
}
