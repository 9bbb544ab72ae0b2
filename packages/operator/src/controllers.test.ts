import { ApiError } from '@outrigger/client'
import type { EventDraft } from '@outrigger/controller'
import { type Runnable, SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock, settle } from '@outrigger/foundation/testing'
import { SidecarSetIndex } from '@outrigger/injection'
import { type ControllerRevision, type KubeObject, type Pod, resources } from '@outrigger/kube'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { contains, ensureObject } from './ensure-object.ts'
import { podIndexes } from './pod-indexes.ts'
import { createResourceBindingController } from './resource-binding/resource-binding-controller.ts'
import { createSidecarSetController } from './sidecar-set-rollout/sidecar-set-controller.ts'
import { LedgerFeed } from './sidecar-set-status/ledger-feed.ts'
import { FedInformer, MemoryCluster } from './testdata/memory-cluster.ts'
import { binding, filebeat, namespace, pod, virtualNode } from './testdata/objects.ts'
import { withoutHistory } from './testdata/without-history.ts'
import { createVirtualNodeAuditController } from './virtual-node-audit/virtual-node-audit-controller.ts'
import { createVirtualNodeLabelController } from './virtual-node-label/virtual-node-label-controller.ts'

const label = { 'serverless.alibabacloud.com/virtual-node': 'true' }
let clock: ManualClock
let cluster: MemoryCluster
let said: { about: string; draft: EventDraft }[]
let stop: () => Promise<void>

const common = () => ({
  client: cluster,
  clock,
  random: new SeededRandom(),
  logger: silentLogger,
  events: {
    event: (object: KubeObject, draft: EventDraft) => void said.push({ about: object.metadata.name, draft }),
  },
})

beforeEach(() => {
  clock = new ManualClock()
  cluster = new MemoryCluster()
  said = []
  stop = async () => {}
})
afterEach(() => stop())

function start(runnable: Runnable): Promise<void> {
  const controller = new AbortController()
  const running = runnable.run(controller.signal)
  stop = async () => {
    controller.abort()
    await clock.advance(10_000)
    await running
  }
  return settle()
}

describe('the virtual-node label', () => {
  const bound = pod({ spec: { nodeName: 'vk' } })

  async function run(...pods: Pod[]) {
    for (const one of pods) await cluster.create(resources.pods, one)
    const informer = new FedInformer(pods, podIndexes)
    await start(
      createVirtualNodeLabelController({
        ...common(),
        pods: informer,
        virtualNodes: new FedInformer([virtualNode()]),
      }),
    )
    await clock.advance(1_000)
  }

  it('is set on pods bound to a virtual node, and on no others', async () => {
    await run(bound, pod({ name: 'elsewhere', spec: { nodeName: 'real' } }), pod({ name: 'unbound' }))
    expect(cluster.writes.filter((write) => write.startsWith('patch'))).toEqual(['patch pods shop/web'])
    expect((await cluster.get(resources.pods, { namespace: 'shop', name: 'web' })).metadata.labels).toEqual(
      label,
    )
  })

  it('is not set on pods of a DaemonSet', async () => {
    const ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', uid: 'u', controller: true },
    ]
    await run({ ...bound, metadata: { ...bound.metadata, ownerReferences } })
    expect(cluster.writes.filter((write) => write.startsWith('patch'))).toEqual([])
  })

  it('is tried again later where the API server refuses it, and the pod says why', async () => {
    let refusals = 0
    cluster.refuse = (verb) => {
      if (verb !== 'patch') return
      refusals++
      throw new ApiError(422, { reason: 'Invalid', message: 'pod updates may not add or remove containers' })
    }
    await run(bound)
    expect(said).toMatchObject([
      { about: 'web', draft: { reason: 'VirtualNodeLabelRefused', type: 'Warning' } },
    ])
    await clock.advance(61_000)
    expect(refusals).toBe(2)
  })
})

