import { outriggerResources, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import { isAlreadyExists } from '@outrigger/client'
import { type KubeObject, type Pod, resources } from '@outrigger/kube'
import { createManager, type ManagerOptions } from '@outrigger/operator'
import {
  aContainer,
  aNamespace,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import { fixedCertificate } from '@outrigger/webhook'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  advancedStatefulSets,
  cloneSets,
  createPretendWorkloads,
  type Workload,
  workloadDefinition,
} from './pretend-kruise-workloads.ts'

/** Pods of OpenKruise's own workloads, which Kubernetes knows nothing of: no ReplicaSet, no pod-template-hash. */

const namespace = 'default'
const virtualLabel = 'serverless.alibabacloud.com/virtual-node'
const managerUser = 'outrigger-manager'
const patience = 60_000
const kinds = [
  ['CloneSet', cloneSets],
  ['Advanced StatefulSet', advancedStatefulSets],
] as const
let cluster: TestCluster
let stopManager: () => Promise<void>
const stopping = new AbortController()
const running: Promise<void>[] = []

beforeAll(async () => {
  // As any stock API server: containers cannot be added to a pod.
  cluster = await startTestCluster({ featureGates: { SidecarSetServerlessPod: false }, hasManager: false })
  const { admin } = cluster
  for (const [, resource] of kinds) {
    await admin.create<KubeObject>(resources.customResourceDefinitions, workloadDefinition(resource))
    await eventually(
      `served ${resource.resource}`,
      () =>
        admin.list(resource, { namespace }).then(
          () => true,
          () => false,
        ),
      { ...cluster, timeout: patience },
    )
    running.push(createPretendWorkloads({ ...cluster, client: admin, resource }).run(stopping.signal))
  }
  await admin.create(resources.namespaces, aNamespace('kruise-system')).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error
  })
  await startManager({})
}, 120_000)

afterAll(async () => {
  stopping.abort()
  await Promise.all(running)
  await stopManager?.()
  await cluster?.stop()
})

describe.each(kinds)('pods of a %s', (kind, resource) => {
  const app = kind === 'CloneSet' ? 'clone' : 'numbered'
  const keepsNames = kind !== 'CloneSet'
  const podsOf = async (name: string) => {
    const { items } = await cluster.admin.list<Pod>(resources.pods, {
      namespace,
      labelSelector: `app=${name}`,
    })
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  }
  const until = (what: string, name: string, isDone: (pods: readonly Pod[]) => boolean) =>
    eventually(
      what,
      async () => {
        const pods = await podsOf(name)
        return isDone(pods) && pods
      },
      { ...cluster, timeout: patience },
    )

  it('that were created unasked are evicted, and made anew with their sidecars', async () => {
    const { admin, clock } = cluster
    const name = `${app}-missed`
    const key = { namespace: '', name }
    await admin.create<SidecarSet>(
      outriggerResources.sidecarSets,
      aSidecarSet({
        name,
        matchLabels: { app: name },
        annotations: { [sidecarSetAnnotations.failurePolicy]: 'Ignore' },
        spec: { containers: [aContainer({ name: 'agent' })] },
      }),
    )
    await eventually(
      'a SidecarSet that is known',
      async () =>
        (await admin.get<SidecarSet>(outriggerResources.sidecarSets, key)).status?.observedGeneration === 1,
      { ...cluster, timeout: patience },
    )
    await stopManager()
    // Time stamps are whole seconds, and only younger pods can have been missed.
    await clock.sleep(2_100)
    await create(resource, name, 3, { staysOnNodes: true })
    const before = await until(
      'three pods without sidecars',
      name,
      (pods) => pods.length === 3 && pods.every(isReady),
    )
    expect(before.some(hasSidecar)).toBe(false)

    await startManager({ evictsMissedPods: true })
    await admin.patch<SidecarSet>(outriggerResources.sidecarSets, key, {
      type: 'merge',
      body: { metadata: { annotations: { [sidecarSetAnnotations.missedPods]: 'evict' } } },
    })
    const after = await until(
      'three pods with sidecars',
      name,
      (pods) => pods.length === 3 && pods.every((pod) => isReady(pod) && hasSidecar(pod)),
    )
    const uids = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.uid)
    expect(uids(after).filter((uid) => uids(before).includes(uid))).toEqual([])
    const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name).sort()
    if (keepsNames) expect(names(after)).toEqual(names(before))
    for (const { metadata } of after) expect(metadata.labels).not.toHaveProperty('pod-template-hash')
  }, 240_000)

  it('that overflow to a virtual node are replaced by pods that have their sidecars from the start', async () => {
    const { admin } = cluster
    const name = `${app}-overflow`
    await stopManager()
    await startManager({ replacesOverflowPods: true })
    await admin.create<SidecarSet>(
      outriggerResources.sidecarSets,
      aSidecarSet({
        name,
        matchLabels: { app: name, [virtualLabel]: 'true' },
        spec: { containers: [aContainer({ name: 'agent' })] },
      }),
    )
    await cordon('node-1', true)
    await create(resource, name, 3)
    const pods = await until(
      'three pods with sidecars on the virtual node',
      name,
      (list) => list.length === 3 && list.every((pod) => isReady(pod) && hasSidecar(pod)),
    )
    for (const { metadata, spec } of pods) {
      expect(spec.nodeName).toBe('virtual-1')
      expect(metadata.labels?.[virtualLabel]).toBe('true')
      expect(metadata.annotations?.['outrigger.dev/replaces-pod']).toMatch(
        keepsNames ? `${metadata.name}/` : '/',
      )
    }
    await cordon('node-1', false)
  }, 240_000)
})

const hasSidecar = ({ spec }: Pod) => spec.containers.some(({ name }) => name === 'agent')
const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false

async function create(
  resource: typeof cloneSets,
  name: string,
  replicas: number,
  { staysOnNodes = false } = {},
): Promise<void> {
  await cluster.admin.create<Workload>(resource, {
    apiVersion: `${resource.group}/${resource.version}`,
    kind: resource.kind,
    metadata: { name, namespace },
    spec: {
      replicas,
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 1,
          ...(!staysOnNodes && { tolerations: [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }] }),
          containers: [aContainer()],
        },
      },
    },
  } as Workload)
}

async function startManager(
  settings: Pick<ManagerOptions, 'evictsMissedPods' | 'replacesOverflowPods'>,
): Promise<void> {
  const { clock, random, logger } = cluster
  const serving = await cluster.issue({
    commonName: 'webhook',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  })
  const manager = createManager({
    ...{ clock, random, logger, ...settings },
    client: await cluster.client({ name: managerUser, groups: ['system:masters'] }),
    userName: managerUser,
    identity: random.uuid(),
    leaderElection: false,
    webhook: {
      listen: { host: '127.0.0.1', port: 0 },
      target: (port) => ({ url: `https://127.0.0.1:${port}` }),
      certificate: fixedCertificate(serving, cluster.certificateAuthority),
    },
  })
  const stop = new AbortController()
  const ended = manager.run(stop.signal)
  await manager.ready
  stopManager = async () => {
    stop.abort()
    await ended
  }
}

async function cordon(name: string, unschedulable: boolean): Promise<void> {
  const key = { namespace: '', name }
  await cluster.admin.patch(resources.nodes, key, { type: 'merge', body: { spec: { unschedulable } } })
}
