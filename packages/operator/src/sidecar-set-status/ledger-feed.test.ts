import { defaultSidecarSet, type SidecarSet } from '@outrigger/api'
import { SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { injectionAnnotations } from '@outrigger/injection'
import type { ControllerRevision, KubeObject, Namespace, Pod } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { podIndexes } from '../pod-indexes.ts'
import { createUpgradableConditionController } from '../sidecar-set-condition/upgradable-condition-controller.ts'
import { createSidecarSetController } from '../sidecar-set-rollout/sidecar-set-controller.ts'
import { FedInformer } from '../testdata/memory-cluster.ts'
import { namespace, pod } from '../testdata/objects.ts'
import { withoutHistory } from '../testdata/without-history.ts'
import { LedgerFeed } from './ledger-feed.ts'

const many = 10_000
const carriers = 300
/** SidecarSets that one pod carries. */
const each = 3

function sidecarSet(index: number, image = 'agent:1'): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: `set-${index}`, uid: `set-${index}`, generation: image === 'agent:1' ? 1 : 2 },
    spec: {
      selector: { matchLabels: { group: String(Math.floor(index / each)) } },
      // Paused while it changes: what is written to pods is another matter.
      updateStrategy: { type: 'RollingUpdate', paused: image !== 'agent:1' },
      containers: [{ name: `agent-${index % each}`, image }],
    },
  })
}

/** Pod number n carries the SidecarSets 3n, 3n + 1 and 3n + 2. */
function carrier(index: number, { ready = true } = {}): Pod {
  const sets = Array.from({ length: each }, (_, offset) => sidecarSet(index * each + offset))
  const names = ['web', ...sets.map((_, offset) => `agent-${offset}`)]
  return pod({
    name: `web-${index}`,
    labels: { group: String(index) },
    annotations: injectionAnnotations({}, sets, '2026-01-01T00:00:00Z'),
    spec: { nodeName: 'node', containers: names.map((name) => ({ name, image: 'agent:1' })) },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: names.map((name) => ({
        ...{ name, image: 'agent:1', imageID: 'id', ready, restartCount: 0 },
      })),
    },
  })
}

/** Counts how often it is asked for a namespace: once for each pod that is judged for a SidecarSet. */
class CountingNamespaces extends FedInformer<Namespace> {
  judgements = 0

  constructor() {
    super([namespace('shop')])
    const get = this.store.get.bind(this.store)
    this.store.get = (key) => {
      this.judgements++
      return get(key)
    }
  }
}

async function aLargeCluster() {
  const clock = new ManualClock()
  const sidecarSets = new FedInformer(Array.from({ length: many }, (_, index) => sidecarSet(index)))
  const pods = new FedInformer(
    Array.from({ length: carriers }, (_, index) => carrier(index)),
    podIndexes,
  )
  const namespaces = new CountingNamespaces()
  const feed = new LedgerFeed({ clock, sidecarSets, pods, namespaces })
  let writes = 0
  const client = {
    patch: async <T extends KubeObject>(): Promise<T> => {
      writes++
      return { metadata: { name: '' } } as unknown as T
    },
    get: () => Promise.reject(new Error('nothing is read')),
    createSubresource: () => Promise.reject(new Error('nothing is evicted')),
    list: () => Promise.reject(new Error('nothing is drained here')),
  }
  const options = {
    ...{ client, clock, random: new SeededRandom(), logger: silentLogger, events: { event: () => {} } },
    ...{ sidecarSets, pods, namespaces, feed, revisions: new FedInformer<ControllerRevision>() },
  }
  const rollouts = createSidecarSetController({
    ...options,
    ...withoutHistory(({ metadata }) => metadata.name),
  })
  const conditions = createUpgradableConditionController(options)
  const stopping = new AbortController()
  const ended = [rollouts, conditions].map((one) => one.run(stopping.signal))
  await clock.advance(5_000)
  const begin = { judgements: namespaces.judgements, writes, reconciles: 0 }
  const reconciles = () =>
    [rollouts, conditions]
      .flatMap(({ statistics }) => Object.values(statistics.reconciles))
      .reduce((sum, count) => sum + count, 0)
  begin.reconciles = reconciles()
  return {
    pods,
    sidecarSets,
    beginning: begin,
    /** What has been done since the beginning. */
    done: async () => {
      await clock.advance(5_000)
      return {
        judgements: namespaces.judgements - begin.judgements,
        reconciles: reconciles() - begin.reconciles,
        writes: writes - begin.writes,
      }
    },
    stop: async () => {
      stopping.abort()
      await Promise.all(ended)
    },
  }
}

describe('ten thousand SidecarSets and a few hundred pods', () => {
  test('are counted once at the start', async () => {
    const { beginning, stop } = await aLargeCluster()
    expect(beginning.judgements).toBeLessThanOrEqual(2 * carriers * each)
    expect(beginning.reconciles).toBe(many)
    expect(beginning.writes).toBe(many)
    await stop()
  }, 30_000)

  test('cost a pod event the work for its own SidecarSets, and none where nothing that counts has changed', async () => {
    const { pods, done, stop } = await aLargeCluster()
    pods.put(carrier(7, { ready: false }))
    expect(await done()).toEqual({ judgements: each, reconciles: each, writes: each })
    pods.put(carrier(7, { ready: false }))
    expect(await done()).toEqual({ judgements: 2 * each, reconciles: each, writes: each })
    pods.put(pod({ name: 'stranger' }))
    expect(await done()).toEqual({ judgements: 2 * each, reconciles: each, writes: each })
    await stop()
  }, 30_000)

  test('cost a SidecarSet event the work for its own pods', async () => {
    const { sidecarSets, done, stop } = await aLargeCluster()
    sidecarSets.put(sidecarSet(21, 'agent:2'))
    expect(await done()).toEqual({ judgements: 1, reconciles: 1, writes: 1 })
    sidecarSets.put(sidecarSet(9_999, 'agent:2'))
    expect(await done()).toEqual({ judgements: 1, reconciles: 2, writes: 2 })
    await stop()
  }, 30_000)
})
