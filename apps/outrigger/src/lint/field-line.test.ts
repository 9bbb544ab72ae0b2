import { formatYaml } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FieldStep, lineOfField, parseFieldSteps } from './field-line.ts'

describe('the line of a field', () => {
  it('is found in whatever we print as YAML', () => {
    const key = fc.constantFrom('spec', 'name', 'a.b/c', '-x', 'on', '12', 'with space')
    const leaf = fc.oneof(fc.constantFrom('text', 'two\nlines: x\n', ''), fc.integer(), fc.constant({}))
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        leaf,
        fc.dictionary(key, tie('tree'), { minKeys: 1, maxKeys: 3 }),
        fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
      ),
    }))
    fc.assert(
      fc.property(fc.dictionary(key, tree, { minKeys: 1 }), fc.nat(), (object, choice) => {
        const paths = pathsOf(object)
        const path = paths[choice % paths.length] ?? []
        const lines = formatYaml(withMark(object, path)).split('\n')
        expect(lines[lineOfField(lines.join('\n'), path) - 1]).toContain('MARK')
      }),
      { numRuns: 500 },
    )
  })

  it('looks past comments, quotes and texts that look like fields', () => {
    const text = [
      '# spec: no',
      'data: |',
      '  spec: no',
      '"spec":',
      '    # a comment',
      '    list:',
      '    - name: a',
      '',
      '      image: b',
      '    - image: c',
      "      'name': d",
    ].join('\n')
    expect(lineOfField(text, parseFieldSteps('spec.list[0].image'))).toBe(9)
    expect(lineOfField(text, parseFieldSteps('spec.list[1].name'))).toBe(11)
  })

  it('is that of the last step which can be told', () => {
    const text = 'a:\n  b: {c: 1}\n  d: []\n'
    expect(lineOfField(text, parseFieldSteps('a.b.c'))).toBe(2)
    expect(lineOfField(text, parseFieldSteps('a.d[3].x'))).toBe(3)
    expect(lineOfField(text, parseFieldSteps('a.nothing'))).toBe(1)
    expect(lineOfField('{"a": 1}', parseFieldSteps('a'))).toBe(1)
  })

  it('takes brackets for keys where they hold no number', () => {
    expect(parseFieldSteps('metadata.labels[a.b/c].x[0]')).toEqual(['metadata', 'labels', 'a.b/c', 'x', 0])
  })
})

function pathsOf(value: unknown): FieldStep[][] {
  if (Array.isArray(value))
    return value.flatMap((item, i) => [[i], ...pathsOf(item).map((path) => [i, ...path])])
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => [
    [key],
    ...pathsOf(item).map((path) => [key, ...path]),
  ])
}

function withMark(value: unknown, [step, ...rest]: readonly FieldStep[]): unknown {
  if (step === undefined) return 'MARK'
  if (Array.isArray(value)) return value.map((item, i) => (i === step ? withMark(item, rest) : item))
  const fields = value as Record<string, unknown>
  return { ...fields, [step]: withMark(fields[step], rest) }
}
