import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { type ClusterClient, createClient } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import { type Pod, resources } from '@outrigger/kube'
import { aSidecarSet, eventually } from '@outrigger/testkit'
import { type OutriggerProcess, startOutrigger } from '../../tests/story/outrigger-process.ts'
import { type BenchCluster, residentMegabytes, startBenchCluster } from './cluster.ts'
import { playKubelet } from './fleet.ts'
import { type LoadRequest, load, round } from './load.ts'

const few = 1_000
const many = 10_000
const name = 'agent'
/** Milliseconds without any progress after which a rollout counts as stuck. */
const patience = 60_000
/** Milliseconds after which a process at rest has given back what it does not need. */
const rest = 20_000
const clock = new SystemClock()

/**
 * Rolls changed images out to 1,000 and to 10,000 running pods, 20 % at a time, with the manager in a process of its
 * own. Beside it, the same writes from a bare loop that waits for nothing. What the manager spends on a pod must not
 * depend on how many there are. So that it is compared after the same number of updates, for a process that has just
 * started is slower, the fewer pods get more rollouts; and what is written to each pod once, the condition of its first
 * update, is written in rollouts before those that count.
 */
export async function benchRollout(): Promise<unknown> {
  const small = await rolloutOver(few, many / few)
  const large = await rolloutOver(many, 1)
  const perThousand = (part: 'afterRollout' | 'restarted') =>
    round((large.residentMegabytes[part] - small.residentMegabytes[part]) / ((many - few) / 1_000))
  return {
    [few]: small,
    [many]: large,
    growth: {
      cpuPerThousandPods: round(large.rolloutCpuSecondsPerThousand / small.rolloutCpuSecondsPerThousand),
      goal: 1.2,
    },
    residentMegabytesPerThousandPods: {
      afterRollout: perThousand('afterRollout'),
      restarted: perThousand('restarted'),
      goal: 4,
    },
  }
}

/** So many rollouts over so many pods. `environment` is the manager's, for instance with options of Node that profile it. */
export async function rolloutOver(
  pods: number,
  rollouts: number,
  environment: NodeJS.ProcessEnv = process.env,
) {
  const cluster = await startBenchCluster(['apiserver'])
  const { url, ca, token } = cluster.target
  const client = createClient({
    config: { server: url, certificateAuthority: ca, credentials: { token } },
    clock,
  })
  const kubelet = await playKubelet(client)
  let manager: OutriggerProcess | undefined
  try {
    await prepare(cluster)
    manager = await startManager(cluster, environment)
    const pid = manager.child.pid ?? 0
    await client.create<SidecarSet>(outriggerResources.sidecarSets, theSidecarSet)
    await settled(client, 0, 'Counting')
    const beforePods = cpuSeconds(pid)
    const created = await load(cluster.target, 32, pods, (index) => createPod(index))
    await settled(client, pods, 'Creation')
    const afterCreation = cpuSeconds(pid)
    const first = await measure(
      client,
      pid,
      pods,
      Array.from({ length: rollouts }, (_, i) => i + 2),
    )
    await untilIdle(pid)
    const again = await measure(
      client,
      pid,
      pods,
      Array.from({ length: rollouts }, (_, i) => i + 2 + rollouts),
    )
    await clock.sleep(rest)
    const afterRollout = residentMegabytes(pid)
    await manager.stop()
    const floor = await bareLoop(cluster, client, pods)
    const restarted = performance.now()
    manager = await startManager(cluster, environment)
    const restartSeconds = (performance.now() - restarted) / 1_000
    await clock.sleep(rest)
    return {
      creation: { ...created, managerCpuSecondsPerThousand: perThousand(afterCreation - beforePods, pods) },
      rollouts,
      rolloutSeconds: round(again.seconds),
      podsPerSecond: Math.round((pods * rollouts) / again.seconds),
      ofFloor: round((pods * rollouts) / again.seconds / floor),
      floor: { what: 'the same writes from a bare loop, 8 at a time, no budget', podsPerSecond: floor },
      rolloutCpuSecondsPerThousand: perThousand(again.cpu, pods * rollouts),
      firstRolloutsCpuSecondsPerThousand: perThousand(first.cpu, pods * rollouts),
      restartSeconds: round(restartSeconds),
      residentMegabytes: { afterRollout, restarted: residentMegabytes(manager.child.pid ?? 0) },
    }
  } finally {
    await manager?.stop()
    await kubelet.stop()
    await client.close()
    await cluster.stop()
  }
}

/** Rolls these versions out, one after the other. Answers with the seconds it took, and the processor seconds of the manager. */
async function measure(client: ClusterClient, pid: number, pods: number, versions: readonly number[]) {
  const before = cpuSeconds(pid)
  const begin = performance.now()
  for (const version of versions) {
    await setImage(client, `busybox:${version}`)
    await settled(client, pods, `Rollout of version ${version}`)
  }
  return { seconds: (performance.now() - begin) / 1_000, cpu: cpuSeconds(pid) - before }
}

/** Resolves when a process has done nothing worth mentioning for two seconds; after a minute all the same. */
async function untilIdle(pid: number): Promise<void> {
  for (let waited = 0; waited < 60; waited += 2) {
    const before = cpuSeconds(pid)
    await clock.sleep(2_000)
    if (cpuSeconds(pid) - before < 0.1) return
  }
}

