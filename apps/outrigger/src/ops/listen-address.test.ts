import { expect, it } from 'vitest'
import { parseListenAddress } from './listen-address.ts'

const parse = parseListenAddress('--metrics-addr')

it('reads addresses as controller-runtime does', () => {
  expect(parse(':8080')).toEqual({ port: 8080 })
  expect(parse('127.0.0.1:0')).toEqual({ host: '127.0.0.1', port: 0 })
  expect(parse('[::1]:8000')).toEqual({ host: '::1', port: 8000 })
  expect(parse('0')).toBe('off')
})

it.each(['8080', ':99999', '::1:80', 'host:'])('refuses %s and names the flag', (text) => {
  expect(() => parse(text)).toThrow(`--metrics-addr ${text}`)
})
