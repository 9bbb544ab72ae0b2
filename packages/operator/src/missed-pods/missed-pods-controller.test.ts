import { defaultSidecarSet, type SidecarSet } from '@outrigger/api'
import { ApiError } from '@outrigger/client'
import type { EventDraft } from '@outrigger/controller'
import { SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock, settle } from '@outrigger/foundation/testing'
import { SidecarSetIndex } from '@outrigger/injection'
import type { KubeObject, Namespace, ObjectKey, Pod } from '@outrigger/kube'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { podIndexes } from '../pod-indexes.ts'
import { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import { FedInformer } from '../testdata/memory-cluster.ts'
import { filebeat, namespace, pod } from '../testdata/objects.ts'
import { createMissedPodsController, type MissedPodsController } from './missed-pods-controller.ts'

let clock: ManualClock
let pods: FedInformer<Pod>
let sidecarSets: FedInformer<SidecarSet>
let namespaces: FedInformer<Namespace>
let said: EventDraft[]
let evicted: string[]
let isAnswering: boolean
/** What the API server does about an eviction; lets the pod leave and be replaced by default. */
let onEviction: (victim: Pod) => void
let controller: MissedPodsController
let stop: () => Promise<void>

beforeEach(() => {
  clock = new ManualClock()
  pods = new FedInformer<Pod>([], podIndexes)
  sidecarSets = new FedInformer<SidecarSet>()
  namespaces = new FedInformer<Namespace>([namespace('shop')])
  said = []
  evicted = []
  isAnswering = true
  onEviction = (victim) => pods.remove(victim)
  stop = async () => {}
})
afterEach(() => stop())

async function start({ evicts = true } = {}): Promise<void> {
  const index = new SidecarSetIndex()
  sidecarSets.onChange({ onAdd: (set) => index.set(set), onUpdate: (set) => index.set(set) })
  const stopping = new AbortController()
  controller = createMissedPodsController({
    client: {
      createSubresource: async <T>(_: unknown, key: ObjectKey, subresource: string, body: unknown) => {
        const name = `${key.namespace}/${key.name}`
        const victim = pods.store.get(name)
        if (victim === undefined) throw new ApiError(404, { reason: 'NotFound', message: name })
        expect(subresource).toBe('eviction')
        expect(body).toMatchObject({ deleteOptions: { preconditions: { uid: victim.metadata.uid } } })
        onEviction(victim)
        evicted.push(key.name)
        return {} as T
      },
    },
    clock,
    random: new SeededRandom(),
    logger: silentLogger,
    events: { event: (_: KubeObject, draft: EventDraft) => void said.push(draft) },
    sidecarSets,
    index,
    pods,
    namespaces,
    feed: new LedgerFeed({ clock, sidecarSets, pods, namespaces }),
    managerNamespace: 'kruise-system',
    evicts,
    isVirtualNode: () => false,
    isAnswering: () => isAnswering,
  })
  const running = controller.run(stopping.signal)
  stop = async () => {
    stopping.abort()
    await clock.advance(10_000)
    await running
  }
  await settle()
}

const agent = (mode = 'evict', spec: SidecarSet['spec'] = {}): SidecarSet => {
  const plain = filebeat({ selector: { matchLabels: { app: 'web' } }, updateStrategy: {}, ...spec })
  const annotations = { ...plain.metadata.annotations, 'outrigger.dev/missed-pods': mode }
  return defaultSidecarSet({ ...plain, metadata: { ...plain.metadata, annotations } })
}

function webPod(name: string, { isReady = true, isInjected = false, kind = 'ReplicaSet' } = {}): Pod {
  const plain = pod({
    name,
    labels: { app: 'web' },
    ...(isInjected && { annotations: { 'kruise.io/sidecarset-injected-list': 'filebeat' } }),
    spec: { containers: isInjected ? [{ name: 'filebeat', image: 'filebeat:8' }] : [] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
      containerStatuses: isInjected
        ? [{ name: 'filebeat', image: 'filebeat:8', imageID: 'x', ready: isReady, restartCount: 0 } as never]
        : [],
    },
  })
  const apiVersion = kind === 'Job' ? 'batch/v1' : 'apps/v1'
  const ownerReferences = [{ apiVersion, kind, name: 'web', uid: 'owner', controller: true }]
  return { ...plain, metadata: { ...plain.metadata, ownerReferences } }
}

const createMissed = (count: number) => {
  for (let i = 0; i < count; i++) pods.put(webPod(`old-${i}`))
}

describe('pods that were created while no webhook answered', () => {
  it('are told of, once, and left alone where nobody asks for more', async () => {
    sidecarSets.put(agent('report'))
    createMissed(7)
    await start()
    await clock.advance(120_000)
    expect(evicted).toEqual([])
    expect(controller.missed).toBe(7)
    expect(said).toEqual([
      {
        type: 'Warning',
        reason: 'PodsMissedSidecars',
        message:
          '7 pods run without the sidecars of this SidecarSet, created while no webhook answered or with other labels: shop/old-0, shop/old-1, shop/old-2, shop/old-3, shop/old-4, and 2 more. Recreate them, or let the manager evict them within maxUnavailable (annotation outrigger.dev/missed-pods: evict)',
      },
    ])
  })

  it('are not evicted by a manager that may not, which says so', async () => {
    sidecarSets.put(agent())
    createMissed(1)
    await start({ evicts: false })
    await clock.advance(20_000)
    expect(evicted).toEqual([])
    expect(said[0]?.message).toMatch(/^1 pod runs without .* outrigger install --evict-missed-pods lets it$/)
  })

  it('go one after the other, each once the one before is replaced and ready', async () => {
    sidecarSets.put(agent())
    createMissed(3)
    await start()
    await clock.advance(2_000)
    expect(evicted).toEqual([])
    await clock.advance(2_000)
    expect(evicted).toEqual(['old-0'])
    await clock.advance(30_000)
    expect(evicted).toHaveLength(1)
    pods.put(webPod('new-0', { isInjected: true, isReady: false }))
    await clock.advance(30_000)
    expect(evicted).toHaveLength(1)
    pods.put(webPod('new-0', { isInjected: true }))
    await clock.advance(3_000)
    expect(evicted).toEqual(['old-0', 'old-1'])
    pods.put(webPod('new-1', { isInjected: true }))
    await clock.advance(3_000)
    pods.put(webPod('new-2', { isInjected: true }))
    await clock.advance(3_000)
    expect(evicted).toHaveLength(3)
    expect(controller.missed).toBe(0)
  })

  it('from before the SidecarSet go where it takes them in, and stay again once it does not', async () => {
    const old = (name: string) => {
      const young = webPod(name)
      return { ...young, metadata: { ...young.metadata, creationTimestamp: '2025-12-31T00:00:00Z' } }
    }
    sidecarSets.put(agent('evict'))
    for (const name of ['a', 'b']) pods.put(old(name))
    await start()
    await clock.advance(10_000)
    expect(controller.missed).toBe(0)

    sidecarSets.put(agent('evict-all'))
    await clock.advance(10_000)
    expect(evicted).toHaveLength(1)
    expect(controller.missed).toBe(1)
    expect(said.at(-1)?.message).toContain('created before it selected them')

    sidecarSets.put(agent('evict'))
    pods.put(webPod('c', { isInjected: true }))
    await clock.advance(60_000)
    expect(evicted).toHaveLength(1)
    expect(controller.missed).toBe(0)
  })

  it('stay while webhooks do not answer, and until they have for a while', async () => {
    isAnswering = false
    sidecarSets.put(agent())
    createMissed(1)
    await start()
    await clock.advance(60_000)
    expect(evicted).toEqual([])
    isAnswering = true
    await clock.advance(10_000)
    expect(evicted).toEqual(['old-0'])
  })

  it('stay where a disruption budget says so, are tried again, and hold up no other', async () => {
    let isBudgetSpent = true
    onEviction = (victim) => {
      if (victim.metadata.name === 'old-0' && isBudgetSpent)
        throw new ApiError(429, { reason: 'TooManyRequests', message: 'Cannot evict pod' })
      pods.remove(victim)
      pods.put(webPod(`${victim.metadata.name}-new`, { isInjected: true }))
    }
    sidecarSets.put(agent())
    createMissed(3)
    await start()
    await clock.advance(20_000)
    expect(evicted).toEqual(['old-1', 'old-2'])
    isBudgetSpent = false
    await clock.advance(60_000)
    expect(evicted).toEqual(['old-1', 'old-2', 'old-0'])
  })

  it('are no longer evicted when the new ones come without sidecars as well', async () => {
    let count = 0
    onEviction = (victim) => {
      pods.remove(victim)
      pods.put(webPod(`again-${count++}`))
    }
    sidecarSets.put(agent())
    createMissed(2)
    await start()
    await clock.advance(50_000)
    expect(evicted).toHaveLength(1)
    expect(said.at(-1)?.message).toContain('the new pod came without them as well')
    await clock.advance(600_000)
    expect(evicted.length).toBeLessThan(6)
  })

  it('of a Job are not evicted, and counted apart', async () => {
    sidecarSets.put(agent())
    pods.put(webPod('job', { kind: 'Job' }))
    await start()
    await clock.advance(20_000)
    expect(evicted).toEqual([])
    expect(said[0]?.message).toContain('1 of them must be recreated by hand')
  })

  it('are evicted by the next leader where one has ended in the middle, and no sooner than the budget allows', async () => {
    sidecarSets.put(agent())
    createMissed(2)
    const leaving = webPod('left')
    pods.put({ ...leaving, metadata: { ...leaving.metadata, deletionTimestamp: '2026-01-03T00:00:00Z' } })
    await start()
    await clock.advance(30_000)
    expect(evicted).toEqual([])
    pods.put(webPod('new', { isInjected: true }))
    await clock.advance(10_000)
    expect(evicted).toEqual(['old-0'])
  })

  it('that may not be evicted wait, and the event says what is missing', async () => {
    onEviction = () => {
      throw new ApiError(403, { reason: 'Forbidden', message: 'pods "old-0" is forbidden' })
    }
    sidecarSets.put(agent())
    createMissed(1)
    await start()
    await clock.advance(20_000)
    expect(said[0]?.message).toContain(
      'They could not be evicted: pods "old-0" is forbidden (outrigger install --evict-missed-pods gives the right)',
    )
  })

  it('are found when a SidecarSet or a namespace changes, and forgotten when it does so again', async () => {
    const inTeams = { namespaceSelector: { matchLabels: { team: 'a' } } }
    sidecarSets.put(agent('report', inTeams))
    createMissed(2)
    await start()
    await clock.advance(5_000)
    expect(controller.missed).toBe(0)
    namespaces.put(namespace('shop', { team: 'a' }))
    expect(controller.missed).toBe(2)
    sidecarSets.put(agent('report', { ...inTeams, injectionStrategy: { paused: true } }))
    await clock.advance(5_000)
    expect(controller.missed).toBe(0)
    sidecarSets.put(agent('report', inTeams))
    await clock.advance(5_000)
    expect(controller.missed).toBe(2)
    pods.put(webPod('old-0', { isInjected: true }))
    expect(controller.missed).toBe(1)
  })
})
