import { outriggerResources, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
import { type Deployment, type Event, type Namespace, type Pod, resources } from '@outrigger/kube'
import {
  aDeployment,
  aNamespace,
  aPod,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ManagerProcess, startManagerProcess } from './manager-process.ts'

let cluster: TestCluster
let admin: ClusterClient
let manager: ManagerProcess | undefined

beforeAll(async () => {
  cluster = await startTestCluster({ hasManager: false })
  admin = cluster.admin
  await admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
  await eventually(
    'the service account',
    () =>
      admin.get(resources.serviceAccounts, { namespace: 'default', name: 'default' }).catch(() => undefined),
    cluster,
  )
})

afterAll(async () => {
  await manager?.stop()
  await cluster.stop()
})

const count = 30
const maxUnavailable = 5
const shop = { tier: 'shop' }
const key = { namespace: '', name: 'agent' }

const podsOf = async (app: string) =>
  (await admin.list<Pod>(resources.pods, { namespace: 'default', labelSelector: `app=${app}` })).items
const hasSidecar = ({ spec }: Pod) => spec.containers.some(({ name }) => name === 'agent')
const isServing = ({ metadata, status }: Pod) =>
  metadata.deletionTimestamp === undefined &&
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
const uidsOf = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.uid).sort()
const within = (timeout: number) => ({ clock: cluster.clock, timeout, every: 200 })

async function deploy(name: string, labels: Record<string, string>, replicas = count): Promise<void> {
  await admin.create<Deployment>(
    resources.deployments,
    aDeployment({
      name,
      replicas,
      labels: { ...shop, ...labels },
      spec: { terminationGracePeriodSeconds: 1 },
    }),
  )
}

/** Follows the pods of a Deployment; answers with the fewest that served at any time. */
function watchServing(app: string, pods: readonly Pod[], resourceVersion: string | undefined) {
  const stopping = new AbortController()
  const serving = new Set(pods.filter(isServing).map(({ metadata }) => metadata.uid))
  let fewest = serving.size
  const watch = async () => {
    const events = admin.watch<Pod>(resources.pods, {
      namespace: 'default',
      labelSelector: `app=${app}`,
      ...(resourceVersion !== undefined && { resourceVersion }),
      signal: stopping.signal,
    })
    for await (const event of events) {
      if (event.type === 'BOOKMARK' || event.type === 'ERROR') continue
      const { uid } = event.object.metadata
      if (event.type !== 'DELETED' && isServing(event.object)) serving.add(uid)
      else serving.delete(uid)
      fewest = Math.min(fewest, serving.size)
    }
  }
  const ended = watch().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error
  })
  return async () => {
    stopping.abort()
    await ended
    return fewest
  }
}

it('pods created while no webhook answers start at once where they may; the others wait, and all have their sidecars in the end', async () => {
  const { clock } = cluster
  manager = await startManagerProcess(cluster)
  const plain = aSidecarSet({ matchLabels: shop, spec: { updateStrategy: { maxUnavailable } } })
  const annotations = { [sidecarSetAnnotations.failurePolicy]: 'Ignore' }
  await admin.create<SidecarSet>(outriggerResources.sidecarSets, {
    ...plain,
    metadata: { ...plain.metadata, annotations },
  })
  await eventually(
    'injection',
    async () => {
      const probe = aPod({ name: 'probe', labels: shop })
      return hasSidecar(await admin.create<Pod>(resources.pods, probe, { dryRun: true }))
    },
    cluster,
  )
  // Pods that are younger than the SidecarSet, as far as whole seconds tell.
  await clock.sleep(2_000)
  await manager.kill()

  await deploy('ordinary', {})
  await deploy('required', { 'alibabacloud.com/eci': 'true' })
  const started = await eventually(
    'a start without webhooks',
    async () => {
      const pods = await podsOf('ordinary')
      return pods.filter(isServing).length === count && pods
    },
    within(20_000),
  )
  expect(started.some(hasSidecar)).toBe(false)
  expect(await podsOf('required')).toEqual([])

  // Back, and nobody has asked for evictions: what waited comes with sidecars, the rest is told of.
  manager = await startManagerProcess(cluster, ['--evict-missed-pods'])
  const told = await eventually(
    'an event about pods without sidecars',
    async () => {
      const { items } = await admin.list<Event>(resources.events)
      return items.find(({ reason }) => reason === 'PodsMissedSidecars')
    },
    within(20_000),
  )
  expect(told.involvedObject).toMatchObject({ kind: 'SidecarSet', name: 'agent' })
  expect(told.message).toMatch(
    /^30 pods run without .* and 25 more\. Recreate them, or let the manager evict/,
  )
  expect(await manager.metrics()).toContain('outrigger_missed_pods 30')
  await eventually(
    'the pods that waited',
    async () => {
      const pods = await podsOf('required')
      return pods.length === count && pods.every((pod) => hasSidecar(pod) && isServing(pod))
    },
    within(30_000),
  )
  const before = await admin.list<Pod>(resources.pods, {
    namespace: 'default',
    labelSelector: 'app=ordinary',
  })
  expect(uidsOf(before.items)).toEqual(uidsOf(started))

  // Asked for: they are made anew, never more of them away than may be.
  const fewest = watchServing('ordinary', before.items, before.metadata.resourceVersion)
  await admin.patch<SidecarSet>(outriggerResources.sidecarSets, key, {
    type: 'merge',
    body: { metadata: { annotations: { [sidecarSetAnnotations.missedPods]: 'evict' } } },
  })
  await eventually(
    'sidecars in all pods',
    async () => {
      const pods = (await podsOf('ordinary')).filter(isServing)
      return pods.length === count && pods.every(hasSidecar)
    },
    within(40_000),
  )
  const least = await fewest()
  expect(least).toBeGreaterThanOrEqual(count - maxUnavailable)
  expect(least).toBeLessThan(count)
  expect(await manager.metrics()).toContain('outrigger_missed_pods 0')
}, 120_000)

it('pods that ran before a SidecarSet come to it within the budget, where it takes them in', async () => {
  manager ??= await startManagerProcess(cluster, ['--evict-missed-pods'])
  const replicas = 6
  await deploy('early', { tier: 'bank' }, replicas)
  const serving = async () => {
    const pods = await podsOf('early')
    return pods.filter(isServing).length === replicas && pods
  }
  const started = await eventually('pods without a SidecarSet', serving, within(20_000))
  expect(started.some(hasSidecar)).toBe(false)
  const { metadata } = await admin.list<Pod>(resources.pods, { namespace: 'default' })
  const fewest = watchServing('early', started, metadata.resourceVersion)
  // A second later, as far as whole seconds tell: pods of the same one would count as missed anyway.
  await cluster.clock.sleep(1_000)
  const plain = aSidecarSet({
    name: 'late-agent',
    matchLabels: { tier: 'bank' },
    spec: { updateStrategy: { maxUnavailable: 2 } },
  })
  const annotations = { [sidecarSetAnnotations.missedPods]: 'evict-all' }
  await admin.create<SidecarSet>(outriggerResources.sidecarSets, {
    ...plain,
    metadata: { ...plain.metadata, annotations },
  })
  await eventually(
    'sidecars in all of them',
    async () => {
      const pods = await serving()
      return pods !== false && pods.every(hasSidecar)
    },
    within(60_000),
  )
  expect(await fewest()).toBeGreaterThanOrEqual(replicas - 2)
})
