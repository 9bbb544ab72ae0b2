import { defaultSidecarSet, type SidecarSet } from '@outrigger/api'
import { injectionAnnotations } from '@outrigger/injection'
import { applyStrategicMergePatch, builtinSchema, type Pod } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { podTarget } from '../sidecar-set-status/pod-target.ts'
import { SidecarSetLedger } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { filebeat, pod } from '../testdata/objects.ts'
import { blockerOf } from './blocker.ts'
import { patchBodyOf, resetChange, upgradeChange } from './pod-change.ts'
import { chooseRound } from './rollout-round.ts'

function selectPods(sidecarSet: SidecarSet, pods: readonly Pod[], held: readonly string[] = []) {
  const ledger = new SidecarSetLedger({ podsOf: () => pods, namespaceLabels: () => ({}), now: () => 0 })
  ledger.setSidecarSet(sidecarSet)
  const tally = ledger.tallyOf(sidecarSet.metadata.name)
  if (tally === undefined) throw new Error('no tally')
  const round = chooseRound(tally, ({ pod }) => held.includes(pod.metadata.name))
  return { ...round, names: round.selected.map(({ pod }) => pod.metadata.name), kinds: tally.kinds }
}

type Strategy = SidecarSet['spec']['updateStrategy']

const version = (image: string, updateStrategy: Strategy = {}) =>
  filebeat({
    updateStrategy: { type: 'RollingUpdate', ...updateStrategy },
    containers: [{ name: 'filebeat', image }],
  })

