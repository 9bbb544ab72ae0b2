import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileNamePattern } from './name-pattern.ts'

const occurs = (pattern: string, text: string) => compileNamePattern(pattern)?.occursIn(text)

describe('a pattern for names', () => {
  it.each<[string, string, boolean]>([
    ['.*', '', true],
    ['^main', 'main-a', true],
    ['^main', 'a-main', false],
    ['main$', 'a-main', true],
    ['a|b{2,3}', 'xbb', true],
    ['^(a|b){2}$', 'ab', true],
    ['^[^a-c[:digit:]]+$', 'xyz', true],
    ['^[^a-c[:digit:]]+$', 'xy1', false],
    ['(?i)^MAIN$', 'main', true],
    ['\\bapp\\b', 'my-app-1', true],
    ['^example\\.com/', 'exampleXcom/', false],
    ['\\x61{3}', 'aaa', true],
    ['\\Qa.b\\E$', 'a.b', true],
    ['(?P<name>x)?y', 'y', true],
    ['^x{,2}$', 'x{,2}', true],
  ])('%s in %j: %s', (pattern, text, expected) => {
    expect(occurs(pattern, text)).toBe(expected)
  })

  it.each(['(', 'a)', '[', '*', 'a**', '(?=a)', '\\1', 'a{1001}', '(a{1000}){1000}', '[b-a]'])(
    'refuses %s',
    (pattern) => {
      expect(compileNamePattern(pattern)).toBeUndefined()
    },
  )

  it('takes no longer for a pattern that makes others backtrack for ever', () => {
    expect(occurs('^(a+)+$', `${'a'.repeat(250)}!`)).toBe(false)
  })

  it('may list a few hundred names, and no more than memory allows', () => {
    const names = Array.from({ length: 300 }, (_, i) => `team-${i}\\.example`)
    expect(occurs(`^(${names.join('|')})$`, 'team-299.example')).toBe(true)
    expect(compileNamePattern('a'.repeat(8_193))).toBeUndefined()
    expect(compileNamePattern('('.repeat(4_000) + ')'.repeat(4_000))).toBeUndefined()
    expect(compileNamePattern('a{1000}'.repeat(1_000))).toBeUndefined()
  })

  it('agrees with the expressions of the language where both have the syntax', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(ab)', '\\w', '-')
    const piece = fc
      .tuple(atom, fc.constantFrom('', '*', '+', '?', '{2}', '{1,2}'))
      .map((parts) => parts.join(''))
    const pattern = fc
      .tuple(
        fc.constantFrom('', '^'),
        fc.array(piece, { minLength: 1, maxLength: 5 }),
        fc.constantFrom('', '$'),
      )
      .map(([begin, pieces, end]) => `${begin}${pieces.join('')}${end}`)
    const text = fc.array(fc.constantFrom('a', 'b', '-', 'c'), { maxLength: 8 }).map((list) => list.join(''))
    fc.assert(
      fc.property(pattern, text, (source, subject) => {
        expect(occurs(source, subject)).toBe(new RegExp(source, 's').test(subject))
      }),
      { numRuns: 2_000 },
    )
  })
})
