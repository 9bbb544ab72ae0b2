import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { type ClusterClient, createClient, loadKubeconfig } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import { type Deployment, type Pod, resources } from '@outrigger/kube'
import { aContainer, aDeployment, aSidecarSet, eventually } from '@outrigger/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'
import { heapOf, withInspector } from './heap-of.ts'

/** A longer soak is `OUTRIGGER_SOAK_ROUNDS=200 npx vitest run --project system tests/scale`. */
const rounds = Number(process.env['OUTRIGGER_SOAK_ROUNDS'] ?? 6)
const replicas = 60
/** Milliseconds. */
const deadline = 120_000 + rounds * 60_000
const clock = new SystemClock()
const { sidecarSets } = outriggerResources

let folder: string
let cluster: OutriggerProcess
let manager: OutriggerProcess
let client: ClusterClient

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outrigger-soak-'))
  const kubeconfig = join(folder, 'kubeconfig')
  const environment = { PATH: process.env['PATH'], ...withInspector }
  cluster = startOutrigger(
    `up --runtime sim --port 0 --without manager --data-dir ${join(folder, 'data')} --kubeconfig ${kubeconfig}`.split(
      ' ',
    ),
    environment,
  )
  await cluster.saw(/^Outrigger is up/m)
  manager = startOutrigger(['manager', '--kubeconfig', kubeconfig, '--webhook-port', '0'], environment)
  await manager.saw(/The manager is ready/)
  client = createClient({ config: loadKubeconfig({ environment: {}, path: kubeconfig }), clock })
})

afterAll(async () => {
  await client?.close()
  await manager?.stop()
  await cluster?.stop()
  await rm(folder, { recursive: true, force: true })
})

it(
  'keeps the memory of the manager and of the cluster flat while pods and sidecars come, change and go',
  async () => {
    await client.create<SidecarSet>(sidecarSets, aSidecarSet({ spec: sidecarsOf(0) }))
    await client.create<Deployment>(
      resources.deployments,
      aDeployment({ name: 'web', replicas: 0, spec: { terminationGracePeriodSeconds: 1 } }),
    )
    const heaps: { manager: number; cluster: number }[] = []
    for (let round = 1; round <= rounds; round++) {
      await churn(round)
      heaps.push({ manager: await heapOf(manager), cluster: await heapOf(cluster) })
    }
    process.stdout.write(
      `heap of manager/cluster in MiB after each round of ${replicas} pods: ${shown(heaps)}\n`,
    )

    // Of a pod that is gone the manager keeps nothing; the cluster keeps its events for an hour.
    expect(growthPerPod(heaps.map((heap) => heap.manager))).toBeLessThan(4 * 1024)
    expect(growthPerPod(heaps.map((heap) => heap.cluster))).toBeLessThan(64 * 1024)
  },
  deadline,
)

/** Pods come, get a new sidecar in place and go; ends when nothing is left to do. */
async function churn(round: number): Promise<void> {
  await scale(replicas)
  await settled((pods, status) => pods.length === replicas && status.updatedReadyPods === replicas)
  await client.patch<SidecarSet>(
    sidecarSets,
    { namespace: '', name: 'agent' },
    { type: 'merge', body: { spec: sidecarsOf(round) } },
  )
  await settled(
    (pods, status) =>
      status.updatedReadyPods === replicas &&
      pods.every(({ spec }) => spec.containers.some(({ image }) => image === `agent:${round}`)),
  )
  await scale(0)
  await settled((pods, status) => pods.length === 0 && status.matchedPods === 0)
}

const sidecarsOf = (version: number) => ({
  containers: [aContainer({ name: 'agent', image: `agent:${version}` })],
  updateStrategy: { type: 'RollingUpdate' as const, maxUnavailable: '50%' as const },
})

async function scale(count: number): Promise<void> {
  await client.patch<Deployment>(
    resources.deployments,
    { namespace: 'default', name: 'web' },
    { type: 'merge', body: { spec: { replicas: count } } },
  )
}

async function settled(
  isDone: (pods: readonly Pod[], status: NonNullable<SidecarSet['status']>) => boolean,
): Promise<void> {
  await eventually(
    'the end of a step',
    async () => {
      const [pods, set] = await Promise.all([
        client.list<Pod>(resources.pods, { namespace: 'default' }),
        client.get<SidecarSet>(sidecarSets, { namespace: '', name: 'agent' }),
      ])
      if (
        set.status &&
        set.status.observedGeneration === set.metadata.generation &&
        isDone(pods.items, set.status)
      )
        return true
      throw new Error(`${pods.items.length} pods, ${JSON.stringify(set.status)}`)
    },
    { clock, timeout: 120_000, every: 250 },
  )
}

const shown = (heaps: readonly { readonly manager: number; readonly cluster: number }[]) =>
  heaps.map((heap) => `${mebibytes(heap.manager)}/${mebibytes(heap.cluster)}`).join(' ')

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)

/** Bytes by which the last third of the rounds uses more than the second, for each pod that came and went between. */
function growthPerPod(heaps: readonly number[]): number {
  const third = Math.floor(heaps.length / 3)
  return (middle(heaps.slice(-third)) - middle(heaps.slice(third, 2 * third))) / (third * replicas)
}

const middle = (numbers: readonly number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!
