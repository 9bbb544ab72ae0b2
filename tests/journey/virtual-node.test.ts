import { outriggerResources, type SidecarSet, type SidecarSetResourceBinding } from '@outrigger/api'
import { type Draft, type EventList, type Job, type Pod, resources } from '@outrigger/kube'
import {
  aConfigMap,
  aContainer,
  aNamespace,
  aPod,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const virtualLabel = 'serverless.alibabacloud.com/virtual-node'
const virtualSelector = { [virtualLabel]: 'true' }
const toVirtualNode = {
  nodeSelector: { type: 'virtual-kubelet' },
  tolerations: [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' as const }],
}

const endsWithTheApplication = [
  { name: 'ECI_SIDECAR_CONTAINER', value: 'true' },
  { name: 'ECI_CONTAINER_IGNORE_EXIT_CODE', value: 'true' },
]

let cluster: TestCluster

beforeAll(async () => {
  cluster = await startTestCluster()
  await cluster.admin.create<SidecarSet>(
    outriggerResources.sidecarSets,
    aSidecarSet({
      name: 'agent',
      matchLabels: virtualSelector,
      spec: { containers: [aContainer({ name: 'agent', env: endsWithTheApplication })] },
    }),
  )
})

afterAll(() => cluster.stop())

describe('a pod that is certain to run on a virtual node', () => {
  test.each([
    ['by its label eci', { labels: { 'alibabacloud.com/eci': 'true' } }],
    ['by its label acs', { labels: { 'alibabacloud.com/acs': 'true' } }],
    ['by its node selector', { spec: toVirtualNode }],
  ])('is routed, labelled and injected at creation %s', async (_how, options) => {
    const created = await cluster.admin.create<Pod>(
      resources.pods,
      aPod({ name: aName('certain'), ...options }),
    )

    expect(created.metadata.labels?.[virtualLabel]).toBe('true')
    expect(namesOf(created)).toEqual(['agent', 'main'])
    const running = await runningPod(created.metadata.name)
    expect(running.spec.nodeName).toBe('virtual-1')
    expect(running.status?.containerStatuses?.map((status) => status.ready)).toEqual([true, true])
  })

  test('is so by its namespace', async () => {
    await cluster.admin.create(
      resources.namespaces,
      aNamespace('serverless', { 'alibabacloud.com/eci': 'true' }),
    )
    await eventually(
      'the service account',
      () => cluster.admin.get(resources.serviceAccounts, { namespace: 'serverless', name: 'default' }),
      { clock: cluster.clock },
    )
    const created = await cluster.admin.create<Pod>(
      resources.pods,
      aPod({ name: 'in-namespace', namespace: 'serverless' }),
    )

    expect(namesOf(created)).toEqual(['agent', 'main'])
  })
})

describe('a pod whose destination is open', () => {
  test('gets its sidecar in the update that labels it, once it is bound to a virtual node', async () => {
    await cordon('node-1', true)
    try {
      const created = await cluster.admin.create<Pod>(
        resources.pods,
        aPod({ name: 'overflow', spec: { tolerations: toVirtualNode.tolerations } }),
      )
      expect(namesOf(created)).toEqual(['main'])

      const running = await runningPod('overflow')

      expect(running.metadata.labels?.[virtualLabel]).toBe('true')
      expect(namesOf(running).sort()).toEqual(['agent', 'main'])
      expect(running.metadata.uid).toBe(created.metadata.uid)
    } finally {
      await cordon('node-1', false)
    }
  })

  test('stays as it is on a regular node', async () => {
    await cluster.admin.create<Pod>(resources.pods, aPod({ name: 'at-home' }))
    const running = await runningPod('at-home')

    expect(running.spec.nodeName).toBe('node-1')
    expect(namesOf(running)).toEqual(['main'])
    expect(running.metadata.labels?.[virtualLabel]).toBeUndefined()
  })
})

describe('a reference to another namespace', () => {
  test('is resolved while a binding grants it, and a new pod waits once it is revoked', async () => {
    await cluster.admin.create(
      resources.configMaps,
      aConfigMap({ name: 'shared', namespace: 'kube-system', data: { key: 'from kube-system' } }),
    )
    await cluster.admin.create<SidecarSet>(outriggerResources.sidecarSets, aReader())
    await cluster.admin.create<SidecarSetResourceBinding>(
      outriggerResources.sidecarSetResourceBindings,
      aBinding(),
    )
    const labels = { 'alibabacloud.com/eci': 'true', reads: 'shared' }
    await cluster.admin.create<Pod>(resources.pods, aPod({ name: 'granted', labels }))
    await runningPod('granted')

    await cluster.admin.delete(outriggerResources.sidecarSetResourceBindings, {
      namespace: 'kube-system',
      name: 'reader',
    })
    await cluster.admin.create<Pod>(resources.pods, aPod({ name: 'revoked', labels }))

    const events = await eventually(
      'the event that says why it waits',
      async () => {
        const list: EventList = await cluster.admin.list(resources.events, {
          namespace: 'default',
          fieldSelector: 'involvedObject.name=revoked,reason=SidecarSetResourceNotAuthorized',
        })
        return list.items.length > 0 && list.items
      },
      { clock: cluster.clock },
    )
    expect(events[0]?.message).toContain('SidecarSetResourceBinding in namespace kube-system')
    const waiting = await cluster.admin.get<Pod>(resources.pods, { namespace: 'default', name: 'revoked' })
    expect(waiting.status?.phase).toBe('Pending')
    expect(
      (await cluster.admin.get<Pod>(resources.pods, { namespace: 'default', name: 'granted' })).status?.phase,
    ).toBe('Running')
  })

  test.each([
    ['a volume', { spec: { volumes: [{ name: 'loot', configMap: { name: 'kube-system/shared' } }] } }],
    [
      'a projected volume',
      {
        spec: {
          volumes: [{ name: 'loot', projected: { sources: [{ secret: { name: 'kube-system/token' } }] } }],
        },
      },
    ],
    [
      'the record of an injection',
      {
        labels: { 'alibabacloud.com/eci': 'true' },
        annotations: { 'outrigger.dev/injected-references': '[]' },
      },
    ],
    ['the label of a virtual node', { labels: { [virtualLabel]: 'true' } }],
  ])('written by the author as %s is refused', async (_what, options) => {
    await expect(
      cluster.admin.create<Pod>(resources.pods, aPod({ name: aName('forged'), ...options })),
    ).rejects.toMatchObject({ code: 403 })
  })

  test('cannot be added to a running pod', async () => {
    await cluster.admin.create<Pod>(
      resources.pods,
      aPod({ name: 'patched', labels: { 'alibabacloud.com/eci': 'true' } }),
    )
    await runningPod('patched')
    const patch = {
      type: 'merge',
      body: { metadata: { annotations: { 'outrigger.dev/injected-references': '[{}]' } } },
    } as const

    await expect(
      cluster.admin.patch(resources.pods, { namespace: 'default', name: 'patched' }, patch),
    ).rejects.toMatchObject({ code: 403 })
  })
})

test('a Job ends although its sidecar never would', async () => {
  const job: Draft<Job> = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'count', namespace: 'default' },
    spec: {
      template: {
        metadata: { labels: { 'alibabacloud.com/eci': 'true' } },
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 1,
          containers: [aContainer({ command: ['sh', '-c', 'echo counting; sleep 1'] })],
        },
      },
    },
  }
  await cluster.admin.create<Job>(resources.jobs, job)

  const done = await eventually(
    'the end of the Job',
    async () => {
      const found = await cluster.admin.get<Job>(resources.jobs, { namespace: 'default', name: 'count' })
      return found.status?.succeeded === 1 ? found : undefined
    },
    { clock: cluster.clock, timeout: 20_000 },
  )
  expect(done.status?.conditions?.some(({ type, status }) => type === 'Complete' && status === 'True')).toBe(
    true,
  )
})

