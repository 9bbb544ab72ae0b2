import type { SidecarSet } from '@outrigger/api'
import { injectionAnnotations } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { filebeat, pod } from '../testdata/objects.ts'
import { pictureRollout } from './rollout-picture.ts'

type Strategy = SidecarSet['spec']['updateStrategy']

const content = (image: string, updateStrategy: Strategy = {}) =>
  filebeat({
    updateStrategy: { type: 'RollingUpdate', ...updateStrategy },
    containers: [{ name: 'filebeat', image }],
  })

function carrier(name: string, of: SidecarSet, { ready = true, created = '01' } = {}): Pod {
  const image = of.spec.containers?.[0]?.image ?? ''
  const made = pod({
    name,
    labels: { 'serverless.alibabacloud.com/virtual-node': 'true' },
    annotations: injectionAnnotations({}, [of], '2026-01-01T10:00:00Z'),
    spec: { nodeName: 'vk', containers: [{ name: 'filebeat', image }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [{ name: 'filebeat', image, imageID: `${image}@sha256:1`, ready, restartCount: 0 }],
    },
  })
  return { ...made, metadata: { ...made.metadata, creationTimestamp: `2026-01-${created}T00:00:00Z` } }
}

const old = content('filebeat:1')
/** Their turn comes by age: the youngest, pod c, first. */
const three = ['a', 'b', 'c'].map((name, index) => carrier(name, old, { created: `0${index + 1}` }))

function fates(next: SidecarSet, pods: readonly Pod[] = three) {
  const { fates, blocker } = pictureRollout(next, pods, () => ({}))
  return {
    ...Object.fromEntries([...fates].map(([key, fate]) => [key.slice('shop/'.length), fate])),
    blocker,
  }
}

describe('the picture of a rollout', () => {
  test('says who moves now, who waits for the budget and whom the partition keeps', () => {
    expect(fates(content('filebeat:2', { partition: 1 }))).toEqual({
      a: 'kept-by-partition',
      b: 'waits-for-budget',
      c: 'moves-now',
      blocker: undefined,
    })
  })

  test('names the pod that spends the budget', () => {
    const next = content('filebeat:2')
    const { d, c, blocker } = fates(next, [...three, carrier('d', next, { ready: false })]) as Record<
      string,
      unknown
    >
    expect([d, c]).toEqual(['settling', 'waits-for-budget'])
    expect(blocker).toEqual({
      reason: 'BudgetSpent',
      message:
        '3 of 4 pods wait for new images; maxUnavailable 1 of 4 lets 1 updated pods be unavailable, and 1 are: shop/d',
    })
  })

  test('says of a paused rollout who would move, and of NotUpdate that nobody does', () => {
    expect(fates(content('filebeat:2', { paused: true, partition: 2 }))).toMatchObject({
      a: 'kept-by-partition',
      b: 'kept-by-partition',
      c: 'paused',
      blocker: { reason: 'Paused' },
    })
    expect(fates(content('filebeat:2', { type: 'NotUpdate' }))).toEqual({
      a: 'not-updated',
      b: 'not-updated',
      c: 'not-updated',
      blocker: undefined,
    })
  })

  test('leaves out pods of other SidecarSets, and says who needs more than images or is not selected', () => {
    const next = content('filebeat:2', { selector: { matchLabels: { canary: 'yes' } } })
    expect(fates(next, [...three.slice(0, 1), pod({ name: 'foreign' })])).toEqual({
      a: 'not-selected',
      blocker: undefined,
    })
    const more = filebeat({
      updateStrategy: { type: 'RollingUpdate' },
      containers: [{ name: 'filebeat', image: 'filebeat:2', env: [{ name: 'MORE', value: 'yes' }] }],
    })
    expect(fates(more, three.slice(0, 1))).toMatchObject({
      a: 'not-upgradable',
      blocker: { reason: 'NotUpgradable' },
    })
  })
})
