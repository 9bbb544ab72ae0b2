import { ApiError } from '@outrigger/client'
import type { EventDraft } from '@outrigger/controller'
import { SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock, settle } from '@outrigger/foundation/testing'
import { SidecarSetIndex } from '@outrigger/injection'
import { applyJsonPatch, type KubeObject, type Pod, resources } from '@outrigger/kube'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPodFacts } from '../admission/pod/pod-facts.ts'
import { createPodMutator } from '../admission/pod/pod-handlers.ts'
import { podIndexes } from '../pod-indexes.ts'
import { FedInformer, MemoryCluster } from '../testdata/memory-cluster.ts'
import { filebeat, namespace, pod, virtualNode } from '../testdata/objects.ts'
import { createVirtualNodeLabelController } from '../virtual-node-label/virtual-node-label-controller.ts'
import { followPods } from './follow-pods.ts'
import { createOverflowReplacement } from './overflow-replacement.ts'
import { ReplacementHints } from './replacement-hints.ts'

const refusal =
  'Pod "web" is invalid: spec.containers: Forbidden: pod updates may not add or remove containers'
const label = 'serverless.alibabacloud.com/virtual-node'

let clock: ManualClock
let cluster: MemoryCluster
let pods: FedInformer<Pod>
let said: { about: string; draft: EventDraft }[]
let isAnswering: boolean
let hints: ReplacementHints
let stop: () => Promise<void>

beforeEach(() => {
  clock = new ManualClock()
  cluster = new MemoryCluster()
  pods = new FedInformer<Pod>([], podIndexes)
  said = []
  isAnswering = true
  hints = new ReplacementHints(clock)
  followPods(hints, pods)
  stop = async () => {}
  // A stock API server: the update that labels a pod would add containers, and is refused.
  cluster.refuse = (verb, _, key) => {
    if (verb === 'patch' && !isMarking) throw new ApiError(422, { reason: 'Invalid', message: refusal })
    isMarking = false
    if (verb === 'delete') deleted.push(key)
  }
})
afterEach(() => stop())

let isMarking = false
/** Throws what the API server would answer to a deletion. */
let mayDelete: () => void = () => {}
let deleted: string[] = []

async function start() {
  deleted = []
  mayDelete = () => {}
  const options = {
    client: {
      get: cluster.get.bind(cluster) as MemoryCluster['get'],
      patch: (async (resource, key, patch) => {
        isMarking = JSON.stringify(patch.body).includes('outrigger.dev/replaced-for-sidecars')
        const written = await cluster.patch<Pod>(resource, key, patch)
        pods.put(written)
        return written
      }) as MemoryCluster['patch'],
      delete: async (
        resource: Parameters<MemoryCluster['delete']>[0],
        key: Parameters<MemoryCluster['delete']>[1],
        call?: { readonly preconditions?: object; readonly dryRun?: boolean },
      ) => {
        const { metadata } = await cluster.get(resource, key)
        expect(call?.preconditions).toEqual({ uid: metadata.uid, resourceVersion: metadata.resourceVersion })
        if (call?.dryRun) return void mayDelete()
        await cluster.delete(resource, key)
        const gone = pods.store.get(`${key.namespace}/${key.name}`)
        if (gone !== undefined) pods.remove(gone)
        return undefined
      },
    },
    clock,
    random: new SeededRandom(),
    logger: silentLogger,
    events: {
      event: (object: KubeObject, draft: EventDraft) =>
        void said.push({ about: object.metadata.name, draft }),
    },
    pods,
  }
  const controller = new AbortController()
  const running = createVirtualNodeLabelController({
    ...options,
    virtualNodes: new FedInformer([virtualNode()]),
    replacement: createOverflowReplacement({
      ...options,
      sidecarSets: new SidecarSetIndex([filebeat()]),
      namespaceLabels: () => ({}),
      isAnswering: () => isAnswering,
    }),
  }).run(controller.signal)
  stop = async () => {
    controller.abort()
    await clock.advance(10_000)
    await running
  }
  await settle()
}

const owner = (kind = 'ReplicaSet', apiVersion = 'apps/v1') => [
  { apiVersion, kind, name: 'web', uid: 'owner-1', controller: true },
]

async function overflowed(name: string, ownerReferences = owner()) {
  const bare = pod({ name, spec: { nodeName: 'vk' }, status: { phase: 'Pending' } })
  const created = await cluster.create<Pod>(resources.pods, {
    ...bare,
    metadata: { ...bare.metadata, ownerReferences },
  })
  pods.put(created)
  return created
}

/** What the owner does next, through the webhook of a replica. */
async function created(name: string, ownerReferences = owner()): Promise<Pod> {
  const facts = createPodFacts({
    client: cluster,
    clock,
    sidecarSets: new SidecarSetIndex([filebeat()]),
    namespaces: new FedInformer([namespace('shop')]).store,
    virtualNodes: new FedInformer([virtualNode()]).store,
  })
  const mutate = createPodMutator({ facts, logger: silentLogger, trustedUsers: [], replacements: hints })
  const plain = pod({ name })
  const object = { ...plain, metadata: { ...plain.metadata, ownerReferences } }
  const answer = await mutate(
    {
      uid: name,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      subResource: '',
      operation: 'CREATE',
      name,
      namespace: 'shop',
      user: { name: 'replicaset-controller', groups: [] },
      object,
      oldObject: undefined,
      isDryRun: false,
    },
    new AbortController().signal,
  )
  expect(answer).toMatchObject({ allowed: true })
  return applyJsonPatch(object, answer.allowed ? (answer.patch ?? []) : []) as Pod
}

