import { describe, expect, test } from 'vitest'
import { aContainer, aPod } from '../testing/a-pod.ts'
import { podLife, restartsAfter, sharedGraceAnnotation } from './pod-life.ts'

const named = (name: string, env: Record<string, string> = {}) =>
  aContainer({ name, env: Object.entries(env).map(([key, value]) => ({ name: key, value })) })
const virtual = { isVirtual: true }
const names = (groups: readonly (readonly { readonly name: string }[])[]) =>
  groups.map((group) => group.map(({ name }) => name))

describe('the start/stop model', () => {
  test('starts and ends all main containers together where nobody asks for more', () => {
    const life = podLife(aPod({ containers: [named('a'), named('b')] }), virtual)
    expect(names(life.startGroups)).toEqual([['a', 'b']])
    expect(life.exitGroups).toEqual([{ names: ['a', 'b'], grace: 'shared' }])
  })

  test("orders by ECI's priorities, each exit group with a grace of its own", () => {
    const containers = [
      named('c3', { ECI_CONTAINER_LAUNCH_PRIORITY: '-1000', ECI_CONTAINER_EXIT_PRIORITY: '-1000' }),
      named('c2'),
      named('c1', { ECI_CONTAINER_LAUNCH_PRIORITY: '1000', ECI_CONTAINER_EXIT_PRIORITY: '1000' }),
    ]
    const life = podLife(aPod({ containers }), virtual)
    expect(names(life.startGroups)).toEqual([['c1'], ['c2'], ['c3']])
    expect(life.exitGroups).toEqual(['c1', 'c2', 'c3'].map((name) => ({ names: [name], grace: 'own' })))
    const shared = podLife(
      aPod({ containers }, { annotations: { [sharedGraceAnnotation]: 'true' } }),
      virtual,
    )
    expect(shared.exitGroups.map(({ grace }) => grace)).toEqual(['shared', 'shared', 'shared'])
  })

  test('reads the old ECI variable as: a sidecar that exits last and does not count as success by itself', () => {
    const life = podLife(
      aPod({ containers: [named('app'), named('side', { ECI_SIDECAR_CONTAINER: 'true' })] }),
      virtual,
    )
    expect(life.containers.get('side')).toMatchObject({
      endsWithApp: true,
      forcesSuccess: false,
      restart: 'Always',
    })
    expect(life.exitGroups.map((group) => group.names)).toEqual([['app'], ['side']])
  })

  test('puts ACS sidecars first, in order, and ends them last, in reverse', () => {
    const acs = { __IS_SIDECAR__: 'true' }
    const life = podLife(
      aPod({ restartPolicy: 'Never', containers: [named('app'), named('s1', acs), named('s2', acs)] }),
      virtual,
    )
    expect(names(life.startGroups)).toEqual([['s1'], ['s2'], ['app']])
    expect(life.exitGroups.map((group) => group.names)).toEqual([['app'], ['s2'], ['s1']])
    expect(life.containers.get('s1')).toMatchObject({
      restart: 'Always',
      endsWithApp: true,
      forcesSuccess: true,
    })
  })

  test("hears Kruise's priorities and its wish for the order of the list", () => {
    const byNumber = podLife(
      aPod({ containers: [named('main'), named('side', { KRUISE_CONTAINER_PRIORITY: '1' })] }),
      virtual,
    )
    expect(names(byNumber.startGroups)).toEqual([['side'], ['main']])
    expect(byNumber.containers.get('side')?.gate).toBe('ready')
    const listed = podLife(
      aPod(
        { containers: [named('a'), named('b'), named('c')] },
        { annotations: { 'apps.kruise.io/container-launch-priority': 'Ordered' } },
      ),
      virtual,
    )
    expect(names(listed.startGroups)).toEqual([['a'], ['b'], ['c']])
  })

  test('uses 0 for a priority it does not understand, and says so', () => {
    const life = podLife(
      aPod({ containers: [named('a', { ECI_CONTAINER_LAUNCH_PRIORITY: '5000' }), named('b')] }),
      virtual,
    )
    expect(names(life.startGroups)).toEqual([['a', 'b']])
    expect(life.complaints).toEqual([
      'container a: ECI_CONTAINER_LAUNCH_PRIORITY="5000" is not a whole number from -1000 to 1000, 0 is used',
    ])
  })

  test('hears no dialect but the native one on an ordinary node', () => {
    const side = { ...named('side'), restartPolicy: 'Always' }
    const containers = [
      named('a', { __IS_SIDECAR__: 'true' }),
      named('b', { ECI_CONTAINER_LAUNCH_PRIORITY: '7' }),
    ]
    const life = podLife(aPod({ initContainers: [named('i'), side], containers }), { isVirtual: false })
    expect(names(life.startGroups)).toEqual([['a', 'b']])
    expect(life.exitGroups).toEqual([
      { names: ['a', 'b'], grace: 'shared' },
      { names: ['side'], grace: 'shared' },
    ])
    expect(life.initOrder.map(({ kind, gate }) => [kind, gate])).toEqual([
      ['init', 'completed'],
      ['sidecar', 'started'],
    ])
  })

  test("restarts by a container's own rules before its policy", () => {
    const rules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }]
    const life = podLife(
      aPod({ restartPolicy: 'Never', containers: [{ ...named('a'), restartPolicyRules: rules }] }),
      virtual,
    )
    const a = life.containers.get('a')!
    expect([restartsAfter(a, 42), restartsAfter(a, 1), restartsAfter(a, 0)]).toEqual([true, false, false])
  })
})
