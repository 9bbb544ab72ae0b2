import { describe, expect, test } from 'vitest'
import { formatYaml, ManifestError, parseManifests, parseYaml } from './yaml.ts'

describe('YAML', () => {
  test('reads booleans, octals and merges as kubectl does, and times as texts', () => {
    expect(
      parseYaml(
        'a: yes\nb: off\nc: y\nd: "y"\nmode: 0644\nzero: 0\nat: 2024-01-02\nclock: 12:30:45\nbase: &b\n  x: 1\nall:\n  <<: *b\n  y2: 2\n',
      ),
    ).toEqual({
      a: true,
      b: false,
      c: true,
      d: 'y',
      mode: 420,
      zero: 0,
      at: '2024-01-02',
      clock: '12:30:45',
      base: { x: 1 },
      all: { x: 1, y2: 2 },
    })
  })

  test('takes documents and lists apart and knows where they begin', () => {
    const text =
      '# nothing\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n---\n---\n{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}}]}\n'

    expect(parseManifests(text).map(({ object, line }) => [object.metadata.name, line])).toEqual([
      ['a', 3],
      ['b', 9],
    ])
  })

  test('says where a text is wrong', () => {
    const error = thrownBy('a: 1\nb: [1\n')
    expect(error.line).toBe(3)
    expect(thrownBy('a: 1\na: 2\n').line).toBe(2)
    expect(() => parseManifests('kind: Pod\n')).toThrow('line 1, column 1: apiVersion is missing')
    expect(() => parseManifests('just text')).toThrow('a manifest must be an object')
  })

  test('is not blown up by aliases', () => {
    const lines = ['a: &a [x,x,x,x,x,x,x,x,x]']
    for (let index = 1; index < 9; index++) {
      const before = String.fromCharCode(96 + index)
      const name = String.fromCharCode(97 + index)
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`)
    }
    expect(() => parseYaml(lines.join('\n'))).toThrow(ManifestError)
  })

  test('writes sorted, unindented lists, and quotes what would be read as something else', () => {
    const value = {
      b: [{ name: 'x', on: true }, 'y'],
      a: { empty: {}, none: [], text: 'line\nline\n', yes: 'yes', num: '1', oct: '0644', nul: null },
    }
    const text = formatYaml(value)

    expect(text).toBe(
      'a:\n  empty: {}\n  none: []\n  nul: null\n  num: "1"\n  oct: "0644"\n  text: |\n    line\n    line\n  "yes": "yes"\nb:\n- name: x\n  "on": true\n- "y"\n',
    )
    expect(parseYaml(text)).toEqual(value)
  })
})

function thrownBy(text: string): ManifestError {
  try {
    parseYaml(text)
  } catch (error) {
    if (error instanceof ManifestError) return error
  }
  throw new Error('read without complaint')
}
