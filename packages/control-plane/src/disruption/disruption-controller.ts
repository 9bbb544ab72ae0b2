import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, formatTime, type Logger, type Random, type Runnable } from '@outrigger/foundation'
import {
  compileLabelSelector,
  type Deployment,
  deepEqual,
  type KubeObject,
  keyOf,
  type OwnerReference,
  type Pod,
  type PodDisruptionBudget,
  type ReplicaSet,
  type ReplicationController,
  resources,
  type StatefulSet,
} from '@outrigger/kube'
import type { Discovery } from '../discovery.ts'
import { controllerReference } from '../ownership.ts'
import { isPodReady } from '../pods/pod-state.ts'
import { budgetStatus, evictionTimeout } from './disruption-budget.ts'

export interface DisruptionControllerOptions {
  readonly client: Client
  /** Needs the index `namespace`. */
  readonly budgets: Informer<PodDisruptionBudget>
  readonly deployments: Informer<Deployment>
  readonly replicaSets: Informer<ReplicaSet>
  readonly replicationControllers: Informer<ReplicationController>
  readonly statefulSets: Informer<StatefulSet>
  /** Needs the index `namespace`. */
  readonly pods: Informer<Pod>
  readonly discovery: Discovery
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Works out how many pods each PodDisruptionBudget lets go at the moment. Evictions themselves are
 * the API server's.
 */
export function createDisruptionController(options: DisruptionControllerOptions): Runnable {
  const { budgets, deployments, replicaSets, replicationControllers, statefulSets, pods } = options
  return createController({
    ...options,
    name: 'disruption',
    informers: [budgets, deployments, replicaSets, replicationControllers, statefulSets, pods],
    sources: [
      (enqueue) =>
        budgets.onChange({
          onAdd: (budget) => enqueue(keyOf(budget)),
          onUpdate: (budget) => enqueue(keyOf(budget)),
        }),
      (enqueue) => {
        const look = (pod: Pod) => {
          for (const budget of budgets.store.byIndex('namespace', pod.metadata.namespace ?? ''))
            if (selects(budget, pod)) enqueue(keyOf(budget))
        }
        return pods.onChange({
          onAdd: look,
          onUpdate: (pod, before) => {
            const isSame =
              isPodReady(pod) === isPodReady(before) &&
              pod.status?.phase === before.status?.phase &&
              pod.metadata.deletionTimestamp === before.metadata.deletionTimestamp &&
              deepEqual(pod.metadata.labels, before.metadata.labels)
            if (isSame) return
            look(pod)
            look(before)
          },
          onDelete: look,
        })
      },
      (enqueue) => {
        // Rare, and a budget is cheap: who is concerned is not worked out.
        const resized = (workload: KubeObject & { spec: { replicas?: number } }, before: typeof workload) => {
          if (workload.spec.replicas === before.spec.replicas) return
          for (const budget of budgets.store.byIndex('namespace', workload.metadata.namespace ?? ''))
            enqueue(keyOf(budget))
        }
        const stops = [
          deployments.onChange({ onUpdate: resized }),
          replicaSets.onChange({ onUpdate: resized }),
          replicationControllers.onChange({ onUpdate: resized }),
          statefulSets.onChange({ onUpdate: resized }),
        ]
        return () => {
          for (const stop of stops) stop()
        }
      },
    ],
    reconcile: (key, signal) => reconcileBudget(options, key, signal),
  })
}

/** An empty selector selects every pod of the namespace, none selects none. */
function selects({ spec }: PodDisruptionBudget, pod: Pod): boolean {
  return compileLabelSelector(spec.selector).matches(pod.metadata.labels ?? {})
}

async function reconcileBudget(
  options: DisruptionControllerOptions,
  key: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const budget = options.budgets.store.get(key)
  if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return waitForChange
  const pods = options.pods.store
    .byIndex('namespace', budget.metadata.namespace ?? '')
    .filter((pod) => selects(budget, pod))
  const now = options.clock.now()
  const wanted = await wantedPods(options, pods, signal)
  const status = budgetStatus(budget, { pods, wanted, time: formatTime(now), now })
  if (!deepEqual(status, budget.status ?? {}))
    await options.client
      .update<PodDisruptionBudget>(
        resources.podDisruptionBudgets,
        { ...budget, status },
        { subresource: 'status', signal },
      )
      .catch((error: unknown) => {
        // An eviction was booked meanwhile, and its event brings the next pass.
        if (!isConflict(error) && !isNotFound(error)) throw error
      })
  return status.disruptedPods === undefined ? waitForChange : lookAgain(evictionTimeout)
}

/** The sum of what the pods' workloads want; each workload counts once. */
async function wantedPods(
  options: DisruptionControllerOptions,
  pods: readonly Pod[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const sizes = new Map<string, number>()
  for (const pod of pods) {
    const owner = controllerReference(pod)
    if (owner === undefined) return undefined
    if (sizes.has(owner.uid)) continue
    const workload = await workloadOf(options, pod.metadata.namespace ?? '', owner, signal)
    if (workload === undefined) return undefined
    sizes.set(workload.uid, workload.size)
    sizes.set(owner.uid, workload.uid === owner.uid ? workload.size : 0)
  }
  let sum = 0
  for (const size of sizes.values()) sum += size
  return sum
}

interface SizedWorkload {
  readonly uid: string
  readonly size: number
}

async function workloadOf(
  options: DisruptionControllerOptions,
  namespace: string,
  owner: OwnerReference,
  signal: AbortSignal,
): Promise<SizedWorkload | undefined> {
  const key = `${namespace}/${owner.name}`
  const sized = (found: (KubeObject & { spec: { replicas?: number } }) | undefined) =>
    found === undefined || found.metadata.uid !== owner.uid
      ? undefined
      : { uid: owner.uid, size: found.spec.replicas ?? 1 }
  switch (`${owner.apiVersion} ${owner.kind}`) {
    case 'apps/v1 ReplicaSet': {
      const set = options.replicaSets.store.get(key)
      const above = set && controllerReference(set)
      const deployment = options.deployments.store.get(`${namespace}/${above?.name ?? ''}`)
      const isDeployment = above?.kind === 'Deployment' && deployment?.metadata.uid === above.uid
      return isDeployment ? { uid: above.uid, size: deployment?.spec.replicas ?? 1 } : sized(set)
    }
    case 'apps/v1 StatefulSet':
      return sized(options.statefulSets.store.get(key))
    case 'v1 ReplicationController':
      return sized(options.replicationControllers.store.get(key))
    default:
      return scaleOf(options, namespace, owner, signal)
  }
}

/** Any other workload is asked through its `scale`. */
async function scaleOf(
  { client, discovery }: DisruptionControllerOptions,
  namespace: string,
  owner: OwnerReference,
  signal: AbortSignal,
): Promise<SizedWorkload | undefined> {
  const slash = owner.apiVersion.indexOf('/')
  if (slash < 0) return undefined
  const group = owner.apiVersion.slice(0, slash)
  const known = (await discovery.resources(signal)).find(
    ({ ref }) => ref.group === group && ref.kind === owner.kind,
  )
  if (known === undefined) return undefined
  const { version, resource } = known.ref
  const answer = await client.raw({
    method: 'GET',
    path: `/apis/${group}/${version}/namespaces/${namespace}/${resource}/${owner.name}/scale`,
    signal,
  })
  if (answer.status !== 200) return undefined
  const scale: { metadata?: { uid?: string }; spec?: { replicas?: number } } = JSON.parse(
    answer.body.toString('utf8'),
  )
  return scale.metadata?.uid === owner.uid ? { uid: owner.uid, size: scale.spec?.replicas ?? 0 } : undefined
}