function carrier(name: string, of: SidecarSet, ready = true, labels: Record<string, string> = {}): Pod {
  const image = of.spec.containers?.[0]?.image ?? ''
  return pod({
    name,
    labels: { 'serverless.alibabacloud.com/virtual-node': 'true', ...labels },
    annotations: injectionAnnotations({}, [of], '2026-01-01T10:00:00Z'),
    spec: { nodeName: 'vk', containers: [{ name: 'filebeat', image }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [{ name: 'filebeat', image, imageID: `${image}@sha256:1`, ready, restartCount: 0 }],
    },
  })
}

const fleet = (total: number, updated: number, updatedReady: number, next: SidecarSet) =>
  Array.from({ length: total }, (_, i) =>
    i < updated ? carrier(`p${i}`, next, i < updatedReady) : carrier(`p${i}`, version('filebeat:1')),
  )

describe('a round of a rollout', () => {
  it.each<[number, number, number, number | string, number | string, number]>([
    [100, 30, 26, 0, 10, 6],
    [1000, 300, 260, 0, '10%', 60],
    [1000, 300, 250, 0, '5%', 0],
    [100, 30, 27, 0, 100, 70],
    [1000, 800, 760, 180, 100, 20],
    [1000, 800, 760, '10%', 100, 60],
    [5, 0, 0, 0, '5%', 1],
    [5, 0, 0, '99%', 5, 1],
    [5, 0, 0, '1%', 5, 4],
  ])(
    'of %i pods, %i updated, %i of them ready, partition %s, maxUnavailable %s takes %i',
    (total, updated, ready, partition, maxUnavailable, taken) => {
      const next = version('filebeat:2', { partition, maxUnavailable })
      expect(selectPods(next, fleet(total, updated, ready, next)).selected).toHaveLength(taken)
    },
  )

  it('takes pods that are not ready without spending budget', () => {
    const old = version('filebeat:1')
    const pods = [carrier('a', old), carrier('b', old, false), carrier('c', old)]
    expect(selectPods(version('filebeat:2'), pods).names).toEqual(['b', 'a'])
  })

  it('lets no available pod without budget keep an unavailable one behind it from moving', () => {
    const old = version('filebeat:1')
    const pods = [
      carrier('a', old, true, { tier: 'first' }),
      carrier('b', old, true),
      carrier('c', old, false),
    ]
    const next = version('filebeat:2', {
      priorityStrategy: {
        weightPriority: [{ weight: 1, matchSelector: { matchLabels: { tier: 'first' } } }],
      },
      maxUnavailable: 0,
    })
    expect(selectPods(next, pods).names).toEqual(['c'])
  })

  it('goes on with the next pod where one was refused', () => {
    const old = version('filebeat:1')
    const pods = [carrier('a', old), carrier('b', old)]
    expect(selectPods(version('filebeat:2'), pods, ['a']).names).toEqual(['b'])
  })

  it('counts pods that cannot be upgraded among those the partition keeps', () => {
    const old = version('filebeat:1')
    const stuck = carrier(
      'stuck',
      defaultSidecarSet({
        ...old,
        spec: { ...old.spec, containers: [{ name: 'filebeat', image: 'filebeat:1', args: ['x'] }] },
      }),
    )
    const next = version('filebeat:2', { partition: 1, maxUnavailable: 9 })
    expect(selectPods(next, [carrier('a', old), carrier('b', old), stuck]).names).toEqual(['a', 'b'])
  })

  it('costs no budget for pods that have ended or are going', () => {
    const next = version('filebeat:2')
    const ended = carrier('x', next, false)
    const going = carrier('y', next, false)
    const pods = [
      { ...ended, status: { ...ended.status, phase: 'Failed' } },
      { ...going, metadata: { ...going.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } },
      carrier('a', version('filebeat:1')),
    ] as Pod[]
    expect(selectPods(next, pods).names).toEqual(['a'])
  })

  it('moves pods back at once from an image that does not start', () => {
    const bad = version('filebeat:bad')
    const pods = [carrier('broken', bad, false), carrier('fine', version('filebeat:1'))]
    expect(selectPods(version('filebeat:1'), pods).names).toEqual(['broken'])
  })

  it('leaves pods that would need more than an image', () => {
    const next = defaultSidecarSet({
      ...version('filebeat:2'),
      spec: { ...version('x').spec, containers: [{ name: 'filebeat', image: 'filebeat:2', args: ['-v'] }] },
    })
    const round = selectPods(next, [carrier('a', version('filebeat:1'))])
    expect([round.selected.length, round.kinds['not-upgradable']]).toEqual([0, 1])
  })
})

it('upgrading changes the image and records what ran before', () => {
  const old = carrier('a', version('filebeat:1'))
  const next = version('filebeat:2')
  const patch = patchBodyOf(old, upgradeChange(old, podTarget(next), '2026-01-01T10:05:00Z', '1'))
  const upgraded = applyStrategicMergePatch(old, patch, builtinSchema('io.k8s.api.core.v1.Pod')) as Pod
  expect(upgraded.spec.containers).toEqual([{ name: 'filebeat', image: 'filebeat:2' }])
  const annotations = upgraded.metadata.annotations ?? {}
  const hash = next.metadata.annotations?.['kruise.io/sidecarset-hash']
  expect(JSON.parse(annotations['kruise.io/sidecarset-hash'] ?? '')).toMatchObject({
    filebeat: { hash, updateTimestamp: '2026-01-01T10:05:00Z' },
  })
  expect(annotations['kruise.io/sidecarset-hash-without-image']).toBe(
    old.metadata.annotations?.['kruise.io/sidecarset-hash-without-image'],
  )
  expect(annotations['kruise.io/sidecarset-inplace-update-state']).toBe(
    `{"filebeat":{"revision":"${hash}","updateTimestamp":"2026-01-01T10:05:00Z","lastContainerStatuses":{"filebeat":{"imageID":"filebeat:1@sha256:1"}}}}`,
  )
  expect(selectPods(next, [upgraded]).selected).toEqual([])
})

describe('the worked examples of rollouts', () => {
  const agents = (image: string): SidecarSet =>
    defaultSidecarSet({
      apiVersion: 'apps.kruise.io/v1alpha1',
      kind: 'SidecarSet',
      metadata: { name: 'agents' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        containers: [{ name: 'agent', image, volumeMounts: [{ name: 'agent-data', mountPath: '/data' }] }],
        volumes: [{ name: 'agent-data' }],
      },
    })

  it('12, a cold upgrade in place', () => {
    const old = pod({
      annotations: injectionAnnotations({}, [agents('example/agent:1.0')], '2026-01-01T10:00:00Z'),
      spec: { containers: [{ name: 'agent', image: 'example/agent:1.0' }] },
      status: {
        containerStatuses: [
          {
            name: 'agent',
            image: 'example/agent:1.0',
            imageID: 'docker.io/example/agent@sha256:aaa',
            ready: true,
            restartCount: 0,
          },
        ],
      },
    })
    const change = upgradeChange(old, podTarget(agents('example/agent:1.1')), '2026-01-01T10:05:00Z', '4711')
    expect(change).toEqual({
      images: [{ list: 'containers', name: 'agent', image: 'example/agent:1.1' }],
      annotations: {
        'kruise.io/sidecarset-hash':
          '{"agents":{"updateTimestamp":"2026-01-01T10:05:00Z","hash":"294fx7z4d55d4fz8b2fv47xx8cz9z226z646zczx98wx65x59fb55d685b4bz87c","sidecarSetName":"agents","sidecarList":["agent"],"controllerRevision":"agents-85c5ccd687"}}',
        'kruise.io/sidecarset-inplace-update-state':
          '{"agents":{"revision":"294fx7z4d55d4fz8b2fv47xx8cz9z226z646zczx98wx65x59fb55d685b4bz87c","updateTimestamp":"2026-01-01T10:05:00Z","lastContainerStatuses":{"agent":{"imageID":"docker.io/example/agent@sha256:aaa"}}}}',
      },
    })
  })

  it('11, a hot upgrade and its end', () => {
    const mesh = (tag: string): SidecarSet =>
      defaultSidecarSet({
        apiVersion: 'apps.kruise.io/v1alpha1',
        kind: 'SidecarSet',
        metadata: { name: 'mesh-set' },
        spec: {
          selector: { matchLabels: { app: 'web' } },
          containers: [
            {
              name: 'mesh',
              image: `example/mesh:${tag}`,
              upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'example/mesh:empty' },
            },
          ],
        },
      })
    const status = (name: string, tag: string) => ({
      name,
      image: `example/mesh:${tag}`,
      imageID: `id-of-${tag}`,
      ready: true,
      restartCount: 0,
    })
    const before = pod({
      annotations: injectionAnnotations({}, [mesh('v1')], '2026-01-01T10:00:00Z'),
      spec: {
        containers: [
          { name: 'mesh-1', image: 'example/mesh:v1' },
          { name: 'mesh-2', image: 'example/mesh:empty' },
        ],
      },
      status: { containerStatuses: [status('mesh-1', 'v1'), status('mesh-2', 'empty')] },
    })
    const target = podTarget(mesh('v2'))
    const changed = (subject: Pod, change: unknown) =>
      applyStrategicMergePatch(subject, change, builtinSchema('io.k8s.api.core.v1.Pod')) as Pod
    const upgrade = upgradeChange(before, target, '2026-01-01T10:05:00Z', '4711')
    const { hash } = target
    expect(upgrade).toMatchObject({
      images: [{ name: 'mesh-2', image: 'example/mesh:v2' }],
      annotations: {
        'kruise.io/sidecarset-working-hotupgrade-container': '{"mesh":"mesh-2"}',
        'version.sidecarset.kruise.io/mesh-2': '4711',
        'versionalt.sidecarset.kruise.io/mesh-2': '1',
        'versionalt.sidecarset.kruise.io/mesh-1': '4711',
        'kruise.io/sidecarset-inplace-update-state': `{"mesh-set":{"revision":"${hash}","updateTimestamp":"2026-01-01T10:05:00Z","lastContainerStatuses":{"mesh-2":{"imageID":"id-of-empty"}}}}`,
      },
    })
    const upgraded = changed(before, patchBodyOf(before, upgrade))
    expect(upgraded.metadata.annotations?.['version.sidecarset.kruise.io/mesh-1']).toBe('1')
    expect(resetChange(upgraded, target)).toEqual({
      images: [{ list: 'containers', name: 'mesh-1', image: 'example/mesh:empty' }],
      annotations: {
        'kruise.io/sidecarset-working-hotupgrade-container': '{"mesh":"mesh-2"}',
        'version.sidecarset.kruise.io/mesh-1': '0',
        'versionalt.sidecarset.kruise.io/mesh-2': '0',
        'kruise.io/sidecarset-inplace-update-state': `{"mesh-set":{"revision":"${hash}","updateTimestamp":"2026-01-01T10:05:00Z","lastContainerStatuses":{"mesh-1":{"imageID":"id-of-v1"},"mesh-2":{"imageID":"id-of-empty"}}}}`,
      },
    })
  })

  it('19, one round: priority, then the default order, the partition last, and what is not ready free of charge', () => {
    const old = version('filebeat:1')
    const pods = Array.from({ length: 10 }, (_, i) => {
      const made = carrier(`p${i}`, old, i !== 4, i === 0 ? { tier: 'canary' } : {})
      return { ...made, metadata: { ...made.metadata, creationTimestamp: `2026-01-01T00:00:0${i}Z` } }
    })
    const next = version('filebeat:2', {
      partition: '30%',
      maxUnavailable: 2,
      priorityStrategy: {
        weightPriority: [{ weight: 10, matchSelector: { matchLabels: { tier: 'canary' } } }],
      },
    })
    expect(selectPods(next, pods)).toMatchObject({ names: ['p0', 'p4', 'p9'], partition: 3, movable: 7 })
  })
})

