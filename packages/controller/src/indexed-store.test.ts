import type { KubeObject } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IndexedStore } from './indexed-store.ts'

const labelValues = (object: KubeObject) => Object.values(object.metadata.labels ?? {})

describe('IndexedStore', () => {
  test('finds by index what a search through everything finds, whatever has happened', () => {
    const change = fc.record({
      key: fc.integer({ min: 0, max: 6 }),
      labels: fc.option(fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('x', 'y', 'z')), {
        nil: undefined,
      }),
    })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.nat(60), (changes, addIndexAt) => {
        const store = aStore()
        for (const [step, { key, labels }] of changes.entries()) {
          if (step === addIndexAt) store.addIndex('by-label', labelValues)
          if (labels === undefined) store.delete(`k${key}`)
          else store.set(`k${key}`, anObject(`k${key}`, labels))
        }
        store.addIndex('by-label', labelValues)

        for (const value of ['x', 'y', 'z']) {
          const found = new Set(store.byIndex('by-label', value))
          expect(found).toEqual(new Set(store.list().filter((object) => labelValues(object).includes(value))))
        }
        expect(store.list().length).toBe(store.size)
      }),
    )
  })

  test('refuses a second function under one name and knows no index that was not declared', () => {
    const store = aStore()
    store.addIndex('by-label', labelValues)

    expect(() => store.addIndex('by-label', () => [])).toThrow('already exists')
    expect(() => store.byIndex('by-node', 'x')).toThrow('there is no index called by-node')
  })

  test('keeps an object whose index function throws, and reports it', () => {
    const problems: string[] = []
    const store = new IndexedStore<KubeObject>((index, key) => problems.push(`${index} ${key}`))
    store.addIndex('broken', () => {
      throw new Error('no')
    })
    store.set('a', anObject('a', {}))

    expect(store.get('a')).toBeDefined()
    expect(problems).toEqual(['broken a'])
  })
})

const aStore = () =>
  new IndexedStore<KubeObject>((_index, _key, error) => {
    throw error
  })

const anObject = (name: string, labels: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels },
})