/** The options of Node with which the image starts the program. */
function imageOptions(): string {
  const recipe = readFileSync(resolve(import.meta.dirname, '../../apps/outrigger/Dockerfile'), 'utf8')
  const entrypoint: readonly string[] = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(recipe)?.[1] ?? '[]')
  return entrypoint.filter((word) => word.startsWith('--')).join(' ')
}

/** The manager against the cluster, ready to inject. */
export async function startManager(
  cluster: BenchCluster,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<OutriggerProcess> {
  const manager = startOutrigger(
    [
      'manager',
      '--kubeconfig',
      join(cluster.directory, 'kubeconfig'),
      '--no-leader-elect',
      ...['--webhook-port', '0', '--metrics-addr', '0', '--health-probe-addr', '0'],
    ],
    { ...environment, NODE_OPTIONS: `${environment['NODE_OPTIONS'] ?? ''} ${imageOptions()}` },
  )
  await manager.saw(/^The manager is ready/m)
  return manager
}

/** The namespace of the manager, and the account that pods need. */
export async function prepare({ target }: BenchCluster): Promise<void> {
  const post = (path: string, object: object) =>
    load(target, 1, 1, () => ({
      method: 'POST',
      path,
      body: JSON.stringify(object),
      contentType: 'application/json',
    }))
  await post('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kruise-system' },
  })
  await post('/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
}

/**
 * Resolves when the SidecarSet counts that many pods, and all of them have its present content and are ready. Fails when
 * its numbers stand still for a minute; as long as they move it waits, however slow the machine is.
 */
async function settled(client: ClusterClient, pods: number, what: string): Promise<void> {
  let last = ''
  let movedAt = performance.now()
  for (;;) {
    const { metadata, status } = await client.get<SidecarSet>(outriggerResources.sidecarSets, {
      namespace: '',
      name,
    })
    const { matchedPods = 0, updatedPods = 0, updatedReadyPods = 0, observedGeneration } = status ?? {}
    const isCounted = observedGeneration === metadata.generation
    showProgress(what, isCounted ? updatedReadyPods : 0, pods)
    if (isCounted && matchedPods === pods && updatedReadyPods === pods) return
    const now = JSON.stringify([observedGeneration, matchedPods, updatedPods, updatedReadyPods])
    if (now !== last) movedAt = performance.now()
    last = now
    if (performance.now() - movedAt > patience)
      throw new Error(
        `${what} of ${pods} pods stands still for ${patience / 1_000} s: ${JSON.stringify(status)}`,
      )
    await clock.sleep(100)
  }
}

/** A line that is written over and over, on terminals alone. */
function showProgress(what: string, done: number, all: number): void {
  if (process.stderr.isTTY)
    process.stderr.write(`\r${what}: ${done} of ${all} pods\u001b[K${done === all ? '\r\u001b[K' : ''}`)
}

async function setImage(client: ClusterClient, image: string): Promise<void> {
  await client.patch<SidecarSet>(
    outriggerResources.sidecarSets,
    { namespace: '', name },
    { type: 'merge', body: { spec: { containers: [sidecar(image)] } } },
  )
}

const floorImage = 'busybox:floor'

/** Pods per second of a loop that writes another image to each pod while the kubelet follows. */
async function bareLoop(cluster: BenchCluster, client: ClusterClient, pods: number): Promise<number> {
  const begin = performance.now()
  await load(cluster.target, 8, pods, (index) => ({
    method: 'PATCH',
    path: `/api/v1/namespaces/default/pods/web-${index}`,
    body: JSON.stringify({ spec: { containers: [{ name, image: floorImage }] } }),
    contentType: 'application/strategic-merge-patch+json',
  }))
  await eventually(
    'the last pod shows its image',
    async () => {
      const { status } = await client.get<Pod>(resources.pods, {
        namespace: 'default',
        name: `web-${pods - 1}`,
      })
      return status?.containerStatuses?.some(({ image }) => image === floorImage)
    },
    { clock, timeout: 60_000 },
  )
  return Math.round(pods / ((performance.now() - begin) / 1_000))
}

function sidecar(image: string) {
  return { name, image, command: ['sleep', '3600'] }
}

const theSidecarSet = aSidecarSet({
  name,
  spec: {
    containers: [sidecar('busybox:1')],
    updateStrategy: { type: 'RollingUpdate', maxUnavailable: '20%' },
  },
})

/** A pod as workloads make them, bound to a node. */
export function createPod(index: number): LoadRequest {
  const body = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `web-${index}`,
      labels: { app: 'web', 'pod-template-hash': '6d4b75cb6d' },
      annotations: { note: 'made by the bench' },
    },
    spec: {
      nodeName: `node-${index % 100}`,
      containers: [
        {
          name: 'main',
          image: 'nginx:1.27',
          env: [
            { name: 'MODE', value: 'bench' },
            { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          ],
          ports: [{ containerPort: 8080, name: 'http' }],
          resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '64Mi' } },
          readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 5 },
        },
      ],
    },
  })
  return { method: 'POST', path: '/api/v1/namespaces/default/pods', body, contentType: 'application/json' }
}

/** User and system time of a process so far. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  // utime and stime, in hundredths of a second on every Linux we run on.
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function perThousand(seconds: number, pods: number): number {
  return round((seconds * 1_000) / pods)
}
