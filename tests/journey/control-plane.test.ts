import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ApiError } from '@outrigger/client'
import {
  type ConfigMap,
  type CronJob,
  type DaemonSet,
  type Deployment,
  type EndpointSlice,
  type Job,
  type KubeObject,
  keyOf,
  type Node,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  type ReplicaSet,
  type ResourceQuota,
  resources,
  type Service,
  type StatefulSet,
} from '@outrigger/kube'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SmallCluster, startSmallCluster } from './small-cluster.ts'

let cluster: SmallCluster
let folder: string

beforeAll(async () => {
  cluster = await startSmallCluster(['one', 'two'])
  folder = await mkdtemp(join(tmpdir(), 'outrigger-journey-'))
  await writeFile(join(folder, 'ca.crt'), cluster.authority)
})

afterAll(async () => {
  await cluster.stop()
  await rm(folder, { recursive: true })
})

const run = promisify(execFile)

async function kubectl(...words: readonly string[]): Promise<string> {
  const { stdout } = await run(
    'kubectl',
    [
      `--server=${cluster.url}`,
      `--token=${cluster.token}`,
      `--certificate-authority=${join(folder, 'ca.crt')}`,
      ...words,
    ],
    { env: { PATH: process.env['PATH'] ?? '', HOME: folder, KUBECONFIG: join(folder, 'none') } },
  )
  return stdout.trim()
}

/** A namespace of its own for each story. */
async function aNamespace(name: string): Promise<string> {
  await cluster.client.create(resources.namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name },
  })
  return name
}

function aTemplate(app: string, annotations: Record<string, string> = {}, restartPolicy?: 'Never') {
  return {
    metadata: { labels: { app }, annotations },
    spec: {
      containers: [{ name: 'main', image: 'shop:1', ports: [{ name: 'http', containerPort: 8080 }] }],
      ...(restartPolicy && { restartPolicy }),
    },
  }
}

function aDeployment(namespace: string, name: string, replicas: number) {
  return cluster.client.create<Deployment>(resources.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: { replicas, selector: { matchLabels: { app: name } }, template: aTemplate(name) },
  })
}

function aJob(namespace: string, name: string, spec: Partial<Job['spec']>, exitCode = '0') {
  const template = aTemplate(name, { 'exit-code': exitCode }, 'Never')
  return cluster.client.create<Job>(resources.jobs, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace },
    spec: { template, ...spec },
  })
}

const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name).sort()
const isAvailable = (replicas: number) => (deployment: Deployment) =>
  deployment.status?.availableReplicas === replicas &&
  deployment.status.observedGeneration === deployment.metadata.generation
const has = (type: string) => (job: Job) =>
  job.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true

describe('a Deployment', () => {
  test('rolls out, scales and goes back, as kubectl asks it to', async () => {
    const namespace = await aNamespace('rollout')
    await aDeployment(namespace, 'web', 3)
    expect(await kubectl('-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=20s')).toContain(
      'deployment "web" successfully rolled out',
    )
    await kubectl('-n', namespace, 'set', 'image', 'deployment/web', 'main=shop:2')
    await kubectl('-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=20s')
    expect(await kubectl('-n', namespace, 'rollout', 'history', 'deployment/web')).toMatch(/1 .*\n2 /)

    await kubectl('-n', namespace, 'scale', 'deployment/web', '--replicas=5')
    await cluster.until(resources.deployments, `${namespace}/web`, isAvailable(5))
    await kubectl('-n', namespace, 'rollout', 'undo', 'deployment/web')
    await kubectl('-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=20s')

    const pods = await cluster.untilList<Pod>(resources.pods, namespace, (all) => all.length === 5)
    expect(new Set(pods.map((pod) => pod.spec.containers[0]?.image))).toEqual(new Set(['shop:1']))
    const sets = await cluster.list<ReplicaSet>(resources.replicaSets, namespace)
    const sizes = sets.map((set) => set.spec.replicas).sort()
    expect(sizes).toEqual([0, 5])
  })

  test('takes its pods along, waits for them in the foreground, or leaves them to its successor', async () => {
    const namespace = await aNamespace('deletion')
    const key = { namespace, name: 'web' }
    await aDeployment(namespace, 'web', 2)
    await cluster.until(resources.deployments, `${namespace}/web`, isAvailable(2))

    await cluster.client.delete(resources.deployments, key, { propagationPolicy: 'Orphan' })
    await cluster.untilGone(resources.deployments, `${namespace}/web`)
    const orphans = await cluster.list<Pod>(resources.pods, namespace)
    expect(orphans).toHaveLength(2)

    await aDeployment(namespace, 'web', 2)
    await cluster.until(resources.deployments, `${namespace}/web`, isAvailable(2))
    expect(names(await cluster.list(resources.pods, namespace))).toEqual(names(orphans))

    await cluster.client.delete(resources.deployments, key, { propagationPolicy: 'Foreground' })
    await cluster.untilGone(resources.deployments, `${namespace}/web`)
    expect(await cluster.list(resources.replicaSets, namespace)).toEqual([])
    expect(await cluster.list(resources.pods, namespace)).toEqual([])

    await aDeployment(namespace, 'web', 2)
    await cluster.until(resources.deployments, `${namespace}/web`, isAvailable(2))
    await kubectl('-n', namespace, 'delete', 'deployment', 'web', '--cascade=background')
    await cluster.untilList(resources.pods, namespace, (pods) => pods.length === 0)
  })
})

