import { outriggerResources, type SidecarContainer, type SidecarSet } from '@outrigger/api'
import {
  type Container,
  type Deployment,
  type Draft,
  type Event,
  type Labels,
  type Namespace,
  type Pod,
  type PodDisruptionBudget,
  resources,
  type StatefulSet,
} from '@outrigger/kube'
import {
  aContainer,
  aDeployment,
  aNamespace,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
  type TestClusterOptions,
} from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { untilInjected } from './until-injected.ts'

const { sidecarSets } = outriggerResources
const namespace = 'default'
const small = { requests: { cpu: '50m', memory: '32Mi' }, limits: { memory: '32Mi' } }
const large = { requests: { cpu: '80m', memory: '48Mi' }, limits: { memory: '48Mi' } }

let cluster: TestCluster

const until = <T>(what: string, ask: () => Promise<T | undefined | false>, timeout = 60_000) =>
  eventually(what, ask, { clock: cluster.clock, timeout, every: 100 })
const podsOf = async (app: string) =>
  (await cluster.admin.list<Pod>(resources.pods, { namespace, labelSelector: `app=${app}` })).items.filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  )
const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
const sidecarOf = ({ spec }: Pod, name = 'agent'): Container | undefined =>
  [...spec.containers, ...(spec.initContainers ?? [])].find((container) => container.name === name)
const statusOf = ({ status }: Pod, name = 'agent') =>
  [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].find(
    (one) => one.name === name,
  )
const uidsOf = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.uid).sort()

/** Contents are recorded in the manager's own namespace. */
async function start(options: TestClusterOptions): Promise<void> {
  cluster = await startTestCluster(options)
  await cluster.admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
}

/** A SidecarSet for the pods of `app`, and its pods, all of them ready. */
async function begin(app: string, set: Draft<SidecarSet>, workload: Draft<Deployment | StatefulSet>) {
  await cluster.admin.create<SidecarSet>(sidecarSets, set)
  const [first] = [...(set.spec.containers ?? []), ...(set.spec.initContainers ?? [])]
  await untilInjected(cluster.admin, first?.name ?? '', { namespace, labels: { app } })
  const resource = workload.kind === 'Deployment' ? resources.deployments : resources.statefulSets
  await cluster.admin.create(resource, workload)
  return until(`the pods of ${app}`, async () => {
    const pods = await podsOf(app)
    return pods.length === (workload.spec.replicas ?? 1) && pods.every(isReady) && pods
  })
}

function setFor(
  app: string,
  annotations: Record<string, string>,
  {
    container = {},
    spec = {},
  }: { container?: Partial<SidecarContainer>; spec?: Partial<SidecarSet['spec']> } = {},
): Draft<SidecarSet> {
  return aSidecarSet({
    name: app,
    annotations,
    matchLabels: { app },
    spec: {
      containers: [aContainer({ name: 'agent', image: 'agent:1', resources: small, ...container })],
      ...spec,
    },
  })
}

const release = (name: string, spec: Partial<SidecarSet['spec']>) =>
  cluster.admin.patch<SidecarSet>(sidecarSets, { namespace: '', name }, { type: 'merge', body: { spec } })
const containers = (...changes: Partial<SidecarContainer>[]) => ({
  containers: changes.map((change) =>
    aContainer({ name: 'agent', image: 'agent:1', resources: small, ...change }),
  ),
})
const stopUntil = (name: string, text: string) =>
  until(`a word about ${name}`, async () => {
    const { status } = await cluster.admin.get<SidecarSet>(sidecarSets, { namespace: '', name })
    const condition = status?.conditions?.find(({ type }) => type === 'Progressing')
    return condition?.message.includes(text) && condition
  })
const quick = { terminationGracePeriodSeconds: 1 }

