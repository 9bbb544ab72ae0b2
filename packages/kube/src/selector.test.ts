import { describe, expect, test } from 'vitest'
import { formatFieldSelector, matchesFields, parseFieldSelector } from './field-selector.ts'
import { compileLabelSelector, formatLabelSelector, parseLabelSelector, SelectorError } from './selector.ts'
import { recordedSteps } from './testing/recorded.ts'

describe('label selectors', () => {
  test('refuse what a real server refuses, in its words', () => {
    for (const step of recordedSteps('list/label-errors').filter(({ path }) =>
      path.includes('labelSelector'),
    )) {
      const text = new URLSearchParams(step.path.split('?')[1]).get('labelSelector')!
      if (step.status === 200) expect(() => parseLabelSelector(text)).not.toThrow()
      else expect(() => parseLabelSelector(text)).toThrow(new SelectorError(step.answer.message))
    }
  })

  test.each([
    ['a=b', true],
    ['a==b,c!=x', true],
    ['a!=b', false],
    ['a in (b,x)', true],
    ['a notin (b)', false],
    ['none notin (b)', true],
    ['!none,a', true],
    ['!a', false],
    ['n>1,n<10', true],
    ['n>5', false],
    ['empty=', true],
    ['in in (notin)', true],
    ['', true],
    ['example.com/x=1', true],
  ])('%s matches: %s', (text, matches) => {
    const labels = { a: 'b', n: '5', empty: '', in: 'notin', 'example.com/x': '1' }

    expect(parseLabelSelector(text).matches(labels)).toBe(matches)
  })

  test('as objects mean what their text means', () => {
    const selector = {
      matchLabels: { a: 'b' },
      matchExpressions: [
        { key: 'c', operator: 'In', values: ['y', 'x'] },
        { key: 'd', operator: 'DoesNotExist' },
      ],
    }
    const compiled = compileLabelSelector(selector)

    expect(formatLabelSelector(compiled.requirements)).toBe('a=b,c in (x,y),!d')
    expect(compiled.matches({ a: 'b', c: 'x' })).toBe(true)
    expect(compiled.matches({ a: 'b', c: 'x', d: '' })).toBe(false)
    expect(compileLabelSelector({}).matches(undefined)).toBe(true)
    expect(compileLabelSelector(undefined).matches({})).toBe(false)
    expect(() => compileLabelSelector({ matchExpressions: [{ key: 'a', operator: 'Near' }] })).toThrow(
      '"Near" is not a valid label selector operator',
    )
  })
})

describe('field selectors', () => {
  test('refuse what is none, in the words of a real server', () => {
    for (const step of recordedSteps('list/field-errors')) {
      const text = new URLSearchParams(step.path.split('?')[1]).get('fieldSelector')!
      if (step.answer.message.startsWith('invalid selector'))
        expect(() => parseFieldSelector(text)).toThrow(new SelectorError(step.answer.message))
    }
  })

  test('unescape values and match missing fields as empty', () => {
    const requirements = parseFieldSelector('a=x\\,y,b!=z,c==')

    expect(requirements.map(({ value }) => value)).toEqual(['x,y', 'z', ''])
    expect(formatFieldSelector(requirements)).toBe('a=x\\,y,b!=z,c=')
    expect(matchesFields(requirements, { a: 'x,y', b: 'q' })).toBe(true)
    expect(matchesFields(requirements, { a: 'x,y', b: 'z' })).toBe(false)
  })
})
