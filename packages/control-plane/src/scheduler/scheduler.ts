import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  backoffDelay,
  type Clock,
  formatTime,
  type Logger,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import {
  keyOf,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type PodCondition,
  parseKey,
  resources,
  type StorageClass,
} from '@outrigger/kube'
import { podCondition } from '../pods/pod-state.ts'
import { catalogOf } from '../volume-binding/volume-binding-controller.ts'
import { reviewClaims, selectedNode, type VolumeCatalog } from '../volume-binding/volume-plan.ts'
import { ClusterView } from './cluster-view.ts'
import { planPlacement, refusedOutright } from './placement.ts'

export interface SchedulerOptions {
  readonly client: Client
  readonly pods: Informer<Pod>
  readonly nodes: Informer<Node>
  readonly claims: Informer<PersistentVolumeClaim>
  readonly volumes: Informer<PersistentVolume>
  readonly classes: Informer<StorageClass>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Pods that name another scheduler are left alone. Defaults to `default-scheduler`. */
  readonly schedulerName?: string
}

const retryPause = { initial: 1_000, max: 10_000 }
/** Pods that fit nowhere are tried again this often even if nothing seems to have changed. */
const flushAfter = 300_000

/**
 * Binds pods to nodes. A pod that fits nowhere waits until a node or a placed pod changes; the
 * decision itself is `planPlacement`.
 */
export function createScheduler(options: SchedulerOptions): Runnable {
  const scheduler = new Scheduler(options)
  return createController({
    name: 'scheduler',
    clock: options.clock,
    random: options.random,
    logger: options.logger,
    concurrency: 16,
    informers: [options.pods, options.nodes, options.claims, options.volumes, options.classes],
    sources: [(enqueue) => scheduler.connect(enqueue)],
    reconcile: (key, signal) => scheduler.schedule(key, signal),
  })
}

class Scheduler {
  readonly #options: SchedulerOptions
  readonly #name: string
  readonly #cluster = new ClusterView()
  /** Failed attempts of pods that fit nowhere, by key. */
  readonly #waiting = new Map<string, number>()

