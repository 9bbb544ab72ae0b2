import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
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

  test('reads the numbers that Go reads', () => {
    expect(
      parseYaml(
        'a: 1_000\nb: 0b101\nc: 0x_1F\nd: 0o17\ne: 0_7\nf: -0b11\ng: 1_0.5\nh: 08\nj: 1_a\nk: _1\nl: 1e3',
      ),
    ).toEqual({ a: 1000, b: 5, c: 31, d: 15, e: 7, f: -3, g: 10.5, h: 8, j: '1_a', k: '_1', l: 1000 })
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

test('writes a script as it was written, tabs and all', () => {
  expect(formatYaml({ make: 'all:\n\techo\n' })).toBe('make: |\n  all:\n  \techo\n')
})

test('writes nothing that Go takes for the end of a line', () => {
  expect(formatYaml({ a: 'x\u2028y\u0085z\u2029', b: 'x\ty' })).toBe(
    'a: "x\\u2028y\\u0085z\\u2029"\nb: "x\\ty"\n',
  )
})

/** Texts that some reader of YAML takes for something else. */
const treacherous = [
  ...['1_000', '0b1', '0x_1', '0_7', '0o17', '+1', '1e3', '.5', '1.', '.inf', '.NaN', '1:30', '12:30:45.5'],
  ...['yes', 'No', 'on', 'y', 'N', 'true', 'null', '~', '', '=', '<<', '2024-01-02', '2024-01-02T03:04:05Z'],
  ...[
    'a\tb',
    '\ta',
    'a\u2028b',
    'a\u0085b',
    '\ufeffa',
    'a: b',
    'a #b',
    '- a',
    '? a',
    '%a',
    '@a',
    '`a',
    '!a',
    '&a',
    '*a',
  ],
  ...[
    "'",
    '"',
    '{',
    '}',
    '[',
    ']',
    ',',
    '|',
    '>',
    'a\\b',
    ' a',
    'a ',
    'a\n',
    '\n',
    'a\r\nb',
    '\u0000',
    '---',
    '...',
  ],
]

test.each(treacherous)('writes the text %j so that it stays that text', (text) => {
  const written = formatYaml({ [text]: text })
  expect(parseYaml(written)).toEqual({ [text]: text })
  // Also for readers of YAML 1.1.
  expect(parse(written, { version: '1.1', merge: false })).toEqual({ [text]: text })
})

test('writes any text so that it stays that text', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 12 })), (texts) => {
      const written = formatYaml(texts)
      expect(parseYaml(written)).toEqual(texts)
      expect(parse(written, { version: '1.1' })).toEqual(texts)
    }),
  )
})

function thrownBy(text: string): ManifestError {
  try {
    parseYaml(text)
  } catch (error) {
    if (error instanceof ManifestError) return error
  }
  throw new Error('read without complaint')
}
