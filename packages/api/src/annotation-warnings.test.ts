import { expect, it } from 'vitest'
import { annotationWarnings } from './annotation-warnings.ts'

const warnings = (annotations: Record<string, string>) =>
  annotationWarnings({ metadata: { name: 's', annotations } }).map(
    ({ annotation, message }) => `${annotation} ${message}`,
  )

it('says nothing of annotations that mean what they say, or belong to others', () => {
  expect(
    warnings({
      'outrigger.dev/missed-pods': 'evict-all',
      'outrigger.dev/injection-weight': '-3',
      'outrigger.dev/selects-since': '2026-01-01T00:00:00Z',
      'example.com/outrigger.dev': 'x',
    }),
  ).toEqual([])
})

it('tells of words that count as another', () => {
  expect(warnings({ 'outrigger.dev/failure-policy': 'ignore' })).toEqual([
    'outrigger.dev/failure-policy "ignore" counts as Fail; write Fail or Ignore',
  ])
})

it('tells of annotations that nobody reads, and which one was meant', () => {
  expect(warnings({ 'outrigger.dev/injection-wieght': '1', 'outrigger.dev/speed': 'high' })).toEqual([
    'outrigger.dev/injection-wieght is not known on SidecarSets and does nothing; did you mean outrigger.dev/injection-weight?',
    'outrigger.dev/speed is not known on SidecarSets and does nothing; remove it',
  ])
})
