import {
  outriggerResources,
  type SidecarContainer,
  type SidecarSet,
  type SidecarSetSpec,
} from '@outrigger/api'
import { type ConfigMap, type ControllerRevision, type Event, type Pod, resources } from '@outrigger/kube'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type SidecarCluster, startSidecarCluster } from './sidecar-cluster.ts'

const { sidecarSets } = outriggerResources
const shop = 'shop'
let cluster: SidecarCluster

beforeAll(async () => {
  cluster = await startSidecarCluster()
  await cluster.client.create(resources.namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: shop },
  })
})

afterAll(() => cluster.stop())

afterEach(async () => {
  generation = 0
  await cluster.client.deleteCollection(resources.pods, { namespace: shop, gracePeriodSeconds: 0 })
  for (const { metadata } of (await cluster.client.list<SidecarSet>(sidecarSets)).items)
    await cluster.client.delete(sidecarSets, { namespace: '', name: metadata.name })
  await cluster.untilList(resources.pods, shop, (pods) => pods.length === 0)
})

function sidecarSet(
  name: string,
  container: Partial<SidecarContainer>,
  spec: SidecarSetSpec = {},
  annotations: Record<string, string> = {},
): SidecarSet {
  return {
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name, annotations },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'agent', image: 'agent:1', ...container }],
      ...spec,
    },
  }
}

async function createPods(count: number, labels: Record<string, string> = {}): Promise<void> {
  for (let i = 0; i < count; i++)
    await cluster.client.create<Pod>(resources.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `web-${i}`, namespace: shop, labels: { app: 'web', ...labels } },
      spec: { containers: [{ name: 'web', image: 'web:1' }] },
    })
  await podsUntil((pods) => pods.length === count && pods.every(isReady))
}

const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
const imagesOf = (pods: readonly Pod[], container = 'agent') =>
  pods.map(
    ({ spec }) =>
      [...spec.containers, ...(spec.initContainers ?? [])].find(({ name }) => name === container)?.image,
  )
const podsUntil = (isDone: (pods: readonly Pod[]) => boolean) =>
  cluster.untilList<Pod>(resources.pods, shop, isDone, 20_000)
/** What the status must have looked at to count. */
let generation = 0
async function release(name: string, spec: unknown): Promise<SidecarSet> {
  const body = { spec }
  const released = await cluster.client.patch<SidecarSet>(
    sidecarSets,
    { namespace: '', name },
    { type: 'merge', body },
  )
  generation = released.metadata.generation ?? 0
  return released
}
const image = (tag: string) => ({ containers: [{ name: 'agent', image: `agent:${tag}` }] })
const statusUntil = (name: string, isDone: (status: NonNullable<SidecarSet['status']>) => boolean) =>
  cluster.until<SidecarSet>(
    sidecarSets,
    name,
    ({ status }) => status !== undefined && (status.observedGeneration ?? 0) >= generation && isDone(status),
    20_000,
  )

