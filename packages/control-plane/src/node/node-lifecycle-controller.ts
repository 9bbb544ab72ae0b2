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
  type Clock,
  formatTime,
  type Logger,
  parseTime,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import {
  keyOf,
  type Lease,
  type Node,
  type Pod,
  type PodCondition,
  parseKey,
  resources,
  toleratesTaint,
} from '@outrigger/kube'
import { isPodFinished, isPodReady, podCondition } from '../pods/pod-state.ts'
import { lastHeartbeat, silentConditions, untilEviction, wantedTaints } from './node-health.ts'

export interface NodeLifecycleOptions {
  readonly client: Client
  readonly nodes: Informer<Node>
  readonly leases: Informer<Lease>
  /** Needs the index `node` (spec.nodeName). */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Milliseconds of silence after which a node counts as lost. Defaults to 40,000. */
  readonly gracePeriod?: number
}

/**
 * Watches over nodes: marks silent ones, keeps condition taints, marks their pods not ready and evicts
 * pods that do not tolerate a NoExecute taint, and collects pods of nodes that no longer exist.
 * Source: kubernetes/pkg/controller/nodelifecycle, .../tainteviction, .../podgc.
 */
export function createNodeLifecycleController(options: NodeLifecycleOptions): Runnable {
  const { nodes, leases, pods, events, clock, random, logger } = options
  return createController({
    name: 'node-lifecycle',
    clock,
    random,
    logger,
    concurrency: 4,
    informers: [nodes, leases, pods],
    sources: [
      (enqueue) => {
        const look = (node: Node) => enqueue(node.metadata.name)
        return nodes.onChange({
          onAdd: (node) => {
            tell(events, node, 'RegisteredNode', 'Registered Node', 'in')
            look(node)
          },
          onUpdate: look,
          onDelete: (node) => {
            tell(events, node, 'RemovingNode', 'Removing Node', 'from')
            look(node)
          },
        })
      },
      (enqueue) => {
        const look = (pod: Pod) => {
          if (pod.spec.nodeName) enqueue(pod.spec.nodeName)
        }
        return pods.onChange({
          onAdd: look,
          onUpdate: (pod, before) => {
            if (
              pod.spec.nodeName !== before.spec.nodeName ||
              pod.metadata.deletionTimestamp !== before.metadata.deletionTimestamp
            )
              look(pod)
          },
        })
      },
    ],
    reconcile: (name, signal) => reconcileNode(options, name, signal),
  })
}

/** Which nodes the controller has begun and ceased to watch over, also after each start of its own. */
function tell(events: EventRecorder, node: Node, reason: string, what: string, where: string): void {
  const { name } = node.metadata
  events.event(node, {
    type: 'Normal',
    reason,
    message: `Node ${name} event: ${what} ${name} ${where} Controller`,
  })
}

async function reconcileNode(
  options: NodeLifecycleOptions,
  name: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const node = options.nodes.store.get(name)
  if (node === undefined) return collectOrphans(options, name, signal)
  const now = options.clock.now()
  const grace = options.gracePeriod ?? 40_000
  const silentSince = lastHeartbeat(node, options.leases.store.get(`kube-node-lease/${name}`))
  if (now - silentSince > grace) await markSilent(options, node, signal)
  await keepTaints(options, node, signal)
  const untilNextEviction = await evictIntolerant(options, node, signal)
  const untilSilent = Math.max(1_000, silentSince + grace - now + 1)
  return lookAgain(Math.min(untilSilent, untilNextEviction ?? untilSilent))
}

async function markSilent(options: NodeLifecycleOptions, node: Node, signal: AbortSignal): Promise<void> {
  const conditions = silentConditions(node, options.clock.now())
  if (conditions !== undefined) {
    await options.client
      .update<Node>(
        resources.nodes,
        { ...node, status: { ...node.status, conditions } },
        { subresource: 'status', signal },
      )
      .catch(ignoreRace)
    options.events.event(node, {
      type: 'Normal',
      reason: 'NodeNotReady',
      message: `Node ${node.metadata.name} status is now: NodeNotReady`,
    })
  }
  for (const pod of options.pods.store.byIndex('node', node.metadata.name)) {
    if (!isPodReady(pod)) continue
    const known = podCondition(pod, 'Ready')
    const condition: PodCondition = {
      ...known,
      type: 'Ready',
      status: 'False',
      lastTransitionTime: formatTime(options.clock.now()),
    }
    await options.client
      .patch(
        resources.pods,
        parseKey(keyOf(pod)),
        { type: 'strategic', body: { status: { conditions: [condition] } } },
        { subresource: 'status', signal },
      )
      .catch(ignoreRace)
    options.events.event(pod, { type: 'Warning', reason: 'NodeNotReady', message: 'Node is not ready' })
  }
}

