import { defaultSidecarSet, type SidecarSet } from '@outrigger/api'
import { injectionAnnotations } from '@outrigger/injection'
import { applyStrategicMergePatch, builtinSchema, type Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { filebeat, pod } from '../testdata/objects.ts'
import { selectPods } from './select-pods.ts'
import { upgradePatch } from './upgrade-patch.ts'

type Strategy = SidecarSet['spec']['updateStrategy']

const version = (image: string, updateStrategy: Strategy = {}) =>
  filebeat({
    updateStrategy: { type: 'RollingUpdate', ...updateStrategy },
    containers: [{ name: 'filebeat', image }],
  })

function carrier(name: string, of: SidecarSet, ready = true): Pod {
  const image = of.spec.containers?.[0]?.image ?? ''
  return pod({
    name,
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
    const { selected } = selectPods(version('filebeat:2'), pods)
    expect(selected.map(({ metadata }) => metadata.name)).toEqual(['b', 'a'])
  })

  it('leaves pods that would need more than an image', () => {
    const next = defaultSidecarSet({
      ...version('filebeat:2'),
      spec: { ...version('x').spec, containers: [{ name: 'filebeat', image: 'filebeat:2', args: ['-v'] }] },
    })
    const round = selectPods(next, [carrier('a', version('filebeat:1'))])
    expect([round.selected.length, round.notUpgradable.length]).toEqual([0, 1])
  })
})

it('upgrading changes the image and records what ran before', () => {
  const old = carrier('a', version('filebeat:1'))
  const next = version('filebeat:2')
  const patch = upgradePatch(old, next, '2026-01-01T10:05:00Z')
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