describe('by the class of a change, pods', () => {
  beforeAll(async () => {
    await start({ manager: { recreatesPods: true } })
  })
  afterAll(() => cluster?.stop())

  test('are resized in place, plain and native sidecars alike, and images follow', async () => {
    const native = (resourcesOf: object) => [
      aContainer({ name: 'net', image: 'net:1', restartPolicy: 'Always', resources: resourcesOf }),
    ]
    const set = setFor(
      'resized',
      {
        'outrigger.dev/on-resources-change': 'Resize',
        'outrigger.dev/update-native-sidecars': 'true',
      },
      { spec: { initContainers: native(small) } },
    )
    const before = await begin('resized', set, aDeployment({ name: 'resized', replicas: 3, spec: quick }))
    const starts = before.map((pod) => statusOf(pod, 'net')?.containerID).sort()
    await release('resized', {
      ...containers({ resources: large, image: 'agent:2' }),
      initContainers: native(large),
    })
    const after = await until('new amounts and images', async () => {
      const pods = await podsOf('resized')
      const isDone = (pod: Pod) =>
        statusOf(pod)?.image?.endsWith('agent:2') &&
        statusOf(pod)?.resources?.limits?.['memory'] === '48Mi' &&
        statusOf(pod, 'net')?.resources?.limits?.['memory'] === '48Mi' &&
        pod.metadata.annotations?.['outrigger.dev/sidecar-resize'] === undefined
      return pods.every(isDone) && pods
    })
    expect(uidsOf(after)).toEqual(uidsOf(before))
    expect(after.map((pod) => sidecarOf(pod)?.resources)).toEqual([large, large, large])
    expect(after.map((pod) => statusOf(pod, 'net')?.containerID).sort()).toEqual(starts)
    expect(after.map((pod) => statusOf(pod, 'net')?.restartCount)).toEqual([0, 0, 0])
    await until('a status that says so', async () => {
      const { status } = await cluster.admin.get<SidecarSet>(sidecarSets, { namespace: '', name: 'resized' })
      return status?.updatedReadyPods === 3
    })
  })

  test('stay as they are, image and all, where the API server refuses their resize', async () => {
    // Without any amounts a pod is of another class of service than with some.
    const set = setFor(
      'refused',
      { 'outrigger.dev/on-resources-change': 'Resize' },
      { container: { resources: {} } },
    )
    const before = await begin('refused', set, aDeployment({ name: 'refused', replicas: 2, spec: quick }))
    await release('refused', containers({ resources: large, image: 'agent:2' }))
    const condition = await stopUntil('refused', 'Pod QOS Class may not change')
    expect(condition).toMatchObject({ reason: 'PodsRefused' })
    const after = await podsOf('refused')
    expect(after.map((pod) => sidecarOf(pod)?.image)).toEqual(['agent:1', 'agent:1'])
    expect(after.map(({ metadata }) => metadata.annotations)).toEqual(
      before.map(({ metadata }) => metadata.annotations),
    )
    const { items: events } = await cluster.admin.list<Event>(resources.events, { namespace })
    expect(events.some(({ reason }) => reason === 'SidecarResizeFailed')).toBe(true)
  })

  test('get back what they had where their node has no room', async () => {
    const set = setFor('crowded', { 'outrigger.dev/on-resources-change': 'Resize' })
    const [before] = await begin('crowded', set, aDeployment({ name: 'crowded', replicas: 1, spec: quick }))
    await release(
      'crowded',
      containers({ resources: { ...large, requests: { cpu: '100', memory: '48Mi' } } }),
    )
    await stopUntil('crowded', 'to be resized')
    const [after] = await podsOf('crowded')
    expect(after && sidecarOf(after)?.resources).toEqual(before && sidecarOf(before)?.resources)
    expect(after?.metadata.uid).toBe(before?.metadata.uid)
    // The newest content wins: what fits is done.
    await release('crowded', containers({ resources: large }))
    await until('amounts that fit', async () => {
      const [pod] = await podsOf('crowded')
      return pod !== undefined && statusOf(pod)?.resources?.limits?.['memory'] === '48Mi'
    })
  })

  test('are made anew within maxUnavailable and past no disruption budget', async () => {
    const app = 'renewed'
    const set = setFor(
      app,
      { 'outrigger.dev/on-other-change': 'Recreate' },
      { spec: { updateStrategy: { maxUnavailable: 3 } } },
    )
    await cluster.admin.create<PodDisruptionBudget>(resources.podDisruptionBudgets, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: app, namespace },
      spec: { minAvailable: 5, selector: { matchLabels: { app } } },
    } as PodDisruptionBudget)
    const before = await begin(app, set, aDeployment({ name: app, replicas: 6, spec: quick }))
    await until('a counted budget', async () => {
      const { status } = await cluster.admin.get<PodDisruptionBudget>(resources.podDisruptionBudgets, {
        namespace,
        name: app,
      })
      return status?.disruptionsAllowed === 1
    })
    let fewest = before.length
    await release(app, containers({ env: [{ name: 'LEVEL', value: 'debug' }], image: 'agent:2' }))
    const after = await until(
      'new pods',
      async () => {
        const pods = await podsOf(app)
        fewest = Math.min(fewest, pods.filter(isReady).length)
        const isNew = (pod: Pod) =>
          sidecarOf(pod)?.env?.some(({ name }) => name === 'LEVEL') && sidecarOf(pod)?.image === 'agent:2'
        return pods.length === 6 && pods.every((pod) => isReady(pod) && isNew(pod)) && pods
      },
      120_000,
    )
    expect(fewest).toBeGreaterThanOrEqual(5)
    expect(uidsOf(after).filter((uid) => uidsOf(before).includes(uid))).toEqual([])
    const { items: events } = await cluster.admin.list<Event>(resources.events, { namespace })
    expect(events.filter(({ reason }) => reason === 'RecreatedForSidecars')).toHaveLength(6)
  })

  test('of a StatefulSet keep their names', async () => {
    const app = 'named'
    const labels: Labels = { app }
    const workload: Draft<StatefulSet> = {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: app, namespace },
      spec: {
        replicas: 2,
        serviceName: app,
        selector: { matchLabels: { app } },
        template: { metadata: { labels: { ...labels } }, spec: { containers: [aContainer()], ...quick } },
      },
    }
    const before = await begin(app, setFor(app, { 'outrigger.dev/on-other-change': 'Recreate' }), workload)
    await release(app, containers({ env: [{ name: 'LEVEL', value: 'debug' }] }))
    const after = await until('new pods', async () => {
      const pods = await podsOf(app)
      return (
        pods.length === 2 && pods.every((pod) => isReady(pod) && sidecarOf(pod)?.env?.length === 2) && pods
      )
    })
    expect(after.map(({ metadata }) => metadata.name)).toEqual(before.map(({ metadata }) => metadata.name))
    expect(uidsOf(after)).not.toEqual(uidsOf(before))
  })

  test('stay where injection would not give new ones the content', async () => {
    const app = 'paused'
    const before = await begin(
      app,
      setFor(app, { 'outrigger.dev/on-other-change': 'Recreate' }),
      aDeployment({ name: app, replicas: 1, spec: quick }),
    )
    await release(app, {
      ...containers({ env: [{ name: 'LEVEL', value: 'debug' }] }),
      injectionStrategy: { paused: true },
    })
    await stopUntil(app, 'injectionStrategy.paused')
    expect(uidsOf(await podsOf(app))).toEqual(uidsOf(before))
  })

  test('of SidecarSets with words that nobody knows are never made', async () => {
    const wrong = setFor('wrong', { 'outrigger.dev/on-image-change': 'Restart' })
    await expect(cluster.admin.create<SidecarSet>(sidecarSets, wrong)).rejects.toMatchObject({
      code: 422,
      message: expect.stringContaining('supported values: "InPlace", "Recreate", "Wait"'),
    })
  })
})

describe('on a cluster that cannot resize', () => {
  beforeAll(async () => {
    await start({ emulatedRelease: 30 })
  })
  afterAll(() => cluster?.stop())

  test('pods wait, and the SidecarSet says why; without the right to evict as well', async () => {
    const set = setFor('waiting', {
      'outrigger.dev/on-resources-change': 'Resize',
      'outrigger.dev/on-other-change': 'Recreate',
    })
    const before = await begin('waiting', set, aDeployment({ name: 'waiting', replicas: 1, spec: quick }))
    await release('waiting', containers({ resources: large, image: 'agent:2' }))
    await stopUntil('waiting', 'this Kubernetes cannot resize pods in place')
    await release('waiting', containers({ env: [{ name: 'LEVEL', value: 'debug' }] }))
    await stopUntil('waiting', '--recreate-pods')
    const after = await podsOf('waiting')
    expect(uidsOf(after)).toEqual(uidsOf(before))
    expect(after.map((pod) => sidecarOf(pod)?.image)).toEqual(['agent:1'])
  })
})