  readonly #catalog: VolumeCatalog

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#catalog = catalogOf(options)
    this.#name = options.schedulerName ?? 'default-scheduler'
  }

  connect(enqueue: (key: string, after?: number) => void): () => void {
    const retryWaiting = () => {
      for (const [key, failures] of this.#waiting)
        enqueue(key, failures <= 1 ? 0 : backoffDelay(retryPause, failures - 1))
    }
    const stops = [
      this.#options.nodes.onChange({
        onAdd: (node) => {
          this.#cluster.setNode(node)
          retryWaiting()
        },
        onUpdate: (node, before) => {
          this.#cluster.setNode(node)
          if (isMoreUseful(node, before)) retryWaiting()
        },
        onDelete: (node) => this.#cluster.removeNode(node.metadata.name),
      }),
      this.#options.pods.onChange({
        onAdd: (pod) => {
          this.#cluster.setPod(pod)
          if (this.#isMine(pod)) enqueue(keyOf(pod))
        },
        onUpdate: (pod, before) => {
          this.#cluster.setPod(pod)
          if (this.#isMine(pod)) {
            if (pod.metadata.resourceVersion !== before.metadata.resourceVersion && hasNewWishes(pod, before))
              enqueue(keyOf(pod))
          } else if (hasFreedPlace(pod, before)) retryWaiting()
        },
        onDelete: (pod) => {
          this.#cluster.removePod(pod.metadata.uid ?? '')
          this.#waiting.delete(keyOf(pod))
          if (pod.spec.nodeName) retryWaiting()
        },
      }),
      this.#options.claims.onChange({
        onAdd: (claim) => this.#retryUsersOf(claim, enqueue),
        onUpdate: (claim) => this.#retryUsersOf(claim, enqueue),
      }),
    ]
    return () => {
      for (const stop of stops) stop()
    }
  }

  async schedule(key: string, signal: AbortSignal): Promise<Outcome> {
    const pod = this.#options.pods.store.get(key)
    if (pod === undefined || !this.#isMine(pod)) {
      this.#waiting.delete(key)
      return waitForChange
    }
    const claims = reviewClaims(pod, this.#catalog)
    const placement =
      claims.kind === 'refused'
        ? refusedOutright(claims.message, this.#cluster)
        : planPlacement(pod, this.#cluster, claims.affinities)
    if (placement.kind === 'unschedulable') return this.#postpone(pod, placement.message, signal)
    this.#waiting.delete(key)
    if (claims.kind === 'unbound') return this.#selectNode(claims.claims, placement.nodeName, signal)
    this.#cluster.assume(pod, placement.nodeName)
    try {
      await this.#bind(pod, placement.nodeName, signal)
    } catch (error) {
      this.#cluster.removePod(pod.metadata.uid ?? '')
      if (isNotFound(error) || isConflict(error)) return waitForChange
      throw error
    }
    return waitForChange
  }

  /** Says where volumes are needed; the pod is bound once they are there. */
  async #selectNode(
    claims: readonly PersistentVolumeClaim[],
    nodeName: string,
    signal: AbortSignal,
  ): Promise<Outcome> {
    for (const claim of claims) {
      if (claim.metadata.annotations?.[selectedNode] !== undefined) continue
      const { uid } = claim.metadata
      await this.#options.client
        .patch(
          resources.persistentVolumeClaims,
          parseKey(keyOf(claim)),
          { type: 'merge', body: { metadata: { uid, annotations: { [selectedNode]: nodeName } } } },
          { signal },
        )
        .catch((error: unknown) => {
          if (!isNotFound(error) && !isConflict(error)) throw error
        })
    }
    return waitForChange
  }

  /** Needs the index `claim` of pods. */
  #retryUsersOf(claim: PersistentVolumeClaim, enqueue: (key: string) => void): void {
    for (const pod of this.#options.pods.store.byIndex('claim', keyOf(claim)))
      if (this.#isMine(pod)) enqueue(keyOf(pod))
  }

  async #bind(pod: Pod, nodeName: string, signal: AbortSignal): Promise<void> {
    const { name, namespace, uid } = pod.metadata
    await this.#options.client.createSubresource(
      resources.pods,
      parseKey(keyOf(pod)),
      'binding',
      {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
      },
      { signal },
    )
    this.#options.events.event(pod, {
      type: 'Normal',
      reason: 'Scheduled',
      action: 'Binding',
      message: `Successfully assigned ${namespace}/${name} to ${nodeName}`,
    })
  }

  async #postpone(pod: Pod, message: string, signal: AbortSignal): Promise<Outcome> {
    const key = keyOf(pod)
    const failures = (this.#waiting.get(key) ?? 0) + 1
    this.#waiting.set(key, failures)
    this.#options.events.event(pod, {
      type: 'Warning',
      reason: 'FailedScheduling',
      action: 'Scheduling',
      message,
    })
    const known = podCondition(pod, 'PodScheduled')
    if (known?.status !== 'False' || known.message !== message) {
      const condition: PodCondition = {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message,
        lastTransitionTime:
          known?.status === 'False'
            ? (known.lastTransitionTime ?? '')
            : formatTime(this.#options.clock.now()),
        observedGeneration: pod.metadata.generation ?? 0,
      }
      await this.#options.client
        .patch(
          resources.pods,
          parseKey(key),
          { type: 'strategic', body: { status: { conditions: [condition] } } },
          { subresource: 'status', signal },
        )
        .catch((error: unknown) => {
          if (!isNotFound(error)) throw error
        })
    }
    return lookAgain(flushAfter)
  }

  #isMine(pod: Pod): boolean {
    return (
      !pod.spec.nodeName &&
      pod.metadata.deletionTimestamp === undefined &&
      (pod.spec.schedulerName ?? 'default-scheduler') === this.#name &&
      (pod.spec.schedulingGates ?? []).length === 0
    )
  }
}

/** Whether a node changed in a way that could let a waiting pod on. Heartbeats do not. */
function isMoreUseful(node: Node, before: Node): boolean {
  const facts = ({ metadata, spec, status }: Node) =>
    JSON.stringify([metadata.labels, spec.taints, spec.unschedulable, status?.allocatable])
  return facts(node) !== facts(before)
}

/** Whether a waiting pod changed in something scheduling looks at; its own new condition is not. */
function hasNewWishes(pod: Pod, before: Pod): boolean {
  return (
    pod.metadata.generation !== before.metadata.generation ||
    JSON.stringify(pod.metadata.labels) !== JSON.stringify(before.metadata.labels)
  )
}

function hasFreedPlace(pod: Pod, before: Pod): boolean {
  const isOver = (candidate: Pod) =>
    candidate.status?.phase === 'Succeeded' || candidate.status?.phase === 'Failed'
  return (
    (isOver(pod) && !isOver(before)) ||
    (before.spec.nodeName !== pod.spec.nodeName && pod.spec.affinity !== undefined)
  )
}
