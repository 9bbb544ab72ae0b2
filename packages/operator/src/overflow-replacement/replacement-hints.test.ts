import { ManualClock } from '@outrigger/foundation/testing'
import type { Pod } from '@outrigger/kube'
import { beforeEach, describe, expect, it } from 'vitest'
import { FedInformer } from '../testdata/memory-cluster.ts'
import { pod } from '../testdata/objects.ts'
import { followPods } from './follow-pods.ts'
import { ReplacementHints } from './replacement-hints.ts'
import { markOf, replacementMark, replacesText } from './replacement-mark.ts'

let clock: ManualClock
let hints: ReplacementHints
let pods: FedInformer<Pod>

beforeEach(() => {
  clock = new ManualClock()
  hints = new ReplacementHints(clock)
  pods = new FedInformer<Pod>()
  followPods(hints, pods)
})

function ownedPod(
  name: string,
  draft: Parameters<typeof pod>[0] = {},
  kind = 'ReplicaSet',
  ownerUid = 'owner-1',
) {
  const plain = pod({ name, ...draft })
  const ownerReferences = [{ apiVersion: 'apps/v1', kind, name: 'web', uid: ownerUid, controller: true }]
  return { ...plain, metadata: { ...plain.metadata, ownerReferences } }
}

const marked = (name: string, kind?: string, time = '2026-01-01T00:00:00Z') =>
  ownedPod(
    name,
    {
      spec: { nodeName: 'vk' },
      annotations: {
        'outrigger.dev/replaced-for-sidecars': replacementMark(`uid-of-${name}`, time),
      },
    },
    kind,
  )

const replacing = (name: string, replaced: string) =>
  ownedPod(name, {
    labels: { 'serverless.alibabacloud.com/virtual-node': 'true' },
    annotations: {
      'outrigger.dev/replaces-pod': replacesText({ name: replaced, uid: `uid-of-${replaced}` }),
    },
  })

/** Shows a marked pod long enough for its mark to count. */
async function mark(...args: Parameters<typeof marked>): Promise<void> {
  pods.put(marked(...args))
  await clock.advance(500)
}

const take = (name: string, kind?: string) => hints.take(ownedPod(name, {}, kind), false)?.name

describe('hints about replacements', () => {
  it('do not count before a mark has stood for a while: the pod is not deleted yet', async () => {
    pods.put(marked('a'))
    await clock.advance(499)
    expect(take('x')).toBeUndefined()
    await clock.advance(1)
    expect(take('x')).toBe('a')
  })

  it('give each deleted pod one new pod of the same owner', async () => {
    await mark('a')
    await mark('b')
    expect(hints.take(ownedPod('x', {}, 'ReplicaSet', 'owner-2'), false)).toBeUndefined()
    expect([take('x'), take('y'), take('z')].sort()).toEqual(['a', 'b', undefined])
  })

  it('are not taken by a dry run', async () => {
    await mark('a')
    expect(hints.take(ownedPod('x'), true)?.name).toBe('a')
    expect(take('x')).toBe('a')
  })

  it('are given again when the pod that took one was not created', async () => {
    await mark('a')
    expect(take('x')).toBe('a')
    await clock.advance(10_000)
    expect(take('y')).toBe('a')
  })

  it('go to pods that are ending before those that are only marked, and to the last mark first', async () => {
    await mark('a')
    await mark('b')
    expect(hints.take(ownedPod('x'), true)?.name).toBe('b')
    pods.remove(marked('a'))
    expect([take('x'), take('y')]).toEqual(['a', 'b'])
  })

  it('open again for a pod that is marked anew: another was replaced in its name', async () => {
    pods.put(marked('a'))
    pods.put(replacing('x', 'a'))
    await mark('a', 'ReplicaSet', '2026-01-01T00:01:00Z')
    pods.put(replacing('x', 'a'))
    expect(take('y')).toBe('a')
  })

  it('end when any replica has created the replacement', async () => {
    await mark('a')
    pods.put(replacing('x', 'a'))
    expect(take('y')).toBeUndefined()
  })

  it('do not come back when the replacement is seen first', async () => {
    pods.put(replacing('x', 'a'))
    await mark('a')
    expect(take('y')).toBeUndefined()
  })

  it('stay as long as the pod takes to end, and a minute longer', async () => {
    const going = marked('a')
    pods.put({ ...going, metadata: { ...going.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } })
    await clock.advance(600_000)
    pods.remove(going)
    await clock.advance(59_000)
    expect(hints.take(ownedPod('x'), true)?.name).toBe('a')
    await clock.advance(1_000)
    expect(take('x')).toBeUndefined()
  })

  it('lapse when a marked pod is never deleted', async () => {
    pods.put(marked('a'))
    await clock.advance(120_000)
    expect(take('x')).toBeUndefined()
  })

  it('are for the namesake alone where names are kept', async () => {
    await mark('web-0', 'StatefulSet')
    expect([take('web-1', 'StatefulSet'), take('web-0', 'StatefulSet')]).toEqual([undefined, 'web-0'])
  })

  it('see a namesake that came unnoticed as another pod', async () => {
    const old = marked('web-0', 'StatefulSet')
    pods.put(old)
    pods.put({ ...old, metadata: { ...old.metadata, uid: 'another', annotations: {} } })
    await clock.advance(60_000)
    expect(take('web-0', 'StatefulSet')).toBeUndefined()
  })

  it('are given up once the pod has got its label after all', () => {
    const old = marked('a')
    pods.put(old)
    pods.put({
      ...old,
      metadata: { ...old.metadata, labels: { 'serverless.alibabacloud.com/virtual-node': 'true' } },
    })
    expect(take('x')).toBeUndefined()
    expect(hints.size).toBe(0)
  })
})

describe('a mark', () => {
  it('copied to another pod says nothing', () => {
    const { annotations = {} } = marked('a').metadata
    expect(markOf(pod({ name: 'b', annotations }))).toBeUndefined()
  })

  it('that is no JSON says nothing', () => {
    expect(markOf(pod({ annotations: { 'outrigger.dev/replaced-for-sidecars': '{' } }))).toBeUndefined()
  })
})
