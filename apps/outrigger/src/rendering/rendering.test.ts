import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffLines } from './line-diff.ts'
import { createPaint } from './paint.ts'
import { formatProgressBar, formatProgressLine } from './progress-bar.ts'
import { formatTable } from './table.ts'
import { formatUnifiedDiff } from './unified-diff.ts'

const plain = createPaint(false)
const someLines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 })

describe('a line diff', () => {
  it('leads from one text to the other', () => {
    fc.assert(
      fc.property(someLines, someLines, (before, after) => {
        const lines = diffLines(before, after)
        const side = (other: string) => lines.filter(({ kind }) => kind !== other).map(({ text }) => text)
        expect(side('added')).toEqual(before)
        expect(side('removed')).toEqual(after)
      }),
    )
  })

  it('keeps as many lines as can be kept', () => {
    fc.assert(
      fc.property(someLines, someLines, (before, after) => {
        const kept = diffLines(before, after).filter(({ kind }) => kind === 'same').length
        expect(kept).toBe(longestCommon(before, after))
      }),
    )
  })
})

function longestCommon(before: readonly string[], after: readonly string[]): number {
  const [first, ...rest] = before
  if (first === undefined || after.length === 0) return 0
  const at = after.indexOf(first)
  const without = longestCommon(rest, after)
  return at < 0 ? without : Math.max(without, 1 + longestCommon(rest, after.slice(at + 1)))
}

describe('a unified diff', () => {
  const numbers = (changed: Readonly<Record<number, string>>) =>
    `${Array.from({ length: 20 }, (_, i) => changed[i + 1] ?? String(i + 1))
      .filter((line) => line !== '')
      .join('\n')}\n`

  it('shows three lines around each change, and separate hunks where changes lie apart', () => {
    const text = formatUnifiedDiff(
      { name: 'x', before: numbers({}), after: numbers({ 2: 'two', 18: '' }) },
      plain,
    )
    expect(text).toBe(
      [
        '--- a/x',
        '+++ b/x',
        '@@ -1,5 +1,5 @@',
        ' 1',
        '-2',
        '+two',
        ' 3',
        ' 4',
        ' 5',
        '@@ -15,6 +15,5 @@',
        ' 15',
        ' 16',
        ' 17',
        '-18',
        ' 19',
        ' 20',
        '',
      ].join('\n'),
    )
  })

  it('writes the ranges of texts that begin or end empty as diff does', () => {
    expect(formatUnifiedDiff({ name: 'x', before: '', after: 'a\n' }, plain)).toContain('@@ -0,0 +1 @@')
    expect(formatUnifiedDiff({ name: 'x', before: 'a\nb\n', after: '' }, plain)).toContain('@@ -1,2 +0,0 @@')
  })

  it('is nothing when nothing differs', () => {
    expect(formatUnifiedDiff({ name: 'x', before: 'a\n', after: 'a\n' }, plain)).toBe('')
  })

  it('has colors only where they are seen', () => {
    const texts = { name: 'x', before: 'a\n', after: 'b\n' }
    expect(formatUnifiedDiff(texts, createPaint(true))).toContain('\u001b[32m+b\u001b[39m')
    expect(formatUnifiedDiff(texts, plain)).not.toContain('\u001b')
  })
})

it('a table aligns its columns whatever their colors, and ends its lines without blanks', () => {
  const { added } = createPaint(true)
  expect(
    formatTable(
      [
        ['a', 'long', ''],
        [added('bbb'), 'x', 'y'],
      ],
      { indent: ' ' },
    ),
  ).toBe(` a    long\n ${added('bbb')}  x     y\n`)
  expect(formatTable([])).toBe('')
})

it.each([
  [0, 10, '[----------] 0 of 10'],
  [1, 100, '[#---------] 1 of 100'],
  [99, 100, '[#########-] 99 of 100'],
  [10, 10, '[##########] 10 of 10'],
  [0, 0, '[##########] 0 of 0'],
])('a bar of %i done of %i is %s', (done, total, bar) => {
  expect(formatProgressBar({ done, total }, 10)).toBe(bar)
})

it('a bar and its note never break the line', () => {
  const line = (width: number) => formatProgressLine({ done: 2, total: 4 }, 'ready, 3 updated', width)
  expect(line(79)).toBe('[############------------] 2 of 4 ready, 3 updated')
  expect(line(39)).toBe('[######-------] 2 of 4 ready, 3 updated')
  expect(line(30)).toBe('[##--] 2 of 4 ready, 3 updated')
  expect(line(10)).toBe('[##--] 2 o')
  for (let width = 0; width < 90; width++) expect(line(width).length).toBeLessThanOrEqual(width)
})
