import { describe, expect, test } from 'vitest'
import { compileCel } from './cel-program.ts'
import { escapeName, toCel } from './cel-value.ts'

const evaluate = (source: string, self: unknown = null): unknown =>
  compileCel(source).evaluate({ self: toCel(self, undefined) })

describe('CEL', () => {
  test.each([
    ["self.matches('^[a-z]+$')", 'abc'],
    ["self.find('[0-9]+') == '42'", 'a42b'],
    ["self.findAll('[0-9]+') == ['1', '2']", 'a1b2'],
    ["self.replace('a', 'b') == 'bbb'", 'aab'],
    ["'%s has %d'.format([self, 3]) == 'x has 3'", 'x'],
    ['self.isSorted() && self.sum() == 6 && self.max() == 3 && self.indexOf(2) == 1', [1, 2, 3]],
    [
      "quantity('1.5Gi').isGreaterThan(quantity('1G')) && quantity('1').add(quantity('500m')).compareTo(quantity('1500m')) == 0",
      null,
    ],
    ["isQuantity('10Mi') && !isQuantity('10MiB')", null],
    ["url('https://a.example:81/p').getPort() == '81'", null],
    ["isIP('10.0.0.1') && ip('::1').family() == 6 && isCIDR('10.0.0.0/8')", null],
    ["cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsCIDR('11.0.0.0/16')", null],
    [
      "ip('127.0.0.1').isLoopback() && !ip('fe80::1').isGlobalUnicast() && ip('8.8.8.8').isGlobalUnicast()",
      null,
    ],
    [
      "sets.contains(self, ['a']) && !sets.intersects(self, ['c']) && sets.equivalent(self, ['b', 'a'])",
      ['a', 'b'],
    ],
    ["'%.2f'.format([1.5]) == '1.50' && '%d'.format([3]) == '3'", null],
    ['has(self.a) && !has(self.b) && self.n + 1 == 3', { a: 1, n: 2 }],
    ["self.?missing.orValue('x') == 'x'", {}],
    ['self.__namespace__ == 1 && self.a__dash__b == 2', { __namespace__: 1, a__dash__b: 2 }],
    ["self.all(key, self[key].startsWith('v'))", { a: 'v1', b: 'v2' }],
  ])('says yes to %s', (source, self) => {
    expect(evaluate(source, self)).toBe(true)
  })

  test('escapes field names as Kubernetes does', () => {
    expect(['namespace', 'a-b', 'a.b/c', 'a__b', 'plain'].map(escapeName)).toEqual([
      '__namespace__',
      'a__dash__b',
      'a__dot__b__slash__c',
      'a__underscores__b',
      'plain',
    ])
  })

  test('explains itself in one line', () => {
    expect(() => compileCel('self.a +')).toThrow(/^[^\n]+$/)
    expect(() => evaluate('self.missing == 1', {})).toThrow('no such key: missing')
  })

  test('cannot be made to run for long', () => {
    const list = Array.from({ length: 5000 }, (_, index) => index)
    const start = performance.now()

    expect(() => evaluate('self.all(a, self.all(b, self.all(c, a + b + c >= 0)))', list)).toThrow(
      'cost limit',
    )
    expect(evaluate("self.matches('^(a+)+$')", `${'a'.repeat(5000)}!`)).toBe(false)
    expect(() => compileCel(`${'('.repeat(5000)}1${')'.repeat(5000)}`)).toThrow()
    expect(performance.now() - start).toBeLessThan(2000)
  })
})