describe('the order of a rollout', () => {
  const old = version('filebeat:1')
  const all = { maxUnavailable: '100%' }

  it('follows ordered keys, larger numbers first, and pods without any of them before all', () => {
    const pods = [
      carrier('none', old),
      carrier('second-9', old, true, { second: 'x9' }),
      carrier('first-2', old, true, { first: 'v2' }),
      carrier('first-10', old, true, { first: 'v10', second: 'x' }),
    ]
    const next = version('filebeat:2', {
      ...all,
      priorityStrategy: { orderPriority: [{ orderedKey: 'first' }, { orderedKey: 'second' }] },
    })
    expect(selectPods(next, pods).names).toEqual(['none', 'first-10', 'first-2', 'second-9'])
  })

  it('is scattered over the values of a label', () => {
    const pods = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, i) =>
      carrier(name, old, true, i < 3 ? { zone: 'one' } : {}),
    )
    const next = version('filebeat:2', { ...all, scatterStrategy: [{ key: 'zone', value: 'one' }] })
    expect(selectPods(next, pods).names).toEqual(['a', 'd', 'e', 'b', 'f', 'c'])
  })
})

describe('what holds a rollout up', () => {
  it('is named with the readiness gate that keeps an updated pod from being ready', () => {
    const next = version('filebeat:2')
    const gated = carrier('gated', next)
    const pods: Pod[] = [
      {
        ...gated,
        spec: { ...gated.spec, readinessGates: [{ conditionType: 'example.com/lb' }] },
        status: { ...gated.status, conditions: [{ type: 'Ready', status: 'False' }] },
      },
      carrier('waits', version('filebeat:1')),
    ]
    const ledger = new SidecarSetLedger({ podsOf: () => pods, namespaceLabels: () => ({}), now: () => 0 })
    const tally = ledger.setSidecarSet(next)
    expect(blockerOf(tally, chooseRound(tally), [])).toEqual({
      reason: 'BudgetSpent',
      message:
        '1 of 2 pods wait for new images; maxUnavailable 1 of 2 lets 1 updated pods be unavailable, and 1 are: shop/gated (readiness gate example.com/lb is not True)',
    })
  })
})

