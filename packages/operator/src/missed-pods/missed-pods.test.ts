import { ManualClock } from '@outrigger/foundation/testing'
import { SidecarSetIndex } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { filebeat, type PodDraft, pod } from '../testdata/objects.ts'
import { chooseEvictions } from './eviction-round.ts'
import { missedBy, takesInRunningPods } from './missed-by.ts'
import type { MissedPod } from './missed-pod.ts'
import { MissedPods } from './missed-pods.ts'

const webSet = () => filebeat({ selector: { matchLabels: { app: 'web' } } })

function webPod(draft: PodDraft = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  const plain = pod({ labels: { app: 'web' }, ...draft })
  const ownerReferences = [
    { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'rs', controller: true },
  ]
  return { ...plain, metadata: { ...plain.metadata, ownerReferences, ...metadata } }
}

const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } satisfies Pod['status']
const leaving = { deletionTimestamp: '2026-01-03T00:00:00Z' }

describe('a pod is missed by a SidecarSet', () => {
  const missing = (subject: Pod, set = webSet(), labels: Record<string, string> | undefined = {}) =>
    missedBy(subject, {
      sidecarSets: new SidecarSetIndex([set]),
      managerNamespace: 'kruise-system',
      namespaceLabels: () => labels,
      isVirtualNode: (name) => name === 'vk',
      areRunningPodsTaken: takesInRunningPods(set),
    })

  it('that selects it, is older, and is not on it', () => {
    expect(missing(webPod())).toEqual(['filebeat'])
  })

  it.each<[string, Pod]>([
    ['is not selected', webPod({ labels: { app: 'db' } })],
    ['carries it', webPod({ annotations: { 'kruise.io/sidecarset-injected-list': 'filebeat' } })],
    [
      'carries another: somebody was asked',
      webPod({ annotations: { 'kruise.io/sidecarset-injected-list': 'x' } }),
    ],
    ['is older', webPod({}, { creationTimestamp: '2025-12-31T00:00:00Z' })],
    ['is as old, as far as time stamps tell', webPod({}, { creationTimestamp: '2026-01-01T00:00:01Z' })],
    ['is the manager or beside it', webPod({}, { namespace: 'kruise-system' })],
    ['was made by its node from a file', webPod({ annotations: { 'kubernetes.io/config.mirror': 'x' } })],
    [
      'is labelled for virtual nodes',
      webPod({ labels: { app: 'web', 'serverless.alibabacloud.com/virtual-node': 'true' } }),
    ],
    ['overflowed to a virtual node', webPod({ spec: { nodeName: 'vk' } })],
  ])('unless it %s', (_why, subject) => {
    expect(missing(subject)).toEqual([])
  })

  describe('that takes in running pods', () => {
    const taker = () => {
      const { metadata, ...set } = webSet()
      return { ...set, metadata: { ...metadata, annotations: { 'outrigger.dev/missed-pods': 'evict-all' } } }
    }

    it.each<[string, Pod]>([
      ['is older', webPod({}, { creationTimestamp: '2025-12-31T00:00:00Z' })],
      ['carries another', webPod({ annotations: { 'kruise.io/sidecarset-injected-list': 'x' } })],
    ])('also if it %s', (_why, subject) => {
      expect(missing(subject, taker())).toEqual(['filebeat'])
    })

    it.each<[string, Pod]>([
      ['is not selected', webPod({ labels: { app: 'db' } })],
      ['carries it', webPod({ annotations: { 'kruise.io/sidecarset-injected-list': 'x,filebeat' } })],
      ['is the manager or beside it', webPod({}, { namespace: 'kruise-system' })],
      ['was made by its node from a file', webPod({ annotations: { 'kubernetes.io/config.mirror': 'x' } })],
    ])('unless it %s', (_why, subject) => {
      expect(missing(subject, taker())).toEqual([])
    })
  })

  it('unless that has selected it only since it was there', () => {
    const since = (time: string) => {
      const set = webSet()
      const annotations = { ...set.metadata.annotations, 'outrigger.dev/selects-since': time }
      return { ...set, metadata: { ...set.metadata, annotations } }
    }
    expect(missing(webPod(), since('2026-01-02T00:00:00Z'))).toEqual([])
    expect(missing(webPod(), since('2026-01-01T12:00:00Z'))).toEqual(['filebeat'])
    expect(missing(webPod(), since('yesterday'))).toEqual(['filebeat'])
  })

  it('unless injection is paused, or webhooks leave its namespace alone', () => {
    const paused = filebeat({
      selector: { matchLabels: { app: 'web' } },
      injectionStrategy: { paused: true },
    })
    expect(missing(webPod(), paused)).toEqual([])
    expect(missing(webPod(), webSet(), { 'control-plane': 'x' })).toEqual([])
  })
})