describe('a namespace', () => {
  test('gets its account and the CA, again when somebody removes them', async () => {
    const namespace = await aNamespace('furnished')
    await cluster.until(resources.serviceAccounts, `${namespace}/default`, () => true)
    const isOurs = (map: ConfigMap) => map.data?.['ca.crt'] === cluster.authority
    await cluster.until<ConfigMap>(resources.configMaps, `${namespace}/kube-root-ca.crt`, isOurs)
    await cluster.client.delete(resources.configMaps, { namespace, name: 'kube-root-ca.crt' })
    await cluster.client.delete(resources.serviceAccounts, { namespace, name: 'default' })
    await cluster.until<ConfigMap>(resources.configMaps, `${namespace}/kube-root-ca.crt`, isOurs)
    await cluster.until(resources.serviceAccounts, `${namespace}/default`, () => true)
  })

  test('is emptied before it goes', async () => {
    const namespace = await aNamespace('doomed')
    await aDeployment(namespace, 'web', 2)
    await aJob(namespace, 'sum', {})
    await cluster.until(resources.deployments, `${namespace}/web`, isAvailable(2))
    await kubectl('delete', 'namespace', namespace, '--timeout=20s')
    await cluster.untilGone(resources.namespaces, namespace)
    expect(await cluster.list(resources.pods, namespace)).toEqual([])
  })
})