describe('any round', () => {
  const old = version('filebeat:1')
  const amount = fc.oneof(
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 100 }).map((value) => `${value}%`),
  )
  const one = fc.record({
    isUpdated: fc.boolean(),
    ready: fc.boolean(),
    isOut: fc.boolean(),
    tier: fc.constantFrom('a', 'b'),
  })
  const outOfService = (pod: Pod): Pod => ({
    ...pod,
    spec: { ...pod.spec, readinessGates: [{ conditionType: 'outrigger.dev/in-service' }] },
    status: {
      ...pod.status,
      conditions: [
        ...(pod.status?.conditions ?? []),
        {
          type: 'outrigger.dev/in-service',
          status: 'False',
          reason: 'Draining',
          message: 'SidecarSet filebeat restarts containers for content abc',
        },
      ],
    },
  })

  it('stays within partition and budget, and moves what both let move', () => {
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 12 }),
        amount,
        amount,
        fc.boolean(),
        (fleet, partition, budget, scatters) => {
          const next = version('filebeat:2', {
            partition,
            maxUnavailable: budget,
            ...(scatters && { scatterStrategy: [{ key: 'tier', value: '*' }] }),
          })
          const pods = fleet.map(({ isUpdated, ready, isOut, tier }, i) => {
            const made = carrier(`p${i}`, isUpdated ? next : old, ready, { tier })
            return isOut ? outOfService(made) : made
          })
          const round = selectPods(next, pods)
          const available = round.selected.filter((view) => view.isAvailable).length
          expect(round.selected.length).toBeLessThanOrEqual(round.movable)
          expect(round.movable + round.partition).toBeGreaterThanOrEqual(round.kinds.waiting)
          expect(available).toBeLessThanOrEqual(Math.max(0, round.budget - round.spent))
          if (round.movable > 0 && round.spent < round.budget) expect(round.selected).not.toEqual([])
          expect(new Set(round.names).size).toBe(round.names.length)
          // What is drained has spent its share, and goes on before others begin.
          const drained = fleet.filter(({ isUpdated, isOut }) => !isUpdated && isOut).length
          const unsettled = fleet.filter(
            ({ isUpdated, ready, isOut }) => isUpdated && (isOut || !ready),
          ).length
          expect(round.spent).toBe(drained + unsettled)
          const goingOn = round.selected.filter((view) => view.outOfService !== undefined).length
          expect(goingOn).toBe(Math.min(drained, round.movable))
        },
      ),
      { numRuns: 300 },
    )
  })
})
