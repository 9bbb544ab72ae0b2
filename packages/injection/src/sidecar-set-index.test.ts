import { sidecarSetErrors } from '@outrigger/api'
import type { LabelSelector } from '@outrigger/kube'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { matchSidecarSet } from './match.ts'
import { compileSidecarSet, SidecarSetIndex } from './sidecar-set-index.ts'
import { sidecarSet } from './testdata/builders.ts'

const key = fc.constantFrom('a', 'b', 'c')
const value = fc.constantFrom('1', '2', '3')
const someLabels = fc.dictionary(key, value, { maxKeys: 3 })
const someSelector: fc.Arbitrary<LabelSelector> = fc.record(
  {
    matchLabels: fc.dictionary(key, value, { maxKeys: 2 }),
    matchExpressions: fc.array(
      fc.record({
        key,
        operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'),
        values: fc.array(value, { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: [] },
)
const someNamespaceSelector = fc.option(
  fc.constantFrom<LabelSelector>(
    { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } },
    { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['shop', 'bank'] }] },
    { matchLabels: { team: 'x' } },
  ),
  { nil: undefined },
)

it('finds exactly what asking every SidecarSet finds, also after changes', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          name: fc.constantFrom('p', 'q', 'r', 's'),
          selector: someSelector,
          namespaceSelector: someNamespaceSelector,
        }),
        { maxLength: 12 },
      ),
      someLabels,
      fc.constantFrom('shop', 'bank'),
      (changes, labels, namespace) => {
        const index = new SidecarSetIndex()
        const present = new Map<string, ReturnType<typeof sidecarSet>>()
        for (const { name, selector, namespaceSelector } of changes) {
          const changed = sidecarSet(name, { selector, ...(namespaceSelector && { namespaceSelector }) })
          index.set(changed)
          present.set(name, changed)
        }
        const where = { name: namespace, labels: { 'kubernetes.io/metadata.name': namespace } }
        const matches = (compiled: ReturnType<typeof compileSidecarSet>) =>
          matchSidecarSet(compiled, labels, where).isInjected
        const found = index.candidates(labels, namespace).filter(matches)
        const expected = [...present.values()].map(compileSidecarSet).filter(matches)
        expect(found.map(({ sidecarSet: { metadata } }) => metadata.name)).toEqual(
          expected.map(({ sidecarSet: { metadata } }) => metadata.name).sort(),
        )
      },
    ),
  )
})

it('does not look at SidecarSets of other labels or namespaces, however many there are', () => {
  const index = new SidecarSetIndex()
  for (let i = 0; i < 2000; i++) {
    index.set(sidecarSet(`app-${i}`, { selector: { matchLabels: { tier: 'web', app: `app-${i}` } } }))
    index.set(sidecarSet(`ns-${i}`, { selector: { matchLabels: { tier: 'web' } }, namespace: `ns-${i}` }))
  }
  const namesOf = (labels: Record<string, string>, namespace: string) =>
    index.candidates(labels, namespace).map(({ sidecarSet: { metadata } }) => metadata.name)
  const found = namesOf({ tier: 'web', app: 'app-7' }, 'ns-9')
  expect(found).toEqual(expect.arrayContaining(['app-7', 'ns-9']))
  expect(found.length).toBeLessThan(5)
  index.delete('app-7')
  expect(namesOf({ tier: 'web', app: 'app-7' }, 'ns-9')).not.toContain('app-7')
})

it('finds among many everything that a SidecarSet conflicts with', () => {
  const someSet = fc.record({
    name: fc.constantFrom('p', 'q', 'r', 's', 't', 'u'),
    selector: someSelector.filter(selectsSomething),
    namespaceSelector: someNamespaceSelector,
  })
  fc.assert(
    fc.property(fc.array(someSet, { maxLength: 12 }), someSet, (changes, one) => {
      const setOf = ({ name, selector, namespaceSelector }: typeof one) =>
        sidecarSet(name, {
          selector,
          ...(namespaceSelector && { namespaceSelector }),
          containers: [{ name: 'agent', image: 'agent:1' }],
        })
      const index = new SidecarSetIndex()
      for (const change of changes) index.set(setOf(change))
      for (const { name } of changes.slice(0, 2)) index.delete(name)
      const messages = (others: Iterable<ReturnType<typeof compileSidecarSet>>) =>
        sidecarSetErrors(setOf(one), { others: [...others].map((other) => other.sidecarSet) })
          .map(({ detail }) => detail)
          .sort()
      expect(messages(index.rivalsOf(setOf(one)))).toEqual(messages(index.values()))
    }),
  )
})

it('asks none of those that demand another value of a label, however many there are', () => {
  const index = new SidecarSetIndex()
  for (let i = 0; i < 2000; i++)
    index.set(sidecarSet(`app-${i}`, { selector: { matchLabels: { app: `app-${i}` } } }))
  index.set(sidecarSet('by-team', { selector: { matchLabels: { team: 'x' } } }))
  const another = sidecarSet('new', { selector: { matchLabels: { app: 'app-7' } } })
  expect(
    index
      .rivalsOf(another)
      .map(({ sidecarSet: { metadata } }) => metadata.name)
      .sort(),
  ).toEqual(['app-7', 'by-team'])
})

/** An empty selector selects nothing, and one that cannot be understood neither. */
const selectsSomething = (selector: LabelSelector) =>
  compileSidecarSet(sidecarSet('any', { selector })).selects !== undefined