describe('a resource binding', () => {
  const key = { namespace: 'kube-system', name: 'outrigger-ssrb-filebeat' }

  async function run(subject = binding()) {
    await cluster.create({ ...resources.configMaps, resource: 'sidecarsetresourcebindings' }, subject)
    const bindings = new FedInformer([subject])
    await start(
      createResourceBindingController({
        ...common(),
        bindings,
        sidecarSets: new FedInformer([filebeat()]),
        subjects: { group: 'outrigger:virtual-nodes', manager: 'outrigger' },
      }),
    )
    await clock.advance(10)
    return bindings
  }
  const status = () =>
    (
      cluster.objects.get('sidecarsetresourcebindings')?.get('kube-system/filebeat') as
        | { status?: unknown }
        | undefined
    )?.status

  it('becomes rights to exactly the objects it names, for the virtual nodes', async () => {
    await cluster.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'kube-system', name: 'filebeat-config' },
    })
    await run()
    expect(await cluster.get(resources.roles, key)).toMatchObject({
      rules: [
        {
          apiGroups: [''],
          resources: ['configmaps'],
          resourceNames: ['filebeat-config'],
          verbs: ['get', 'list', 'watch'],
        },
      ],
      metadata: { ownerReferences: [{ uid: 'binding-1' }] },
    })
    expect(await cluster.get(resources.roleBindings, key)).toMatchObject({
      subjects: [
        { kind: 'Group', name: 'outrigger:virtual-nodes' },
        { kind: 'User', name: 'outrigger' },
      ],
    })
    expect(status()).toMatchObject({
      conditions: [{ type: 'Ready', status: 'True', reason: 'Granted' }],
      resolvedRefs: ['ConfigMap/filebeat-config'],
      missingRefs: [],
      subjects: [{ name: 'filebeat', uid: 'set-1' }],
    })
  })

  it('says which objects are missing and notices when they come', async () => {
    await run()
    expect(status()).toMatchObject({
      conditions: [{ status: 'False', reason: 'ResourcesMissing' }],
      missingRefs: ['ConfigMap/filebeat-config'],
    })
    await cluster.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'kube-system', name: 'filebeat-config' },
    })
    await clock.advance(16_000)
    expect(status()).toMatchObject({ conditions: [{ status: 'True' }], missingRefs: [] })
  })

  it('takes the rights away when it goes', async () => {
    const bindings = await run()
    bindings.remove(binding())
    await clock.advance(10)
    await expect(cluster.get(resources.roles, key)).rejects.toThrow('not found')
    await expect(cluster.get(resources.roleBindings, key)).rejects.toThrow('not found')
  })
})

describe('the status of SidecarSets', () => {
  it('is written once for many changes and not at all for none', async () => {
    const set = filebeat()
    const sidecarSets = new FedInformer([set])
    await cluster.create({ ...resources.namespaces, resource: 'sidecarsets' }, set)
    const pods = new FedInformer<Pod>([], podIndexes)
    const informers = {
      sidecarSets,
      pods,
      namespaces: new FedInformer([namespace('shop')]),
      revisions: new FedInformer<ControllerRevision>(),
    }
    await start(
      createSidecarSetController({
        ...common(),
        ...informers,
        feed: new LedgerFeed({ clock, ...informers }),
        ...withoutHistory(() => 'filebeat-1'),
      }),
    )
    for (let i = 0; i < 50; i++) {
      pods.put(
        pod({
          name: `web-${i}`,
          labels: label,
          annotations: { 'kruise.io/sidecarset-injected-list': 'filebeat' },
          spec: { containers: [{ name: 'filebeat' }, { name: 'web' }] },
        }),
      )
    }
    await clock.advance(1_000)
    const patches = () => cluster.writes.filter((write) => write.startsWith('patch'))
    expect(patches()).toEqual(['patch sidecarsets filebeat'])
    const stored = cluster.objects.get('sidecarsets')?.get('filebeat') as typeof set
    expect(stored.status).toMatchObject({
      matchedPods: 50,
      updatedPods: 0,
      readyPods: 0,
      collisionCount: 0,
      latestRevision: 'filebeat-1',
    })
    sidecarSets.put(stored)
    await clock.advance(1_000)
    expect(patches()).toHaveLength(1)
  })
})

it('the audit names what a pod on a virtual node lacks, once', async () => {
  const pods = new FedInformer([pod({ labels: label })], podIndexes)
  const options = {
    ...common(),
    pods,
    sidecarSets: new SidecarSetIndex([filebeat()]),
    namespaceLabels: () => ({}),
  }
  await start(createVirtualNodeAuditController(options))
  await clock.advance(2_000_000)
  expect(said).toMatchObject([{ about: 'web', draft: { reason: 'SidecarMissing' } }])
})

describe('ensuring an object', () => {
  const wanted = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', namespace: 'n' },
    data: { a: '1' },
  }
  const signal = new AbortController().signal

  it('creates it, leaves it alone while it is right, and mends only what it wants', async () => {
    expect(await ensureObject(cluster, resources.configMaps, wanted, signal)).toBe('created')
    expect(await ensureObject(cluster, resources.configMaps, wanted, signal)).toBe('unchanged')
    const found = await cluster.get<typeof wanted>(resources.configMaps, { namespace: 'n', name: 'a' })
    await cluster.update(resources.configMaps, { ...found, data: { a: '2', b: '3' } } as typeof wanted)
    expect(await ensureObject(cluster, resources.configMaps, wanted, signal)).toBe('updated')
    expect(await cluster.get(resources.configMaps, { namespace: 'n', name: 'a' })).toMatchObject({
      data: { a: '1', b: '3' },
    })
  })

  it('sees no difference in what the server fills in', () => {
    expect(contains({ a: [{ b: 1, scope: '*' }], c: 'x' }, { a: [{ b: 1 }], d: {} })).toBe(true)
    expect(contains({ a: [{ b: 1 }, { b: 2 }] }, { a: [{ b: 1 }] })).toBe(false)
  })
})
