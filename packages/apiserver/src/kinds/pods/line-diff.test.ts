import { expect, test } from 'vitest'
import { lineDiff } from './line-diff.ts'

test('shows what changed with three lines around it', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh\n'
  const after = 'a\nb\nc\nd\nX\nf\ng\nh\n'

  expect(lineDiff(before, after)).toBe('@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+X\n f\n g\n h\n')
})

test('makes hunks of their own of changes far apart', () => {
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`)
  const after = lines.map((line, index) => (index === 5 || index === 25 ? 'other' : line))

  const hunks = lineDiff(lines.join('\n'), after.join('\n')).match(/^@@.*$/gm)

  expect(hunks).toEqual(['@@ -3,7 +3,7 @@', '@@ -23,7 +23,7 @@'])
})

test('says nothing of equal texts', () => {
  expect(lineDiff('a\nb', 'a\nb')).toBe('')
})