describe('a rollout of new images', () => {
  test('reaches every pod within maxUnavailable, and status, records and history tell of it', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet('agents', {}, { updateStrategy: { maxUnavailable: 2 } }),
    )
    await createPods(6)
    await statusUntil(
      'agents',
      ({ matchedPods, updatedReadyPods }) => matchedPods === 6 && updatedReadyPods === 6,
    )
    await release('agents', image('2'))
    let most = 0
    await podsUntil((pods) => {
      most = Math.max(most, pods.filter((pod) => !isReady(pod)).length)
      return imagesOf(pods).every((name) => name === 'agent:2')
    })
    expect(most).toBeLessThanOrEqual(2)
    const { status } = await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 6)
    expect(status).toMatchObject({ matchedPods: 6, updatedPods: 6, readyPods: 6, collisionCount: 0 })
    const revisions = await cluster.list<ControllerRevision>(resources.controllerRevisions, 'kruise-system')
    const ours = revisions.filter(
      ({ metadata }) => metadata.labels?.['kruise.io/sidecarset-name'] === 'agents',
    )
    expect(ours.map(({ revision }) => revision).sort()).toEqual([1, 2])
    expect(status?.latestRevision).toBe(ours.find(({ revision }) => revision === 2)?.metadata.name)
    const upgraded = await podsUntil((pods) =>
      pods.every(({ status: is }) => is?.conditions?.some(({ type }) => type === 'SidecarSetUpgradable')),
    )
    expect(upgraded[0]?.metadata.annotations?.['kruise.io/sidecarset-hash']).toContain(status?.latestRevision)
    expect(upgraded[0]?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'SidecarSetUpgradable', status: 'True', message: '{"agents":true}' }),
    )
  })

  test('keeps as many old pods as the partition says, and goes on when it is lowered', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet('agents', {}, { updateStrategy: { maxUnavailable: 9, partition: '50%' } }),
    )
    await createPods(4)
    await release('agents', image('2'))
    await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 2)
    expect(imagesOf(await cluster.list<Pod>(resources.pods, shop)).sort()).toEqual([
      'agent:1',
      'agent:1',
      'agent:2',
      'agent:2',
    ])
    await release('agents', { updateStrategy: { partition: 0 } })
    await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 4)
  })

  test('takes only the pods of the update selector', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet(
        'agents',
        {},
        { updateStrategy: { maxUnavailable: 9, selector: { matchLabels: { tier: 'canary' } } } },
      ),
    )
    await createPods(3)
    await cluster.client.patch(
      resources.pods,
      { namespace: shop, name: 'web-1' },
      { type: 'merge', body: { metadata: { labels: { tier: 'canary' } } } },
    )
    await release('agents', image('2'))
    await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 1)
    expect(imagesOf(await cluster.list<Pod>(resources.pods, shop))).toEqual(['agent:1', 'agent:2', 'agent:1'])
  })

  test('stops while it is paused and not at all with NotUpdate', async () => {
    await cluster.client.create(sidecarSets, sidecarSet('agents', {}, { updateStrategy: { paused: true } }))
    await createPods(2)
    await release('agents', image('2'))
    await statusUntil('agents', ({ updatedPods, matchedPods }) => matchedPods === 2 && updatedPods === 0)
    await release('agents', { updateStrategy: { type: 'NotUpdate', paused: false } })
    await statusUntil('agents', ({ observedGeneration = 0 }) => observedGeneration >= 3)
    expect(imagesOf(await cluster.list<Pod>(resources.pods, shop))).toEqual(['agent:1', 'agent:1'])
    await release('agents', { updateStrategy: { type: 'RollingUpdate' } })
    await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 2)
  })

  test('does not outlive a bad image: going back wins at once', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet('agents', {}, { updateStrategy: { maxUnavailable: 1 } }),
    )
    await createPods(4)
    await release('agents', image('bad'))
    await podsUntil(
      (pods) => imagesOf(pods).filter((name) => name === 'agent:bad').length === 1 && !pods.every(isReady),
    )
    await release('agents', image('1'))
    await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 4)
    expect(imagesOf(await cluster.list<Pod>(resources.pods, shop))).toEqual(Array(4).fill('agent:1'))
  })

  test('leaves pods that would need more than an image, and says so', async () => {
    await cluster.client.create(sidecarSets, sidecarSet('agents', {}))
    await createPods(1)
    await release('agents', { containers: [{ name: 'agent', image: 'agent:2', args: ['-v'] }] })
    const [pod] = await podsUntil(([first]) =>
      Boolean(first?.status?.conditions?.some(({ type }) => type === 'SidecarSetUpgradable')),
    )
    expect(pod?.status?.conditions).toContainEqual(
      expect.objectContaining({
        type: 'SidecarSetUpgradable',
        status: 'False',
        reason: 'UpdateImmutableField',
        message: '{"agents":false}',
      }),
    )
    expect(imagesOf([pod as Pod])).toEqual(['agent:1'])
    await cluster.untilList<Event>(resources.events, 'default', (events) =>
      events.some(({ reason }) => reason === 'NotUpgradablePods'),
    )
  })

  test('goes on where another manager left off', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet('agents', {}, { updateStrategy: { maxUnavailable: 1 } }),
    )
    await createPods(5)
    await release('agents', image('2'))
    await podsUntil((pods) => imagesOf(pods).includes('agent:2'))
    await cluster.stopManager()
    await cluster.startManager()
    await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 5)
  })

  test('survives the change of leaders, without a moment over the budget', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet('agents', {}, { updateStrategy: { maxUnavailable: 1 } }),
    )
    await createPods(6)
    await cluster.stopManager()
    const stopFirst = await cluster.startReplica()
    const stopSecond = await cluster.startReplica()
    try {
      await release('agents', image('2'))
      let most = 0
      const watched = (isDone: (updated: number) => boolean) =>
        podsUntil((pods) => {
          most = Math.max(most, pods.filter((pod) => !isReady(pod)).length)
          return isDone(imagesOf(pods).filter((name) => name === 'agent:2').length)
        })
      await watched((updated) => updated >= 2)
      await stopFirst()
      await watched((updated) => updated === 6)
      expect(most).toBeLessThanOrEqual(1)
      await statusUntil('agents', ({ updatedReadyPods }) => updatedReadyPods === 6)
    } finally {
      await stopFirst()
      await stopSecond()
      await cluster.startManager()
    }
  })

  test('upgrades native sidecars where the SidecarSet asks for it', async () => {
    const native = sidecarSet(
      'natives',
      {},
      { containers: [] },
      { 'outrigger.dev/update-native-sidecars': 'true' },
    )
    const proxy = (tag: string) => [{ name: 'proxy', image: `proxy:${tag}`, restartPolicy: 'Always' }]
    native.spec.initContainers = proxy('1')
    await cluster.client.create(sidecarSets, native)
    await createPods(2)
    await release('natives', { initContainers: proxy('2') })
    const pods = await podsUntil((list) => imagesOf(list, 'proxy').every((name) => name === 'proxy:2'))
    expect(pods).toHaveLength(2)
    await statusUntil('natives', ({ updatedReadyPods }) => updatedReadyPods === 2)
  })
})

