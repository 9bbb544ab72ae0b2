import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  earliest,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { backoffDelay, type Clock, type Logger, type Random, type Runnable } from '@outrigger/foundation'
import {
  type ControllerRevision,
  compileLabelSelector,
  type DaemonSet,
  deepEqual,
  keyOf,
  type Node,
  type Pod,
  resources,
} from '@outrigger/kube'
import { ownedBy } from '../ownership.ts'
import { claimObjects } from '../pods/claim.ts'
import { PodControl } from '../pods/pod-control.ts'
import { isPodActive, untilAvailable } from '../pods/pod-state.ts'
import { ensureRevision, revisionHashLabel, trimHistory } from '../revision/revision-history.ts'
import { daemonSetStatus, planDaemonSet } from './daemon-plan.ts'
import { daemonPod, targetNode } from './daemon-pod.ts'

export interface DaemonSetControllerOptions {
  readonly client: Client
  /** Needs the index `namespace`. */
  readonly daemonSets: Informer<DaemonSet>
  /** Needs the index `owner`. */
  readonly revisions: Informer<ControllerRevision>
  readonly nodes: Informer<Node>
  /** Needs the indexes `owner` and `orphans`. */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Pause before a daemon that ended is started again on its node. */
const restartPause = { initial: 1_000, max: 900_000 }
/** At most so many pods are made in one pass. */
const burst = 250

/**
 * Keeps one pod of every DaemonSet on every node that fits it. A node with a taint the pods do not
 * tolerate, such as a virtual node, gets none. Source: kubernetes/pkg/controller/daemon.
 */
export function createDaemonSetController(options: DaemonSetControllerOptions): Runnable {
  const { daemonSets, revisions, nodes, pods } = options
  const control = new PodControl({ ...options, ownerKind: 'DaemonSet' })
  const endings: Endings = new Map()
  return createController({
    ...options,
    name: 'daemonset',
    concurrency: 2,
    informers: [daemonSets, revisions, nodes, pods],
    sources: [
      (enqueue) =>
        daemonSets.onChange({
          onAdd: (set) => enqueue(keyOf(set)),
          onUpdate: (set) => enqueue(keyOf(set)),
          onDelete: (set) => {
            control.expectations.forget(keyOf(set))
            endings.delete(keyOf(set))
          },
        }),
      (enqueue) => {
        const lookAll = () => {
          for (const set of daemonSets.store.list()) enqueue(keyOf(set))
        }
        return nodes.onChange({
          onAdd: lookAll,
          onUpdate: (node, before) => {
            // Heartbeats change nothing that matters here.
            const isSame =
              deepEqual(node.metadata.labels, before.metadata.labels) &&
              deepEqual(node.spec.taints, before.spec.taints)
            if (!isSame) lookAll()
          },
          onDelete: lookAll,
        })
      },
      (enqueue) =>
        control.connect(enqueue, (pod) => {
          if (pod.metadata.labels === undefined) return
          for (const set of daemonSets.store.byIndex('namespace', pod.metadata.namespace ?? ''))
            if (compileLabelSelector(set.spec.selector).matches(pod.metadata.labels)) enqueue(keyOf(set))
        }),
      (enqueue) =>
        revisions.onChange({
          onDelete: (revision) => {
            const owner = ownedBy(revision, 'DaemonSet')
            if (owner !== undefined) enqueue(`${revision.metadata.namespace}/${owner.name}`)
          },
        }),
    ],
    reconcile: (key) => reconcileDaemonSet(options, control, endings, key),
  })
}

/** How often a set's pod ended in a row and when last, by set and node. May be lost. */
type Endings = Map<string, Map<string, { readonly inARow: number; readonly lastAt: number }>>

async function reconcileDaemonSet(
  options: DaemonSetControllerOptions,
  control: PodControl,
  endings: Endings,
  key: string,
): Promise<Outcome> {
  const set = options.daemonSets.store.get(key)
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return waitForChange
  const { client, clock } = options
  const pods = await claimObjects<Pod>({
    client,
    owner: set,
    ownerResource: resources.daemonSets,
    resource: resources.pods,
    selector: compileLabelSelector(set.spec.selector),
    owned: control.ownedBy(set),
    orphans: options.pods.store.byIndex('orphans', set.metadata.namespace ?? ''),
    mayAdopt: isPodActive,
  })
  const known = options.revisions.store.byIndex('owner', set.metadata.uid ?? '')
  const found = await ensureRevision(client, set, known)
  if (found.kind === 'collision') {
    const collisionCount = (set.status?.collisionCount ?? 0) + 1
    await writeStatus(options, set, { ...currentStatus(options, set, pods, ''), collisionCount })
    return waitForChange
  }
  const hash = found.revision.metadata.labels?.[revisionHashLabel] ?? ''
  const waiting = control.expectations.remaining(key)
  let failure: unknown
  let again = waiting === 0 ? waitForChange : lookAgain(waiting + 1)
  if (waiting === 0)
    again = await steer(options, control, endings, set, pods, hash).catch((error: unknown) => {
      failure = error
      return waitForChange
    })
  await writeStatus(options, set, currentStatus(options, set, pods, hash))
  if (failure !== undefined) throw failure
  await trimHistory(client, set, known, (revision) => {
    const own = revision.metadata.labels?.[revisionHashLabel]
    return own === hash || pods.some((pod) => pod.metadata.labels?.[revisionHashLabel] === own)
  })
  const waits = pods
    .map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, clock.now()) ?? 0)
    .filter((wait) => wait > 0)
  return waits.length === 0 ? again : earliest(again, lookAgain(Math.min(...waits) + 1))
}