describe('a Job', () => {
  test('counts each pod once and lets it go', async () => {
    const namespace = await aNamespace('jobs')
    await aJob(namespace, 'sum', { completions: 5, parallelism: 2 })
    const done = await cluster.until<Job>(resources.jobs, `${namespace}/sum`, has('Complete'))
    expect(done.status).toMatchObject({ succeeded: 5, ready: 0, terminating: 0, uncountedTerminatedPods: {} })
    expect(done.status?.conditions?.map(({ type }) => type)).toEqual(['SuccessCriteriaMet', 'Complete'])
    const pods = await cluster.list<Pod>(resources.pods, namespace)
    expect(pods).toHaveLength(5)
    expect(pods.flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([])
    expect(await kubectl('-n', namespace, 'get', 'job', 'sum', '--no-headers')).toMatch(/Complete +5\/5/)
  })

  test('hands out indexes', async () => {
    const namespace = await aNamespace('indexed')
    await aJob(namespace, 'shards', { completions: 4, parallelism: 3, completionMode: 'Indexed' })
    const done = await cluster.until<Job>(resources.jobs, `${namespace}/shards`, has('Complete'))
    expect(done.status?.completedIndexes).toBe('0-3')
    const pods = await cluster.list<Pod>(resources.pods, namespace)
    expect(pods.map((pod) => pod.spec.hostname).sort()).toEqual([
      'shards-0',
      'shards-1',
      'shards-2',
      'shards-3',
    ])
  })

  test('fails at its backoff limit or by its failure policy', async () => {
    const namespace = await aNamespace('failing')
    await aJob(namespace, 'bad', { backoffLimit: 0 }, '3')
    const failed = await cluster.until<Job>(resources.jobs, `${namespace}/bad`, has('Failed'))
    expect(failed.status?.failed).toBe(1)
    expect(failed.status?.conditions?.map(({ type, reason }) => [type, reason])).toEqual([
      ['FailureTarget', 'BackoffLimitExceeded'],
      ['Failed', 'BackoffLimitExceeded'],
    ])
    const rules = [{ action: 'FailJob' as const, onExitCodes: { operator: 'In' as const, values: [42] } }]
    await aJob(namespace, 'fatal', { backoffLimit: 6, podFailurePolicy: { rules } }, '42')
    const fatal = await cluster.until<Job>(resources.jobs, `${namespace}/fatal`, has('Failed'))
    expect(fatal.status?.conditions?.at(-1)?.reason).toBe('PodFailurePolicy')
  })

  test('sleeps while suspended and disappears when its time is over', async () => {
    const namespace = await aNamespace('suspended')
    await aJob(namespace, 'later', { suspend: true, ttlSecondsAfterFinished: 0 })
    await cluster.until<Job>(resources.jobs, `${namespace}/later`, has('Suspended'))
    expect(await cluster.list(resources.pods, namespace)).toEqual([])
    const key = { namespace, name: 'later' }
    await cluster.client.patch(resources.jobs, key, { type: 'merge', body: { spec: { suspend: false } } })
    await cluster.untilGone(resources.jobs, `${namespace}/later`)
    await cluster.untilList(resources.pods, namespace, (pods) => pods.length === 0)
  })

  test('is made by the clock', async () => {
    const namespace = await aNamespace('clock')
    await cluster.client.create<CronJob>(resources.cronJobs, {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'tick', namespace },
      spec: { schedule: '@every 1s', jobTemplate: { spec: { template: aTemplate('tick', {}, 'Never') } } },
    })
    const isDone = ({ status }: CronJob) => status?.lastSuccessfulTime !== undefined
    await cluster.until(resources.cronJobs, `${namespace}/tick`, isDone)
    const body = { spec: { suspend: true } }
    await cluster.client.patch(resources.cronJobs, { namespace, name: 'tick' }, { type: 'merge', body })
  })
})

describe('a StatefulSet', () => {
  const isFirst = ({ metadata }: Pod) => metadata.name === 'db-0'
  const aSet = (namespace: string, spec: Partial<StatefulSet['spec']>, annotations = {}) =>
    cluster.client.create<StatefulSet>(resources.statefulSets, {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db', namespace },
      spec: {
        replicas: 3,
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        template: aTemplate('db', annotations),
        ...spec,
      },
    })

  test('starts one pod after the other, each with its claim', async () => {
    const namespace = await aNamespace('ordered')
    const claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce' as const], resources: { requests: { storage: '1Gi' } } },
    }
    await aSet(namespace, { volumeClaimTemplates: [claim] }, { hold: 'yes' })
    for (const ordinal of [0, 1, 2]) {
      const pods = await cluster.untilList<Pod>(resources.pods, namespace, (all) => all.length > ordinal)
      expect(names(pods)).toHaveLength(ordinal + 1)
      const body = { metadata: { annotations: { hold: null } } }
      const key = { namespace, name: `db-${ordinal}` }
      await cluster.client.patch(resources.pods, key, { type: 'merge', body })
    }
    const isDone = ({ status }: StatefulSet) => status?.availableReplicas === 3
    await cluster.until(resources.statefulSets, `${namespace}/db`, isDone)
    const claims = await cluster.list<PersistentVolumeClaim>(resources.persistentVolumeClaims, namespace)
    expect(names(claims)).toEqual(['data-db-0', 'data-db-1', 'data-db-2'])
    const pod = await cluster.client.get<Pod>(resources.pods, { namespace, name: 'db-1' })
    expect(pod.spec.hostname).toBe('db-1')
    expect(pod.metadata.labels?.['apps.kubernetes.io/pod-index']).toBe('1')
  })

  test('updates from the top down to its partition, then to the end', async () => {
    const namespace = await aNamespace('partition')
    await aSet(namespace, {
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } },
    })
    const key = `${namespace}/db`
    await cluster.until<StatefulSet>(resources.statefulSets, key, ({ status }) => status?.readyReplicas === 3)
    await kubectl('-n', namespace, 'set', 'image', 'statefulset/db', 'main=shop:2')
    const isPartly = ({ status }: StatefulSet) =>
      status?.updatedReplicas === 1 && status.readyReplicas === 3 && status.currentReplicas === 2
    const partly = await cluster.until<StatefulSet>(resources.statefulSets, key, isPartly)
    expect(partly.status?.currentRevision).not.toBe(partly.status?.updateRevision)
    const images = async () =>
      Object.fromEntries(
        (await cluster.list<Pod>(resources.pods, namespace)).map(({ metadata, spec }) => [
          metadata.name,
          spec.containers[0]?.image,
        ]),
      )
    expect(await images()).toEqual({ 'db-0': 'shop:1', 'db-1': 'shop:1', 'db-2': 'shop:2' })

    // A pod below the partition comes back as it was.
    const [first] = (await cluster.list<Pod>(resources.pods, namespace)).filter(isFirst)
    await cluster.client.delete(resources.pods, { namespace, name: 'db-0' })
    const isBack = (pod: Pod) => pod.metadata.uid !== first?.metadata.uid
    await cluster.until<Pod>(resources.pods, `${namespace}/db-0`, isBack)
    await cluster.until<StatefulSet>(resources.statefulSets, key, isPartly)
    expect((await images())['db-0']).toBe('shop:1')

    const body = { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } }
    await cluster.client.patch(resources.statefulSets, { namespace, name: 'db' }, { type: 'merge', body })
    await kubectl('-n', namespace, 'rollout', 'status', 'statefulset/db', '--timeout=20s')
    expect(new Set(Object.values(await images()))).toEqual(new Set(['shop:2']))

    await kubectl('-n', namespace, 'rollout', 'undo', 'statefulset/db')
    await kubectl('-n', namespace, 'rollout', 'status', 'statefulset/db', '--timeout=20s')
    expect(new Set(Object.values(await images()))).toEqual(new Set(['shop:1']))
  })
})