describe('a hot upgrade', () => {
  const hot = (tag: string): SidecarContainer[] => [
    {
      name: 'mesh',
      image: `mesh:${tag}`,
      upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'mesh:empty' },
    },
  ]
  const both = (pods: readonly Pod[]) =>
    pods.map((pod) => [imagesOf([pod], 'mesh-1')[0], imagesOf([pod], 'mesh-2')[0]])

  test('lets the containers take turns, and again, across a restart of the manager', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet('mesh', {}, { containers: hot('1'), updateStrategy: { maxUnavailable: 1 } }),
    )
    await createPods(2)
    await release('mesh', { containers: hot('2') })
    await podsUntil((pods) => both(pods).every(([one, two]) => one === 'mesh:empty' && two === 'mesh:2'))
    await statusUntil('mesh', ({ updatedReadyPods }) => updatedReadyPods === 2)
    await release('mesh', { containers: hot('3') })
    await podsUntil((pods) => both(pods).some(([one]) => one === 'mesh:3'))
    await cluster.stopManager()
    await cluster.startManager()
    const pods = await podsUntil((list) =>
      both(list).every(([one, two]) => one === 'mesh:3' && two === 'mesh:empty'),
    )
    await statusUntil('mesh', ({ updatedReadyPods }) => updatedReadyPods === 2)
    const annotations = pods[0]?.metadata.annotations ?? {}
    expect(annotations['kruise.io/sidecarset-working-hotupgrade-container']).toBe('{"mesh":"mesh-1"}')
    expect(annotations['version.sidecarset.kruise.io/mesh-2']).toBe('0')
    expect(annotations['versionalt.sidecarset.kruise.io/mesh-1']).toBe('0')
    expect(Number(annotations['version.sidecarset.kruise.io/mesh-1'])).toBeGreaterThan(1)
  })

  test('goes back to the working container when the new one does not start', async () => {
    await cluster.client.create(
      sidecarSets,
      sidecarSet('mesh', {}, { containers: hot('1'), updateStrategy: { maxUnavailable: 1 } }),
    )
    await createPods(2)
    await release('mesh', { containers: hot('bad') })
    await podsUntil(
      (pods) => both(pods).filter(([, two]) => two === 'mesh:bad').length === 1 && !pods.every(isReady),
    )
    await release('mesh', { containers: hot('1') })
    await statusUntil('mesh', ({ updatedReadyPods }) => updatedReadyPods === 2)
    const pods = await cluster.list<Pod>(resources.pods, shop)
    expect(both(pods)).toEqual(Array(2).fill(['mesh:1', 'mesh:empty']))
  })
})

