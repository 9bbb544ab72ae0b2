import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { schemaOfKind } from '../builtin-schema.ts'
import { deepFreeze } from '../deep-freeze.ts'
import type { ManagedFieldsEntry } from '../generated/kinds.ts'
import type { KubeObject } from '../object.ts'
import { type ApplyOutcome, applyConfiguration } from './apply-configuration.ts'
import { updateManagers } from './update-managers.ts'

const pod = schemaOfKind('', 'v1', 'Pod')!
const configMap = schemaOfKind('', 'v1', 'ConfigMap')!

describe('apply', () => {
  test('done twice changes nothing, and giving everything up leaves nothing', () => {
    fc.assert(
      fc.property(aSpec(), aSpec(), (first, second) => {
        const created = applied(apply({ manager: 'a', config: aPod(first) }))
        const shared = applied(apply({ manager: 'b', config: aPod(second), live: created, force: true }))
        const again = apply({ manager: 'b', config: aPod(second), live: shared, force: true })

        expect(again).toMatchObject({ type: 'applied', changesObject: false })
        expect(applied(again)).toEqual(shared)
        const withoutB = applied(apply({ manager: 'b', config: aPod({}), live: shared }))
        const withoutAny = applied(apply({ manager: 'a', config: aPod({}), live: withoutB }))
        expect(withoutAny).toEqual({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'p', managedFields: [] },
        })
      }),
      { numRuns: 500 },
    )
  })

  test('leaves what other managers own, and takes it only by force', () => {
    const live = applied(apply({ manager: 'a', config: aPod({ containers: [{ name: 'x', image: '1' }] }) }))
    const config = aPod({ containers: [{ name: 'x', image: '2' }] })
    const refused = apply({ manager: 'b', config, live })

    expect(refused).toMatchObject({
      type: 'conflicts',
      conflicts: [{ manager: 'a', field: '.spec.containers[name="x"].image', message: 'conflict with "a"' }],
    })
    const taken = applied(apply({ manager: 'b', config, live, force: true }))
    expect(taken.metadata.managedFields?.[0]?.fieldsV1).toEqual({
      'f:spec': { 'f:containers': { 'k:{"name":"x"}': { '.': {}, 'f:name': {} } } },
    })
  })

  test('finds ports without a protocol by the default', () => {
    const live = applied(
      apply({
        manager: 'a',
        config: aPod({ containers: [{ name: 'x', ports: [{ containerPort: 80, protocol: 'TCP' }] }] }),
      }),
    )
    const config = aPod({ containers: [{ name: 'x', ports: [{ containerPort: 80, name: 'web' }] }] })
    const both = applied(apply({ manager: 'b', config, live })) as KubeObject & {
      spec: { containers: unknown[] }
    }

    expect(both.spec.containers).toEqual([
      { name: 'x', ports: [{ containerPort: 80, protocol: 'TCP', name: 'web' }] },
    ])
  })

  test('gives an object nobody owns to before-first-apply', () => {
    const live = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', uid: 'u' },
      data: { a: '1' },
    } as KubeObject
    const config = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { a: '2' },
    } as KubeObject
    const outcome = applyConfiguration({ ...request, live, managers: [], config, schema: configMap })

    expect(outcome).toMatchObject({ type: 'conflicts', conflicts: [{ manager: 'before-first-apply' }] })
  })

  test('lets kubectl take over what it applied client-side', () => {
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { a: '1' },
    })
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': text }
    const live = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', annotations },
      data: { a: '1' },
    } as KubeObject
    const managers = updateManagers({
      ...request,
      before: undefined,
      after: live,
      managers: undefined,
      manager: 'kubectl-client-side-apply',
      schema: configMap,
    })
    const config = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { a: '2' },
    } as KubeObject

    expect(
      applyConfiguration({ ...request, manager: 'kubectl', live, managers, config, schema: configMap }).type,
    ).toBe('applied')
    expect(
      applyConfiguration({ ...request, manager: 'other', live, managers, config, schema: configMap }).type,
    ).toBe('conflicts')
  })

  test('refuses fields the schema does not know and items without their key', () => {
    const config = aPod({ containers: [{ image: 'x' }], unknown: 1 })

    expect(apply({ manager: 'a', config })).toEqual({
      type: 'refused',
      problems: [
        {
          path: '.spec.containers',
          message:
            'element 0: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
        },
        { path: '.spec.unknown', message: 'field not declared in schema' },
      ],
    })
  })
})