describe('missed pods', () => {
  let clock: ManualClock
  let missed: MissedPods
  beforeEach(() => {
    clock = new ManualClock()
    missed = new MissedPods({
      now: () => clock.monotonic(),
      missedBy: ({ metadata }) => (metadata.annotations ? [] : ['filebeat']),
    })
  })
  const injected = (name: string) => webPod({ name, annotations: { any: 'thing' } })
  const owed = () => missed.owed.countOf('filebeat')

  it('have their turn when they are not ready, then when they are new', () => {
    missed.seen(webPod({ name: 'old', status: ready }, { creationTimestamp: '2026-01-02T00:00:00Z' }))
    missed.seen(webPod({ name: 'new', status: ready }, { creationTimestamp: '2026-01-03T00:00:00Z' }))
    missed.seen(webPod({ name: 'broken' }))
    missed.seen(webPod({ name: 'bare' }, { ownerReferences: [] }))
    const tally = missed.tallyOf('filebeat')
    expect([...(tally?.replaceable ?? [])].map(({ key }) => key)).toEqual([
      'shop/broken',
      'shop/new',
      'shop/old',
    ])
    expect([...(tally?.lasting ?? [])].map(({ key }) => key)).toEqual(['shop/bare'])
    expect(tally).toMatchObject({ size: 4, notReady: 2 })
  })

  it('are owed from when they leave until their owner has made another, and not again by a later event', () => {
    missed.seen(webPod({ name: 'a' }))
    const a = webPod({ name: 'a' }, leaving)
    expect(missed.seen(a, webPod({ name: 'a' })).changed).toEqual(['filebeat'])
    expect([missed.size, owed()]).toEqual([0, 1])
    missed.seen(injected('b'))
    expect(owed()).toBe(0)
    missed.seen(a, a)
    missed.judge(a)
    expect(owed()).toBe(0)
    expect(missed.gone(a).changed).toEqual([])
  })

  it('that leave at first sight are owed too: another leader evicted them', () => {
    missed.judge(webPod({ name: 'a' }, leaving), true)
    expect(owed()).toBe(1)
  })

  it('whose namesake comes are gone', () => {
    missed.seen(webPod({ name: 'web-0' }))
    const next = webPod({ name: 'web-0', annotations: { any: 'thing' } }, { uid: 'other' })
    missed.seen(next, webPod({ name: 'web-0' }))
    expect([missed.size, owed()]).toEqual([0, 0])
  })

  it('are waited for a minute after they are gone: their owner may want fewer', async () => {
    missed.seen(webPod({ name: 'a' }))
    missed.gone(webPod({ name: 'a' }))
    expect(missed.owed.expire('filebeat')).toBe(60_000)
    await clock.advance(60_000)
    expect(missed.owed.expire('filebeat')).toBeUndefined()
    expect(owed()).toBe(0)
  })

  it('say whether the pod in the place of one we evicted is better', () => {
    for (const isMissed of [true, false]) {
      missed.seen(webPod({ name: 'a' }))
      for (const one of missed.tallyOf('filebeat')?.replaceable ?? []) missed.owed.add(one, { isOurs: true })
      missed.gone(webPod({ name: 'a' }))
      const next = isMissed ? webPod({ name: 'b' }) : injected('b')
      expect(missed.seen(next).replacement).toEqual({ sidecarSets: ['filebeat'], isMissed })
      missed.gone(next)
      missed.clear()
    }
  })
})

describe('a round of evictions', () => {
  const tallyOf = (readiness: readonly boolean[]) => {
    const missed = new MissedPods({ now: () => 0, missedBy: () => ['filebeat'] })
    readiness.forEach((isReady, i) => {
      missed.seen(webPod({ name: `p${i}`, ...(isReady && { status: ready }) }))
    })
    return missed.tallyOf('filebeat')
  }
  const round = (
    readiness: readonly boolean[],
    given: {
      matched?: number
      notReady?: number
      owed?: number
      max?: number | string
      held?: readonly string[]
    } = {},
  ) => {
    const missed = tallyOf(readiness)
    if (missed === undefined) throw new Error('no pods')
    const { matched = 0, notReady = 0, owed = 0, max, held = [] } = given
    return chooseEvictions({
      missed,
      carrying: { matched, notReady },
      owed,
      maxUnavailable: max,
      isHeldBack: ({ key }: MissedPod) => held.includes(key),
    })
  }
  const keys = (...args: Parameters<typeof round>) => round(...args).selected.map(({ key }) => key)

  it('takes one at a time where nothing is said, and none where none may be unavailable', () => {
    expect(keys([true, true])).toEqual(['shop/p0'])
    expect(keys([true, true], { max: 0 })).toEqual([])
    expect(keys([false], { max: 0 })).toEqual([])
  })

  it('counts pods that are not ready, and those that are still to be made', () => {
    expect(keys([true, true, true], { max: 3, matched: 1, notReady: 1, owed: 1 })).toEqual(['shop/p0'])
    expect(keys([true, true], { max: 2, matched: 5, notReady: 2 })).toEqual([])
  })

  it('lets pods go that serve nobody, within the budget, and no ready ones beside them', () => {
    expect(keys([true, false, false, false], { max: 2 })).toEqual(['shop/p1', 'shop/p2'])
    expect(keys([true, false, false], { max: 2, owed: 1 })).toEqual(['shop/p1'])
  })

  it('passes over pods that are held back, and takes percentages of all pods', () => {
    expect(keys([true, true, true], { matched: 7, max: '20%', held: ['shop/p0'] })).toEqual([
      'shop/p1',
      'shop/p2',
    ])
  })

  it('never makes more pods unavailable than it may', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }),
        fc.record({ notReady: fc.nat(5), owed: fc.nat(5), max: fc.nat(12) }),
        (readiness, { notReady, owed, max }) => {
          const { selected } = round(readiness, { matched: 8, notReady, owed, max })
          const before = notReady + owed + readiness.filter((isReady) => !isReady).length
          const more = selected.filter(({ isReady }) => isReady).length
          expect(more === 0 || before + more <= max).toBe(true)
          expect(selected.length === 0 || notReady + owed + selected.length <= max).toBe(true)
        },
      ),
    )
  })
})