test('a DaemonSet is on every node that tolerates it, and not on virtual nodes', async () => {
  const namespace = await aNamespace('daemons')
  await cluster.client.create<Node>(resources.nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'virtual' },
    spec: { taints: [{ key: 'virtual-kubelet.io/provider', value: 'alibabacloud', effect: 'NoSchedule' }] },
  })
  await cluster.client.create<DaemonSet>(resources.daemonSets, {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: aTemplate('agent') },
  })
  const isReady = ({ status }: DaemonSet) => status?.numberAvailable === 2
  const set = await cluster.until(resources.daemonSets, `${namespace}/agent`, isReady)
  expect(set.status).toMatchObject({ desiredNumberScheduled: 2, numberMisscheduled: 0 })
  const nodes = async () =>
    (await cluster.list<Pod>(resources.pods, namespace)).map((pod) => pod.spec.nodeName).sort()
  expect(await nodes()).toEqual(['one', 'two'])

  await kubectl('-n', namespace, 'set', 'image', 'daemonset/agent', 'main=shop:2')
  await kubectl('-n', namespace, 'rollout', 'status', 'daemonset/agent', '--timeout=20s')
  const pods = await cluster.untilList<Pod>(resources.pods, namespace, (all) => all.length === 2)
  expect(pods.map((pod) => pod.spec.containers[0]?.image)).toEqual(['shop:2', 'shop:2'])
  await cluster.client.delete(resources.nodes, { namespace: '', name: 'virtual' })
})

test('a Service is behind what its pods can take', async () => {
  const namespace = await aNamespace('endpoints')
  await cluster.client.create<Service>(resources.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace, labels: { tier: 'front' } },
    spec: { selector: { app: 'web' }, ports: [{ name: 'web', port: 80, targetPort: 'http' }] },
  })
  const slices = (isDone: (slice: EndpointSlice) => boolean) =>
    cluster.untilList<EndpointSlice>(
      resources.endpointSlices,
      namespace,
      (all) => all.length === 1 && all.every(isDone),
    )
  await slices(({ endpoints }) => (endpoints ?? []).length === 0)
  await aDeployment(namespace, 'web', 3)
  const [slice] = await slices(
    ({ endpoints }) =>
      endpoints?.length === 3 && endpoints.every(({ conditions }) => conditions?.ready === true),
  )
  expect(slice?.ports).toEqual([{ name: 'web', port: 8080, protocol: 'TCP' }])
  expect(slice?.metadata.labels).toMatchObject({ tier: 'front', 'kubernetes.io/service-name': 'web' })
  expect(
    await kubectl('-n', namespace, 'get', 'endpoints', 'web', '-o', 'jsonpath={.subsets[*].addresses[*].ip}'),
  ).toMatch(/^\S+ \S+ \S+$/)
  await kubectl('-n', namespace, 'scale', 'deployment/web', '--replicas=1')
  await slices(({ endpoints }) => endpoints?.length === 1)
  await kubectl('-n', namespace, 'delete', 'service', 'web')
  await cluster.untilList(resources.endpointSlices, namespace, (all) => all.length === 0)
  await cluster.untilGone(resources.endpoints, `${namespace}/web`)
})

