import { type Client, isConflict, isNotFound } from '@outrigger/client'
import { createController, createInformer, waitForChange } from '@outrigger/controller'
import { type Clock, formatTime, type Logger, type Random, type Runnable } from '@outrigger/foundation'
import { keyOf, type Node, type Pod, parseKey, resources } from '@outrigger/kube'

export interface PretendKubeletOptions {
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Names of the nodes it registers. */
  readonly nodes: readonly string[]
}

/**
 * A kubelet without containers: registers nodes and plays the life of pods bound to them. Pods of Jobs
 * end at once, with the exit code of the annotation `exit-code`; pods with the annotation `hold` stay
 * Pending; all others are Running and Ready.
 */
export function createPretendKubelet(options: PretendKubeletOptions): Runnable {
  return {
    name: 'pretend kubelet',
    async run(signal) {
      for (const name of options.nodes) await register(options, name)
      const pods = createInformer<Pod>({ ...options, resource: resources.pods })
      const controller = createController({
        ...options,
        name: 'pretend kubelet',
        concurrency: 8,
        informers: [pods],
        sources: [
          (enqueue) =>
            pods.onChange({ onAdd: (pod) => enqueue(keyOf(pod)), onUpdate: (pod) => enqueue(keyOf(pod)) }),
        ],
        async reconcile(key) {
          const pod = pods.store.get(key)
          if (pod?.spec.nodeName) await live(options, pod).catch(ignoreRace)
          return waitForChange
        },
      })
      await Promise.all([pods.run(signal), controller.run(signal), heartbeat(options, signal)])
    },
  }
}

async function heartbeat(options: PretendKubeletOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await options.clock.sleep(10_000, signal).catch(() => {})
    if (!signal.aborted) for (const name of options.nodes) await report(options, name)
  }
}

async function register(options: PretendKubeletOptions, name: string): Promise<void> {
  await options.client.create<Node>(resources.nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    spec: {},
  })
  await report(options, name)
}

async function report({ client, clock }: PretendKubeletOptions, name: string): Promise<void> {
  const amounts = { cpu: '16', memory: '32Gi', pods: '1000' }
  const time = formatTime(clock.now())
  const types = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready']
  const conditions = types.map((type) => ({
    type,
    status: type === 'Ready' ? 'True' : 'False',
    lastHeartbeatTime: time,
    lastTransitionTime: time,
  }))
  const body = { status: { allocatable: amounts, capacity: amounts, conditions } }
  await client.patch(
    resources.nodes,
    { namespace: '', name },
    { type: 'strategic', body },
    { subresource: 'status' },
  )
}

async function live({ client, clock }: PretendKubeletOptions, pod: Pod): Promise<void> {
  const key = parseKey(keyOf(pod))
  if (pod.metadata.deletionTimestamp !== undefined) {
    const preconditions = { uid: pod.metadata.uid ?? '' }
    await client.delete(resources.pods, key, { gracePeriodSeconds: 0, preconditions })
    return
  }
  const phase = pod.status?.phase ?? 'Pending'
  if (phase !== 'Pending' || pod.metadata.annotations?.['hold'] !== undefined) return
  const time = formatTime(clock.now())
  const [third, fourth] = [Math.floor(numberOf(pod) / 250) % 250, (numberOf(pod) % 250) + 1]
  const exitCode = Number(pod.metadata.annotations?.['exit-code'] ?? 0)
  const isJob = pod.metadata.ownerReferences?.some((owner) => owner.kind === 'Job') === true
  const state = isJob
    ? {
        terminated: {
          exitCode,
          reason: exitCode === 0 ? 'Completed' : 'Error',
          finishedAt: time,
          startedAt: time,
        },
      }
    : { running: { startedAt: time } }
  const ready = isJob ? 'False' : 'True'
  const podIP = `10.9.${third}.${fourth}`
  const status = {
    phase: isJob ? (exitCode === 0 ? 'Succeeded' : 'Failed') : 'Running',
    startTime: time,
    podIP,
    podIPs: [{ ip: podIP }],
    conditions: [
      { type: 'Ready', status: ready, lastTransitionTime: time },
      { type: 'ContainersReady', status: ready, lastTransitionTime: time },
    ],
    containerStatuses: pod.spec.containers.map(({ name, image = '' }) => ({
      name,
      image,
      imageID: image,
      ready: !isJob,
      restartCount: 0,
      state,
    })),
  }
  await client.patch(resources.pods, key, { type: 'strategic', body: { status } }, { subresource: 'status' })
}

/** A number that hardly two pods of a test have in common. */
function numberOf(pod: Pod): number {
  let sum = 0
  for (const letter of pod.metadata.uid ?? '') sum = (sum * 31 + letter.charCodeAt(0)) % 62_000
  return sum
}

function ignoreRace(error: unknown): void {
  if (!isNotFound(error) && !isConflict(error)) throw error
}
