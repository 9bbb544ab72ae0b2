import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { builtinSchema, schemaOfKind } from './builtin-schema.ts'
import { deepCopy } from './deep-copy.ts'
import { deepFreeze } from './deep-freeze.ts'
import { PatchError } from './patch-error.ts'
import { applyStrategicMergePatch } from './strategic-merge-patch.ts'
import { recordedSteps } from './testing/recorded.ts'

const podSpec = builtinSchema('io.k8s.api.core.v1.PodSpec')

describe('strategic merge patch', () => {
  test.each(['containers', 'directives', 'primitive', 'retain-keys', 'service-ports'])(
    'merges as recorded from a real server: %s',
    (name) => {
      const live = new Map<string, Record<string, unknown>>()
      let compared = 0
      for (const step of recordedSteps(`patch/strategic-${name}`)) {
        const path = step.method === 'POST' ? `${step.path}/${step.body.metadata.name}` : step.path
        const before = live.get(path)
        if (
          step.method === 'PATCH' &&
          before !== undefined &&
          step.status === 200 &&
          step.answer !== undefined
        ) {
          const schema = schemaOfAnswer(before)
          const merged = applyStrategicMergePatch(deepFreeze(deepCopy(before)), step.body, schema)
          expect(withoutServerFields(step.answer)).toMatchObject(withoutServerFields(merged))
          expect(orderOf(merged)).toEqual(orderOf(step.answer))
          compared++
        }
        if (step.method === 'PATCH' && before !== undefined && step.status === 500)
          expect(() => applyStrategicMergePatch(before, step.body, schemaOfAnswer(before))).toThrow(
            new PatchError('server-fault', step.answer.message),
          )
        if (step.status < 300 && step.answer !== undefined) live.set(path, step.answer)
      }
      expect(compared).toBeGreaterThan(0)
    },
  )

  test('never changes what it is given', () => {
    const pod = deepFreeze({
      containers: [{ name: 'a', env: [{ name: 'X', value: '1' }] }],
      nodeSelector: { a: 'b' },
    })
    const patch = deepFreeze({
      containers: [{ name: 'a', env: [{ name: 'X', $patch: 'delete' }] }],
      nodeSelector: { $patch: 'replace', c: 'd' },
    })

    expect(applyStrategicMergePatch(pod, patch, podSpec)).toEqual({
      containers: [{ name: 'a', env: [] }],
      nodeSelector: { c: 'd' },
    })
  })

  test('weaves items only the server has between those of an element order', () => {
    const live = { containers: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] }
    const patch = {
      '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }],
      containers: [{ name: 'c', image: 'x' }],
    }

    expect(applyStrategicMergePatch(live, patch, podSpec)).toEqual({
      containers: [{ name: 'b' }, { name: 'c', image: 'x' }, { name: 'a' }],
    })
  })

  test('refuses an element order that does not fit the list', () => {
    const patch = { '$setElementOrder/containers': [{ name: 'a' }], containers: [{ name: 'b' }] }

    expect(() => applyStrategicMergePatch({ containers: [] }, patch, podSpec)).toThrow("doesn't match")
  })

  test('refuses an item without its merge key', () => {
    expect(() =>
      applyStrategicMergePatch({ containers: [{ name: 'a' }] }, { containers: [{ image: 'x' }] }, podSpec),
    ).toThrow('map: map[image:x] does not contain declared merge key: name')
  })

  test('replaces lists without a merge strategy, and selectors marked so', () => {
    const budget = builtinSchema('io.k8s.api.policy.v1.PodDisruptionBudgetSpec')
    const live = { selector: { matchLabels: { a: 'b' } } }

    expect(applyStrategicMergePatch(live, { selector: { matchLabels: { c: 'd' } } }, budget)).toEqual({
      selector: { matchLabels: { c: 'd' } },
    })
    expect(
      applyStrategicMergePatch({ tolerations: [{ key: 'a' }] }, { tolerations: [{ key: 'b' }] }, podSpec),
    ).toEqual({
      tolerations: [{ key: 'b' }],
    })
  })

  test('takes long lists in its stride', () => {
    const list = (prefix: string) =>
      Array.from({ length: 30_000 }, (_, index) => ({ name: `${prefix}${index}` }))
    const started = performance.now()
    const merged = applyStrategicMergePatch(
      { containers: list('a') },
      { containers: list('b') },
      podSpec,
    ) as {
      containers: unknown[]
    }

    expect(merged.containers.length).toBe(60_000)
    expect(performance.now() - started).toBeLessThan(2000)
  })

  test('done twice is done once', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd')
    const container = fc.record({ name, image: fc.constantFrom('x', 'y') })
    const list = fc.uniqueArray(container, { selector: (item) => item.name })
    fc.assert(
      fc.property(list, list, (live, patch) => {
        const once = applyStrategicMergePatch({ containers: live }, { containers: patch }, podSpec)

        expect(applyStrategicMergePatch(once, { containers: patch }, podSpec)).toEqual(once)
      }),
    )
  })
})

function schemaOfAnswer(answer: Record<string, unknown>) {
  const parts = String(answer['apiVersion']).split('/')
  const [group, version] = parts.length === 2 ? parts : ['', parts[0]]
  return schemaOfKind(group!, version!, String(answer['kind']))!
}

/** Without what the server itself changes on a write, and with lists as sets of fields to compare. */
function withoutServerFields(object: unknown): Record<string, unknown> {
  const { metadata, status: _, ...rest } = object as { metadata: Record<string, unknown>; status?: unknown }
  const { resourceVersion: _rv, generation: _generation, managedFields: _managed, ...kept } = metadata
  return { ...rest, metadata: kept }
}

/** Names and ports of all lists, in order. */
function orderOf(object: unknown): unknown {
  if (Array.isArray(object))
    return object.map((item) =>
      typeof item === 'object' ? [item.name, item.containerPort ?? item.port, orderOf(item)] : item,
    )
  if (typeof object !== 'object' || object === null) return undefined
  const lists = Object.entries(object).map(([key, value]) => [key, orderOf(value)] as const)
  return Object.fromEntries(
    lists.filter(([key, value]) => value !== undefined && !ignored.has(key) && !isEmpty(value)),
  )
}

const ignored = new Set(['managedFields'])
const isEmpty = (value: unknown) =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0