async function steer(
  options: DaemonSetControllerOptions,
  control: PodControl,
  endings: Endings,
  set: DaemonSet,
  pods: readonly Pod[],
  hash: string,
): Promise<Outcome> {
  const { nodes, clock, random } = options
  const plan = planDaemonSet(set, nodes.store.list(), pods, hash, clock.now())
  const pauses = plan.ended.map((pod) => ({ pod, left: pauseFor(options, endings, set, pod) }))
  const later = new Set(pauses.filter(({ left }) => left > 0).map(({ pod }) => pod))
  const remove = plan.remove.filter((pod) => !later.has(pod)).slice(0, burst)
  for (const pod of plan.ended)
    if (!later.has(pod)) {
      const isFailed = pod.status?.phase === 'Failed'
      options.events.event(set, {
        type: isFailed ? 'Warning' : 'Normal',
        reason: isFailed ? 'FailedDaemonPod' : 'SucceededDaemonPod',
        message: `Found ${isFailed ? 'failed' : 'succeeded'} daemon pod ${keyOf(pod)} on node ${pod.spec.nodeName}, will try to ${isFailed ? 'kill' : 'delete'} it`,
      })
    }
  const drafts = plan.create.slice(0, burst).map((name) => daemonPod(set, name, hash, random))
  await control.delete(set, remove)
  await control.create(set, drafts)
  const left = pauses.map((pause) => pause.left).filter((pause) => pause > 0)
  return left.length === 0 ? waitForChange : lookAgain(Math.min(...left))
}

/** Milliseconds until the ended pod may be replaced; counts the ending when it may. */
function pauseFor({ clock }: DaemonSetControllerOptions, endings: Endings, set: DaemonSet, pod: Pod): number {
  const key = keyOf(set)
  const ofSet = endings.get(key) ?? new Map()
  endings.set(key, ofSet)
  const node = targetNode(pod) ?? ''
  const now = clock.monotonic()
  const known = ofSet.get(node)
  // Twice the longest pause without trouble clears the record.
  const isFresh = known === undefined || now - known.lastAt > 2 * restartPause.max
  const left = isFresh ? 0 : Math.max(0, known.lastAt + backoffDelay(restartPause, known.inARow) - now)
  if (left === 0) ofSet.set(node, { inARow: isFresh ? 1 : known.inARow + 1, lastAt: now })
  return left
}

function currentStatus(
  { nodes, clock }: DaemonSetControllerOptions,
  set: DaemonSet,
  pods: readonly Pod[],
  hash: string,
) {
  return daemonSetStatus(set, nodes.store.list(), pods, hash, clock.now())
}

async function writeStatus(
  { client }: DaemonSetControllerOptions,
  set: DaemonSet,
  status: NonNullable<DaemonSet['status']>,
): Promise<void> {
  if (deepEqual(status, set.status ?? {})) return
  await client
    .update<DaemonSet>(resources.daemonSets, { ...set, status }, { subresource: 'status' })
    .catch((error: unknown) => {
      // Somebody changed the set meanwhile: that change brings the next pass.
      if (!isNotFound(error) && !isConflict(error)) throw error
    })
}
