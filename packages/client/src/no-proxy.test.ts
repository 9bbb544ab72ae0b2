import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isExempt, isLoopback } from './no-proxy.ts'

test.each([
  ['example.com', 'example.com', 443, true],
  ['example.com', 'api.example.com', 443, true],
  ['example.com', 'notexample.com', 443, false],
  ['.example.com', 'example.com', 443, false],
  ['.example.com', 'api.example.com', 443, true],
  ['*.example.com', 'api.example.com', 443, true],
  ['*.example.com', 'example.com', 443, false],
  ['EXAMPLE.com', 'api.Example.COM', 443, true],
  ['example.com:6443', 'example.com', 6443, true],
  ['example.com:6443', 'example.com', 443, false],
  ['10.0.0.1', '10.0.0.1', 443, true],
  ['10.0.0.1:6443', '10.0.0.1', 443, false],
  ['10.0.0.0/8', '10.9.8.7', 443, true],
  ['10.0.0.0/8', '11.9.8.7', 443, false],
  ['10.0.0.0/8', '::ffff:10.9.8.7', 443, true],
  ['10.0.0.0/99', '10.9.8.7', 443, false],
  ['fd00::/8', 'fd00::1', 443, true],
  ['[fd00::1]:6443', 'fd00::1', 6443, true],
  ['[fd00::1]:6443', 'fd00::1', 443, false],
  ['fd00::1', 'fd00:0::1', 443, true],
  ['0.0.1', '10.0.0.1', 443, false],
  ['a.test, ,b.test', 'b.test', 443, true],
  ['*', 'anything', 443, true],
  ['bücher.test', 'xn--bcher-kva.test', 443, true],
  [':6443', 'example.com', 6443, false],
  ['', 'example.com', 443, false],
])('NO_PROXY %j for %s:%i: exempt is %s', (noProxy, host, port, isIt) => {
  expect(isExempt(noProxy, host, port)).toBe(isIt)
})

test('never throws, whatever NO_PROXY holds', () => {
  fc.assert(fc.property(fc.string(), (text) => typeof isExempt(text, '10.0.0.1', 443) === 'boolean'))
  fc.assert(fc.property(fc.string(), (text) => typeof isExempt(text, 'api.test', 443) === 'boolean'))
})

test('knows what is this machine', () => {
  const hosts = ['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']
  expect(hosts.map(isLoopback)).toEqual(hosts.map(() => true))
  expect(['localhost.test', '128.0.0.1', 'fd00::1', 'api'].map(isLoopback)).toEqual([
    false,
    false,
    false,
    false,
  ])
})
