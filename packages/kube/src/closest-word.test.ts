import { expect, it } from 'vitest'
import { closestWord } from './closest-word.ts'

it.each([
  ['Containers', 'containers'],
  ['container', 'containers'],
  ['contaimers', 'containers'],
  ['containesr', 'containers'],
  ['volums', 'volumes'],
  ['pods', undefined],
  ['', undefined],
])('takes %s for %s', (word, meant) => {
  expect(closestWord(word, ['containers', 'volumes'])).toBe(meant)
})