describe('a pod that overflowed to a virtual node of a stock API server', () => {
  it('is marked, then deleted, and the next pod of its owner is sent there with its sidecars', async () => {
    await start()
    await overflowed('web-1')
    await clock.advance(500)
    expect(deleted).toEqual([])
    expect(hints.size).toBe(1)

    await clock.advance(1_000)
    expect(deleted).toEqual(['shop/web-1'])
    const replacement = await created('web-2')
    expect(replacement.metadata).toMatchObject({
      labels: { [label]: 'true' },
      annotations: { 'outrigger.dev/replaces-pod': 'web-1/uid-of-web-1' },
    })
    expect(replacement.spec.nodeSelector).toEqual({ type: 'virtual-kubelet' })
    expect(replacement.spec.tolerations).toEqual([{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }])
    expect(replacement.spec.containers.map(({ name }) => name)).toEqual(['filebeat', 'web'])
    expect((await created('web-3')).metadata.labels?.[label]).toBeUndefined()
    expect(said.map(({ about, draft }) => [about, draft.reason])).toEqual([
      ['web-1', 'PodReplacedForSidecars'],
      ['web', 'PodReplacedForSidecars'],
    ])
  })

  it.each([
    ['of a Job', owner('Job', 'batch/v1'), /Job web would count the deleted pod as a failure/],
    ['of nobody', [], /nothing would make a new one/],
    ['of a stranger', owner('Task', 'acme.dev/v1'), /what Task web does about a deleted pod is not known/],
  ])('%s waits, and says why', async (_whose, references, reason) => {
    await start()
    await overflowed('web-1', references)
    await clock.advance(120_000)
    expect(deleted).toEqual([])
    expect(said[0]).toMatchObject({
      about: 'web-1',
      draft: { reason: 'SidecarsNeedReplacement', type: 'Warning' },
    })
    expect(said[0]?.draft.message).toMatch(reason)
    expect(said[0]?.draft.message).toContain('SidecarSet filebeat')
  })

  it('is left alone when a webhook refused it: a new one would be refused as well', async () => {
    cluster.refuse = (verb) => {
      if (verb !== 'patch') return
      throw new ApiError(422, {
        reason: 'Invalid',
        message: 'admission webhook "update.mpod.kb.io" denied the request: pod cannot be injected',
      })
    }
    await start()
    await overflowed('web-1')
    await clock.advance(10_000)
    expect(deleted).toEqual([])
    expect(said[0]?.draft.reason).toBe('VirtualNodeLabelRefused')
  })

  it('is not deleted once a container was started', async () => {
    await start()
    const bare = await overflowed('web-1')
    await cluster.update<Pod>(resources.pods, {
      ...bare,
      status: {
        phase: 'Pending',
        containerStatuses: [{ name: 'web', image: '', imageID: '', ready: false, restartCount: 1 } as never],
      },
    })
    await clock.advance(30_000)
    expect(deleted).toEqual([])
  })

  it('is not deleted while no pod that is created would be asked about', async () => {
    isAnswering = false
    await start()
    await overflowed('web-1')
    await clock.advance(60_000)
    expect(deleted).toEqual([])
    isAnswering = true
    await clock.advance(5_000)
    expect(deleted).toEqual(['shop/web-1'])
  })

  it('is deleted by the next leader when the one before ended between mark and deletion', async () => {
    await start()
    await overflowed('web-1')
    await clock.advance(500)
    await stop()
    await start()
    await clock.advance(2_000)
    expect(deleted).toEqual(['shop/web-1'])
  })

  it('waits with its siblings until the first replacement has come, then goes with two', async () => {
    await start()
    for (const name of ['web-1', 'web-2', 'web-3', 'web-4']) await overflowed(name)
    await clock.advance(5_000)
    expect(deleted).toEqual(['shop/web-1'])
    pods.put(await created('web-5'))
    await clock.advance(5_000)
    expect(deleted).toEqual(['shop/web-1', 'shop/web-2', 'shop/web-3'])
  })

  it('is given up after five attempts that brought nothing', async () => {
    await start()
    for (let i = 1; i < 20; i++) {
      await overflowed(`web-${i}`)
      await clock.advance(200_000)
    }
    expect(deleted).toHaveLength(5)
    expect(said.at(-1)?.draft.message).toContain('5 attempts to replace pods of ReplicaSet web brought none')
  })

  it('that may not be deleted is not marked, waits, and says what is missing', async () => {
    await start()
    mayDelete = () => {
      throw new ApiError(403, { reason: 'Forbidden', message: 'cannot delete pods' })
    }
    await overflowed('web-1')
    await clock.advance(5_000)
    expect(said[0]?.draft).toMatchObject({
      reason: 'SidecarsNeedReplacement',
      message: expect.stringContaining(
        'It could not be replaced: cannot delete pods (outrigger install --replace-overflow-pods gives',
      ),
    })
    await clock.advance(120_000)
    const { metadata } = await cluster.get<Pod>(resources.pods, { namespace: 'shop', name: 'web-1' })
    expect(metadata.annotations ?? {}).not.toHaveProperty(['outrigger.dev/replaced-for-sidecars'])
    expect(deleted).toEqual([])
    // Once it is allowed, the pod is marked and deleted as any other.
    mayDelete = () => {}
    await clock.advance(600_000)
    expect(deleted).toEqual(['shop/web-1'])
  })
})