test('a PodDisruptionBudget lets one pod go at a time', async () => {
  const namespace = await aNamespace('budget')
  await aDeployment(namespace, 'web', 3)
  await cluster.client.create<PodDisruptionBudget>(resources.podDisruptionBudgets, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web', namespace },
    spec: { maxUnavailable: 0, selector: { matchLabels: { app: 'web' } } },
  })
  const counted = (isDone: (status: NonNullable<PodDisruptionBudget['status']>) => boolean) =>
    cluster.until<PodDisruptionBudget>(
      resources.podDisruptionBudgets,
      `${namespace}/web`,
      ({ status }) => status !== undefined && isDone(status),
    )
  await counted(({ currentHealthy, desiredHealthy }) => currentHealthy === 3 && desiredHealthy === 3)
  const [pod] = await cluster.list<Pod>(resources.pods, namespace)
  if (pod === undefined) throw new Error('there is no pod')
  const evict = () =>
    cluster.client.createSubresource(resources.pods, { namespace, name: pod.metadata.name }, 'eviction', {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { namespace, name: pod.metadata.name },
    })
  const refusal = await evict().catch((error: unknown) => error)
  expect(refusal instanceof ApiError && refusal.code).toBe(429)

  const body = { spec: { maxUnavailable: 1 } }
  await cluster.client.patch(
    resources.podDisruptionBudgets,
    { namespace, name: 'web' },
    { type: 'merge', body },
  )
  await counted(({ disruptionsAllowed }) => disruptionsAllowed === 1)
  await evict()
  await cluster.untilGone(resources.pods, keyOf(pod))
  await counted(({ currentHealthy, disruptionsAllowed }) => currentHealthy === 3 && disruptionsAllowed === 1)
})

test('a ResourceQuota gives back what has gone', async () => {
  const namespace = await aNamespace('quota')
  await cluster.client.create<ResourceQuota>(resources.resourceQuotas, {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'few', namespace },
    spec: { hard: { pods: '2', 'count/deployments.apps': '5' } },
  })
  const used = (pods: string) =>
    cluster.until<ResourceQuota>(
      resources.resourceQuotas,
      `${namespace}/few`,
      ({ status }) => status?.used?.['pods'] === pods,
    )
  await used('0')
  await aDeployment(namespace, 'web', 3)
  await cluster.until<ReplicaSet>(
    resources.replicaSets,
    `${namespace}/${(await cluster.untilList(resources.replicaSets, namespace, (all) => all.length === 1))[0]?.metadata.name}`,
    ({ status }) => status?.replicas === 2 && status.conditions?.[0]?.type === 'ReplicaFailure',
  )
  await used('2')
  await kubectl('-n', namespace, 'scale', 'deployment/web', '--replicas=1')
  await used('1')
})

test('a claim that is deleted goes once no pod uses it', async () => {
  const namespace = await aNamespace('claims')
  await cluster.client.create<PersistentVolumeClaim>(resources.persistentVolumeClaims, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  })
  await cluster.client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'user', namespace },
    spec: {
      containers: [{ name: 'main', image: 'busybox' }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
    },
  })
  const key = { namespace, name: 'data' }
  await cluster.until<Pod>(resources.pods, `${namespace}/user`, () => true)
  await cluster.client.delete(resources.persistentVolumeClaims, key)
  await cluster.until<PersistentVolumeClaim>(
    resources.persistentVolumeClaims,
    `${namespace}/data`,
    ({ metadata }) => metadata.deletionTimestamp !== undefined && metadata.finalizers?.length === 1,
  )

  await cluster.client.delete(resources.pods, { namespace, name: 'user' }, { gracePeriodSeconds: 0 })
  await cluster.untilGone(resources.persistentVolumeClaims, `${namespace}/data`)
})