describe('injection of a recorded revision', () => {
  test('gives new pods the older content', async () => {
    const set = sidecarSet('agents', {}, { updateStrategy: { type: 'NotUpdate' } })
    set.metadata.labels = { 'apps.kruise.io/sidecarset-custom-version': '1' }
    await cluster.client.create(sidecarSets, set)
    await cluster.untilList<ControllerRevision>(resources.controllerRevisions, 'kruise-system', (list) =>
      list.some(({ metadata }) => metadata.labels?.['kruise.io/sidecarset-name'] === 'agents'),
    )
    await cluster.client.patch(
      sidecarSets,
      { namespace: '', name: 'agents' },
      {
        type: 'merge',
        body: {
          metadata: { labels: { 'apps.kruise.io/sidecarset-custom-version': '2' } },
          spec: { ...image('2'), injectionStrategy: { revision: { customVersion: '1' } } },
        },
      },
    )
    await cluster.until<SidecarSet>(sidecarSets, 'agents', ({ metadata }) => metadata.generation === 2)
    await createPods(1)
    expect(imagesOf(await cluster.list<Pod>(resources.pods, shop))).toEqual(['agent:1'])
    await expect(
      release('agents', { injectionStrategy: { revision: { customVersion: '9' } } }),
    ).rejects.toThrow('cannot find this revision')
  })
})

describe('while no manager answers', () => {
  test('harmless updates of pods on virtual nodes go on, and guarded ones do not', async () => {
    await cluster.client.create<Pod>(resources.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'far',
        namespace: shop,
        labels: { 'alibabacloud.com/eci': 'true' },
        finalizers: ['example.com/job'],
      },
      spec: { containers: [{ name: 'web', image: 'web:1' }] },
    })
    const change = (body: unknown) =>
      cluster.client.patch(resources.pods, { namespace: shop, name: 'far' }, { type: 'strategic', body })
    await expect(
      change({ metadata: { annotations: { 'kruise.io/sidecarset-injected-list': 'x' } } }),
    ).resolves.toBeDefined()
    await cluster.stopManager()
    try {
      await change({ metadata: { finalizers: null, labels: { mine: 'x' }, annotations: { other: 'y' } } })
      await expect(
        change({ metadata: { annotations: { 'kruise.io/sidecarset-hash': '{}' } } }),
      ).rejects.toThrow('failed calling webhook')
      await expect(change({ spec: { containers: [{ name: 'web', image: 'web:2' }] } })).rejects.toThrow(
        'failed calling webhook',
      )
    } finally {
      await cluster.startManager()
    }
  })
})

describe('admission', () => {
  test('takes old spellings over, with a warning, and refuses annotations that no whitelist allows', async () => {
    const { sidecarSet: old, patch } = {
      sidecarSet: sidecarSet('agents', {}),
      patch: [{ annotations: { 'example.com/log': 'x' } }],
    }
    const spelled = {
      ...old,
      spec: { ...old.spec, paused: true, strategy: { rollingUpdate: { maxUnavailable: 3 } } },
    }
    const stored = await cluster.client.create<SidecarSet>(sidecarSets, spelled)
    expect(stored.spec.updateStrategy).toMatchObject({ paused: true, maxUnavailable: 3 })
    expect(stored.spec).not.toHaveProperty('strategy')
    await expect(release('agents', { patchPodMetadata: patch })).rejects.toThrow('no whitelist found')
    const key = { namespace: 'kruise-system', name: 'kruise-configuration' }
    await cluster.client.create<ConfigMap>(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: key,
      data: {
        SidecarSet_PatchPodMetadata_WhiteList:
          '{"rules":[{"allowedAnnotationKeyExprs":["^example\\\\.com/"]}]}',
      },
    })
    await release('agents', { patchPodMetadata: patch })
    await createPods(1)
    const [pod] = await cluster.list<Pod>(resources.pods, shop)
    expect(pod?.metadata.annotations).toMatchObject({ 'example.com/log': 'x' })
  })

  test('restores ordinary pods with their records, and refuses such records on the way to a virtual node', async () => {
    const copy = (labels: Record<string, string>): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'copy',
        namespace: shop,
        labels,
        annotations: { 'kruise.io/sidecarset-injected-list': 'filebeat-sidecarset' },
      },
      spec: { containers: [{ name: 'web', image: 'web:1' }] },
    })
    await expect(
      cluster.client.create(resources.pods, copy({ 'alibabacloud.com/eci': 'true' })),
    ).rejects.toThrow('kruise.io/sidecarset-injected-list')
    await expect(cluster.client.create(resources.pods, copy({ app: 'x' }))).resolves.toBeDefined()
  })
})
