import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { type ContainerStatus, type Draft, type Namespace, type Pod, resources } from '@outrigger/kube'
import { aContainer, aNamespace, aPod, aSidecarSet } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FaultyManager, startFaultyManager } from '../fault/faulty-manager.ts'
import { aCluster, type Cluster, conditionOf, nodeName } from './a-cluster.ts'
import { eventually, mustSkip } from './a-node.ts'

const { sidecarSets } = outriggerResources
const image = 'busybox:1.36'
const mebibyte = 2 ** 20

describe.skipIf(await mustSkip('resized-sidecars.test.ts'))('sidecars in real containers', () => {
  let cluster: Cluster
  let manager: FaultyManager | undefined

  beforeAll(async () => {
    cluster = await aCluster()
    await cluster.admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
    manager = await startFaultyManager(cluster.server)
  })
  afterAll(async () => {
    await manager?.stop()
    await cluster?.stop()
  })

  test('are given more memory without a restart, plain and native ones, and back', async () => {
    await cluster.admin.create<SidecarSet>(sidecarSets, agents('32Mi'))
    await eventually('an injected pod', async () => {
      const made = await cluster.admin.create<Pod>(resources.pods, pod('probe'), { dryRun: true })
      return made.spec.containers.some(({ name }) => name === 'agent') || undefined
    })
    await cluster.create(pod('web'))
    const before = await cluster.until('web', 'ready', (one) => conditionOf(one, 'Ready') === 'True')
    expect(await limitsOf()).toEqual([32 * mebibyte, 32 * mebibyte])
    for (const memory of ['48Mi', '32Mi']) {
      const { containers, initContainers } = agents(memory).spec
      const body = { spec: { containers, initContainers } }
      await cluster.admin.patch(sidecarSets, { namespace: '', name: 'agent' }, { type: 'merge', body })
      const after = await cluster.until('web', `resized to ${memory}`, (one) => isRecorded(one, memory))
      const bytes = Number.parseInt(memory, 10) * mebibyte
      expect(await limitsOf()).toEqual([bytes, bytes])
      expect(runsOf(after)).toEqual(runsOf(before))
    }
  }, 120_000)

  /** What the kernel holds the containers to, in bytes. */
  async function limitsOf(): Promise<number[]> {
    const files = ['memory.max', 'memory/memory.limit_in_bytes'].map((path) => `/sys/fs/cgroup/${path}`)
    const command = ['sh', '-c', `cat ${files.join(' 2>/dev/null || cat ')}`]
    const texts = ['agent', 'net'].map((container) => cluster.exec('web', command, container))
    return (await Promise.all(texts)).map(Number)
  }
})

const agents = (memory: string): Draft<SidecarSet> => {
  const resourcesOf = { requests: { memory: '16Mi' }, limits: { memory } }
  return aSidecarSet({
    annotations: {
      'outrigger.dev/on-resources-change': 'Resize',
      'outrigger.dev/update-native-sidecars': 'true',
    },
    spec: {
      containers: [aContainer({ name: 'agent', image, resources: resourcesOf })],
      initContainers: [aContainer({ name: 'net', image, restartPolicy: 'Always', resources: resourcesOf })],
    },
  })
}

const pod = (name: string): Draft<Pod> =>
  aPod({
    name,
    labels: { app: 'web' },
    spec: { nodeName, terminationGracePeriodSeconds: 1, containers: [aContainer({ image })] },
  })

const statusesOf = ({ status }: Pod): ContainerStatus[] => [
  ...(status?.containerStatuses ?? []),
  ...(status?.initContainerStatuses ?? []),
]

/** Which containers run, and since which start. */
const runsOf = (one: Pod) =>
  statusesOf(one).map(({ name, containerID, restartCount }) => ({ name, containerID, restartCount }))

/** Whether the sidecars have the amount, and the pod is not on its way to it any more. */
function isRecorded(one: Pod, memory: string): boolean {
  const sidecars = statusesOf(one).filter(({ name }) => name === 'agent' || name === 'net')
  return (
    sidecars.every((status) => status.resources?.limits?.['memory'] === memory) &&
    one.metadata.annotations?.['outrigger.dev/sidecar-resize'] === undefined &&
    conditionOf(one, 'PodResizeInProgress') === undefined
  )
}