let count = 0
const aName = (prefix: string) => `${prefix}-${++count}`

function aReader() {
  return aSidecarSet({
    name: 'reader',
    matchLabels: { reads: 'shared' },
    spec: {
      containers: [aContainer({ name: 'reader', volumeMounts: [{ name: 'shared', mountPath: '/shared' }] })],
      volumes: [{ name: 'shared', configMap: { name: 'kube-system/shared' } }],
    },
  })
}

function aBinding(): Draft<SidecarSetResourceBinding> {
  return {
    apiVersion: 'sidecarset.alibabacloud.com/v1alpha1',
    kind: 'SidecarSetResourceBinding',
    metadata: { name: 'reader', namespace: 'kube-system' },
    spec: {
      subjects: [{ kind: 'SidecarSet', name: 'reader' }],
      resourceRefs: [{ kind: 'ConfigMap', name: 'shared' }],
    },
  }
}

async function cordon(name: string, unschedulable: boolean): Promise<void> {
  await cluster.admin.patch(
    resources.nodes,
    { namespace: '', name },
    { type: 'merge', body: { spec: { unschedulable } } },
  )
}

function runningPod(name: string): Promise<Pod> {
  return eventually(
    `pod ${name} running`,
    async () => {
      const pod = await cluster.admin.get<Pod>(resources.pods, { namespace: 'default', name })
      return pod.status?.phase === 'Running' && pod.status.containerStatuses?.every((status) => status.ready)
        ? pod
        : undefined
    },
    { clock: cluster.clock },
  )
}

const namesOf = (pod: Pod) => pod.spec.containers.map((container) => container.name)
