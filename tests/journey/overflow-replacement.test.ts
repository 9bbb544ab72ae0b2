import { outriggerResources, type SidecarSet } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
import {
  type Deployment,
  type Draft,
  type EventList,
  type Job,
  type Pod,
  resources,
  type StatefulSet,
} from '@outrigger/kube'
import { createManager } from '@outrigger/operator'
import { aContainer, aSidecarSet, eventually, startTestCluster, type TestCluster } from '@outrigger/testkit'
import { fixedCertificate } from '@outrigger/webhook'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const virtualLabel = 'serverless.alibabacloud.com/virtual-node'
const namespace = 'default'
const managerUser = 'outrigger-manager'
const template = (app: string, restartPolicy: 'Always' | 'Never' = 'Always') => ({
  metadata: { labels: { app } },
  spec: {
    restartPolicy,
    tolerations: [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' as const }],
    containers: [aContainer({ command: ['sleep', '99999'] })],
  },
})

let cluster: TestCluster
let manager: { stop(): Promise<void> } | undefined

beforeAll(async () => {
  // As any stock API server: containers cannot be added to a pod.
  cluster = await startTestCluster({ featureGates: { SidecarSetServerlessPod: false }, hasManager: false })
  await startManager(false)
  await cluster.admin.create<SidecarSet>(
    outriggerResources.sidecarSets,
    aSidecarSet({
      name: 'agent',
      matchLabels: { [virtualLabel]: 'true' },
      spec: { containers: [aContainer({ name: 'agent', command: ['sleep', '99999'] })] },
    }),
  )
  await cordon('node-1', true)
})

afterAll(async () => {
  await manager?.stop()
  await cluster.stop()
})

describe('on an API server that adds no containers, pods that overflow to a virtual node', () => {
  let first: readonly Pod[]

  test('wait and say what helps, and none is deleted, unless it was asked for', async () => {
    await cluster.admin.create<Deployment>(resources.deployments, aDeployment('web', 4))
    await cluster.admin.create<StatefulSet>(resources.statefulSets, aStatefulSet())
    await cluster.admin.create<Job>(resources.jobs, aJob())
    first = await podsOf('web', (pods) => pods.length === 4 && pods.every(isBound))
    const message = await eventOn(first[0]?.metadata.name ?? '', 'VirtualNodeLabelRefused')
    expect(message).toContain('pod updates may not add or remove containers')
    expect(message).toContain('--replace-overflow-pods')
    expect(message).toContain('alibabacloud.com/eci: "true" in the pod template')
    await cluster.clock.sleep(2_000)
    expect(uidsOf(await podsOf('web'))).toEqual(uidsOf(first))
    expect((await podsOf('web')).map(({ status }) => status?.phase)).toEqual(Array(4).fill('Pending'))
  })

  test('are replaced by pods that have their sidecars from the start, where it was', async () => {
    await manager?.stop()
    await startManager(true)
    const pods = await podsOf('web', (list) => list.length === 4 && list.every(runsWithSidecar))
    expect(pods.map((pod) => pod.metadata.annotations?.['outrigger.dev/replaces-pod']).sort()).toEqual(
      first.map(({ metadata }) => `${metadata.name}/${metadata.uid}`).sort(),
    )
    await podsOf('db', (list) => list.length === 2 && list.every(runsWithSidecar))
    expect(await eventOn(first[0]?.metadata.name ?? '', 'PodReplacedForSidecars')).toContain(
      'deleted before it started, so that ReplicaSet web-',
    )
  })

  test('wait all the same if they are of a Job, which would count a failure', async () => {
    const [pod] = await podsOf('once', (pods) => pods.length === 1)
    const message = await eventOn(pod?.metadata.name ?? '', 'SidecarsNeedReplacement')
    expect(message).toContain('Job once would count the deleted pod as a failure')
    expect(uidsOf(await podsOf('once'))).toEqual(uidsOf(pod ? [pod] : []))
  })

  test('are replaced once each, also by a manager that was stopped in the middle', async () => {
    await cluster.admin.create<Deployment>(resources.deployments, aDeployment('burst', 12))
    const uids = new Set<string>()
    const watching = new AbortController()
    const watched = recordUids('burst', uids, watching.signal)
    await podsOf('burst', (pods) => pods.some(hasMark))
    await manager?.stop()
    await startManager(true)
    await podsOf('burst', (pods) => pods.length === 12 && pods.every(runsWithSidecar), 60_000)
    watching.abort()
    await watched
    // Each of the twelve and its replacement. The manager may be away while one is created, which then comes round again.
    expect(uids.size).toBeLessThanOrEqual(26)
  })

  test('take no other pods of their owner along', async () => {
    await cordon('node-1', false)
    await cordon('virtual-1', true)
    await cluster.admin.patch(
      resources.deployments,
      { namespace, name: 'web' },
      { type: 'merge', body: { spec: { replicas: 6 } } },
    )
    const pods = await podsOf('web', (list) => list.length === 6 && list.every(isRunning))
    const added = pods.filter(({ spec }) => spec.nodeName === 'node-1')
    expect(added).toHaveLength(2)
    for (const { spec } of added) expect(spec.nodeSelector).toBeUndefined()
  })
})

async function startManager(replacesOverflowPods: boolean): Promise<void> {
  const serving = await cluster.issue({
    commonName: 'webhook',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  })
  const client: ClusterClient = await cluster.client({ name: managerUser, groups: ['system:masters'] })
  const { clock, random, logger } = cluster
  const running = createManager({
    ...{ clock, random, logger, client, replacesOverflowPods },
    userName: managerUser,
    identity: random.uuid(),
    leaderElection: false,
    webhook: {
      listen: { host: '127.0.0.1', port: 0 },
      target: (port) => ({ url: `https://127.0.0.1:${port}` }),
      certificate: fixedCertificate(serving, cluster.certificateAuthority),
    },
  })
  const stopping = new AbortController()
  const ended = running.run(stopping.signal)
  await running.ready
  manager = {
    async stop() {
      stopping.abort()
      await ended
    },
  }
}

function aDeployment(name: string, replicas: number): Draft<Deployment> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name) },
  }
}