describe('updates', () => {
  test('of an object without owners leave it without', () => {
    const before = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { a: '1' },
    } as KubeObject
    const after = { ...before, data: { a: '2' } } as KubeObject

    expect(updateManagers({ ...request, before, after, managers: [], schema: configMap })).toEqual([])
    expect(updateManagers({ ...request, before, after, managers: [{}], schema: configMap })).toEqual([])
  })

  test('pass over owners that were sent but cannot be read', () => {
    const data = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { a: '1' },
    } as KubeObject
    const stored = updateManagers({
      ...request,
      before: undefined,
      after: data,
      managers: undefined,
      schema: configMap,
    })
    const before = { ...data, metadata: { name: 'c', managedFields: stored } }

    for (const managers of [
      [],
      [{ manager: 'x', operation: 'Own' }],
      [{ operation: 'Update', fieldsV1: { x: {} } }],
    ])
      expect(updateManagers({ ...request, before, after: data, managers, schema: configMap })).toEqual(stored)
    expect(updateManagers({ ...request, before, after: data, managers: [{}], schema: configMap })).toEqual([])
  })

  test('by ever more managers fold the oldest together', () => {
    let object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: {} } as KubeObject
    let managers: ManagedFieldsEntry[] = updateManagers({
      ...request,
      before: undefined,
      after: { ...object, data: { z: '1' } } as KubeObject,
      managers: undefined,
      schema: configMap,
    })
    for (let index = 0; index < 15; index++) {
      const before = object
      object = {
        ...before,
        data: { ...(before as unknown as { data: object }).data, [`k${index}`]: '1' },
      } as KubeObject
      managers = updateManagers({
        ...request,
        before,
        after: object,
        managers,
        manager: `m${index}`,
        time: `2026-01-01T00:00:${10 + index}Z`,
        schema: configMap,
      })
    }

    expect(managers.length).toBe(10)
    expect(managers[0]?.manager).toBe('ancient-changes')
    expect(JSON.stringify(managers)).toContain('f:k0')
  })
})

const request = {
  manager: 'm',
  apiVersion: 'v1',
  time: '2026-01-01T00:00:00Z',
  subresource: '',
  force: false,
} as const

function apply(options: {
  manager: string
  config: KubeObject
  live?: KubeObject
  force?: boolean
}): ApplyOutcome {
  const { manager, config, live, force = false } = options
  return applyConfiguration({
    ...request,
    manager,
    config: deepFreeze(config),
    live: deepFreeze(live),
    managers: live?.metadata.managedFields,
    force,
    schema: pod,
  })
}

function applied(outcome: ApplyOutcome): KubeObject {
  if (outcome.type !== 'applied') throw new Error(JSON.stringify(outcome))
  const { object, managedFields } = outcome
  return { ...object, metadata: { ...object.metadata, managedFields } }
}

function aPod(spec: Record<string, unknown>): KubeObject {
  const base = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } }
  return (Object.keys(spec).length === 0 ? base : { ...base, spec }) as KubeObject
}

function aSpec() {
  const name = fc.constantFrom('a', 'b', 'c')
  const env = fc.uniqueArray(fc.record({ name, value: fc.constantFrom('1', '2') }), {
    selector: (item) => item.name,
    minLength: 1,
  })
  const container = fc.record(
    { name, image: fc.constantFrom('x', 'y'), env, args: fc.array(name, { minLength: 1, maxLength: 2 }) },
    { requiredKeys: ['name'] },
  )
  return fc.record(
    {
      containers: fc.uniqueArray(container, { selector: (item) => item.name, minLength: 1 }),
      nodeSelector: fc.dictionary(name, name, { minKeys: 1, noNullPrototype: true }),
      nodeName: name,
    },
    { requiredKeys: ['containers'] },
  )
}
