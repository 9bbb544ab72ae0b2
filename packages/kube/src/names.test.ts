import { describe, expect, test } from 'vitest'
import {
  annotationsSize,
  configMapKeyProblems,
  dns1035LabelProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  environmentNameProblems,
  labelValueProblems,
  portNameProblems,
  qualifiedNameProblems,
  utf8Length,
} from './names.ts'

describe('names', () => {
  test('that are fine have no problems', () => {
    expect([
      ...dnsLabelProblems('my-name'),
      ...dnsSubdomainProblems('a.b-c.d'),
      ...dns1035LabelProblems('a1'),
      ...qualifiedNameProblems('example.com/My_name.x'),
      ...labelValueProblems(''),
      ...configMapKeyProblems('a..b_C'),
      ...environmentNameProblems('MY.VAR with blanks'),
      ...portNameProblems('http-8080'),
    ]).toEqual([])
  })

  test('that are wrong get the words of the real server', () => {
    expect(dnsSubdomainProblems('A')).toEqual([
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ])
    expect(dnsLabelProblems('a.b')).toEqual(['must not contain dots'])
    expect(dnsSubdomainProblems('a'.repeat(254))).toEqual(['must be no more than 253 characters'])
    expect(qualifiedNameProblems('/x')).toEqual(['prefix part must be non-empty'])
    expect(qualifiedNameProblems('a b')).toEqual([
      "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ])
    expect(configMapKeyProblems('..')).toEqual(["must not be '..'"])
  })

  test('sizes are counted in UTF-8', () => {
    expect(utf8Length('aé€😀')).toBe(Buffer.byteLength('aé€😀'))
    expect(annotationsSize({ é: '€' })).toBe(5)
  })

  test('long hostile names are refused quickly', () => {
    const started = performance.now()
    dnsSubdomainProblems(`${'a-'.repeat(50_000)}!`)
    qualifiedNameProblems(`${'a.'.repeat(50_000)}!`)
    expect(performance.now() - started).toBeLessThan(1000)
  })
})