async function keepTaints(options: NodeLifecycleOptions, node: Node, signal: AbortSignal): Promise<void> {
  const taints = wantedTaints(node, options.clock.now())
  if (taints === undefined) return
  await options.client
    .update<Node>(resources.nodes, { ...node, spec: { ...node.spec, taints } }, { signal })
    .catch(ignoreRace)
}

/** Milliseconds until the next pod must leave; undefined when none will. */
async function evictIntolerant(
  options: NodeLifecycleOptions,
  node: Node,
  signal: AbortSignal,
): Promise<number | undefined> {
  const taints = (node.spec.taints ?? []).filter((taint) => taint.effect === 'NoExecute')
  if (taints.length === 0) return undefined
  let soonest: number | undefined
  for (const pod of options.pods.store.byIndex('node', node.metadata.name)) {
    if (pod.metadata.deletionTimestamp !== undefined) continue
    const left = untilEviction(
      taints,
      (taint) => {
        const toleration = (pod.spec.tolerations ?? []).find((candidate) => toleratesTaint(candidate, taint))
        return toleration && { seconds: toleration.tolerationSeconds }
      },
      options.clock.now(),
    )
    if (left === undefined) continue
    if (left > 0) {
      soonest = Math.min(soonest ?? left, left)
      continue
    }
    options.events.event(pod, {
      type: 'Normal',
      reason: 'TaintManagerEviction',
      message: `Marking for deletion Pod ${keyOf(pod)}`,
    })
    await markDisrupted(
      options,
      pod,
      {
        reason: 'DeletionByTaintManager',
        message: 'Taint manager: deleting due to NoExecute taint',
      },
      signal,
    )
    await options.client
      .delete(resources.pods, parseKey(keyOf(pod)), {
        preconditions: { uid: pod.metadata.uid ?? '' },
        signal,
      })
      .catch(ignoreRace)
  }
  return soonest
}

/** Says in the pod's status that its end is not its own doing; `phase` where nobody else will report its end. */
async function markDisrupted(
  options: NodeLifecycleOptions,
  pod: Pod,
  why: { readonly reason: string; readonly message: string; readonly phase?: 'Failed' },
  signal: AbortSignal,
): Promise<void> {
  if (isPodFinished(pod)) return
  const { reason, message, phase } = why
  const condition: PodCondition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason,
    message,
    lastTransitionTime: formatTime(options.clock.now()),
  }
  const body = {
    metadata: { uid: pod.metadata.uid },
    status: { conditions: [condition], ...(phase && { phase }) },
  }
  await options.client
    .patch(
      resources.pods,
      parseKey(keyOf(pod)),
      { type: 'strategic', body },
      { subresource: 'status', signal },
    )
    .catch(ignoreRace)
}

/** Pods bound to a node that does not exist have no kubelet to end them. */
async function collectOrphans(
  options: NodeLifecycleOptions,
  nodeName: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const pods = options.pods.store.byIndex('node', nodeName)
  if (pods.length === 0) return waitForChange
  const exists = await options.client
    .get(resources.nodes, { namespace: '', name: nodeName }, { signal })
    .then(
      () => true,
      (error: unknown) => {
        if (isNotFound(error)) return false
        throw error
      },
    )
  if (exists) return lookAgain(1_000)
  let isYoung = false
  for (const pod of pods) {
    // A pod may name a node that is about to register; only its deletion or a long wait settles it.
    const age = options.clock.now() - parseTime(pod.metadata.creationTimestamp ?? '')
    if (pod.metadata.deletionTimestamp === undefined && age < 40_000) {
      isYoung = true
      continue
    }
    // Without a kubelet nobody else ends it, and a Job waits for the end of its pods.
    const why = {
      reason: 'DeletionByPodGC',
      message: 'PodGC: node no longer exists',
      phase: 'Failed',
    } as const
    await markDisrupted(options, pod, why, signal)
    await options.client
      .delete(resources.pods, parseKey(keyOf(pod)), {
        gracePeriodSeconds: 0,
        preconditions: { uid: pod.metadata.uid ?? '' },
        signal,
      })
      .catch(ignoreRace)
  }
  return isYoung ? lookAgain(10_000) : waitForChange
}

function ignoreRace(error: unknown): void {
  if (!isNotFound(error) && !isConflict(error)) throw error
}