function aStatefulSet(): Draft<StatefulSet> {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace },
    spec: {
      replicas: 2,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: template('db'),
    },
  }
}

function aJob(): Draft<Job> {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'once', namespace },
    spec: { template: template('once', 'Never') },
  }
}

const uidsOf = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.uid).sort()
const isBound = ({ spec }: Pod) => Boolean(spec.nodeName)
const isRunning = ({ status }: Pod) => status?.phase === 'Running'
const hasMark = ({ metadata }: Pod) => 'outrigger.dev/replaced-for-sidecars' in (metadata.annotations ?? {})
const runsWithSidecar = (pod: Pod) =>
  isRunning(pod) &&
  pod.metadata.labels?.[virtualLabel] === 'true' &&
  pod.spec.containers.map(({ name }) => name).join() === 'agent,main'

async function listOf(app: string): Promise<readonly Pod[]> {
  const { items } = await cluster.admin.list<Pod>(resources.pods, { namespace, labelSelector: `app=${app}` })
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
}

function podsOf(
  app: string,
  isDone: (pods: readonly Pod[]) => boolean = () => true,
  timeout = 30_000,
): Promise<readonly Pod[]> {
  return eventually(
    `the pods of ${app}`,
    async () => {
      const pods = await listOf(app)
      return isDone(pods) ? pods : undefined
    },
    { clock: cluster.clock, timeout },
  )
}

async function eventOn(name: string, reason: string): Promise<string> {
  const events = await eventually(
    `the event ${reason}`,
    async () => {
      const list: EventList = await cluster.admin.list(resources.events, {
        namespace,
        fieldSelector: `involvedObject.kind=Pod,involvedObject.name=${name},reason=${reason}`,
      })
      return list.items.length > 0 && list.items
    },
    { clock: cluster.clock },
  )
  return events[0]?.message ?? ''
}

/** Keeps asking who is there. A replacement lives on, so none is missed. */
async function recordUids(app: string, uids: Set<string>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const { metadata } of await listOf(app)) if (metadata.uid) uids.add(metadata.uid)
    await cluster.clock.sleep(50, signal).catch(() => {})
  }
}

async function cordon(name: string, unschedulable: boolean): Promise<void> {
  await cluster.admin.patch(
    resources.nodes,
    { namespace: '', name },
    { type: 'merge', body: { spec: { unschedulable } } },
  )
}
