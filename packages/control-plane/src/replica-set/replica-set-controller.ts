import { type Client, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  earliest,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import {
  compileLabelSelector,
  deepEqual,
  keyOf,
  type LabelMatcher,
  type Pod,
  type ReplicaSet,
  type ReplicationController,
  type ResourceRef,
  resources,
} from '@outrigger/kube'
import { claimObjects } from '../pods/claim.ts'
import { PodControl } from '../pods/pod-control.ts'
import { podFromTemplate } from '../pods/pod-from-template.ts'
import { isPodActive, untilAvailable } from '../pods/pod-state.ts'
import { podsToDelete } from './deletion-order.ts'
import { type Replicated, replicaSetStatus } from './replica-set-status.ts'

interface SharedOptions {
  readonly client: Client
  /** Needs the indexes `owner` and `orphans`. */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface ReplicaSetControllerOptions extends SharedOptions {
  /** Needs the index `namespace`. */
  readonly replicaSets: Informer<ReplicaSet>
}

export interface ReplicationControllerOptions extends SharedOptions {
  /** Needs the index `namespace`. */
  readonly replicationControllers: Informer<ReplicationController>
}

interface ReplicatedOptions<T extends Replicated> extends SharedOptions {
  readonly name: string
  readonly resource: ResourceRef
  readonly sets: Informer<T>
  readonly selectorOf: (set: T) => LabelMatcher
}

/** At most so many pods are made or removed in one pass. */
const burst = 500

/**
 * Keeps as many pods as each ReplicaSet wants: adopts and releases by selector, creates with slow
 * start, deletes the least useful first. Source: kubernetes/pkg/controller/replicaset.
 */
export function createReplicaSetController(options: ReplicaSetControllerOptions): Runnable {
  return createReplicatedController<ReplicaSet>({
    ...options,
    name: 'replicaset',
    resource: resources.replicaSets,
    sets: options.replicaSets,
    selectorOf: (set) => compileLabelSelector(set.spec.selector),
  })
}

/** The same for ReplicationControllers, whose selector is a plain map of labels. */
export function createReplicationControllerController(options: ReplicationControllerOptions): Runnable {
  return createReplicatedController<ReplicationController>({
    ...options,
    name: 'replicationcontroller',
    resource: resources.replicationControllers,
    sets: options.replicationControllers,
    selectorOf: (set) =>
      compileLabelSelector(set.spec.selector === undefined ? undefined : { matchLabels: set.spec.selector }),
  })
}

function createReplicatedController<T extends Replicated>(options: ReplicatedOptions<T>): Runnable {
  const { sets, pods } = options
  const control = new PodControl({ ...options, ownerKind: options.resource.kind })
  return createController({
    ...options,
    concurrency: 5,
    informers: [sets, pods],
    sources: [
      (enqueue) =>
        sets.onChange({
          onAdd: (set) => enqueue(keyOf(set)),
          onUpdate: (set) => enqueue(keyOf(set)),
          onDelete: (set) => control.expectations.forget(keyOf(set)),
        }),
      (enqueue) =>
        control.connect(enqueue, (pod) => {
          if (pod.metadata.labels === undefined) return
          for (const set of sets.store.byIndex('namespace', pod.metadata.namespace ?? ''))
            if (options.selectorOf(set).matches(pod.metadata.labels)) enqueue(keyOf(set))
        }),
    ],
    reconcile: (key) => reconcileReplicas(options, control, key),
  })
}

async function reconcileReplicas<T extends Replicated>(
  options: ReplicatedOptions<T>,
  control: PodControl,
  key: string,
): Promise<Outcome> {
  const set = options.sets.store.get(key)
  if (set === undefined) return waitForChange
  const owned = await claimObjects<Pod>({
    client: options.client,
    owner: set,
    ownerResource: options.resource,
    resource: resources.pods,
    selector: options.selectorOf(set),
    owned: control.ownedBy(set),
    orphans: options.pods.store.byIndex('orphans', set.metadata.namespace ?? ''),
    mayAdopt: isPodActive,
  })
  const waiting = control.expectations.remaining(key)
  let failure: unknown
  if (set.metadata.deletionTimestamp === undefined && waiting === 0) {
    failure = await balance(options, control, set, owned.filter(isPodActive)).then(
      () => undefined,
      (error: unknown) => error,
    )
  }
  const again = await writeStatus(options, set, owned, failure)
  if (failure !== undefined) throw failure
  return waiting === 0 ? again : earliest(again, lookAgain(waiting + 1))
}

async function balance<T extends Replicated>(
  { random }: ReplicatedOptions<T>,
  control: PodControl,
  set: T,
  active: readonly Pod[],
): Promise<void> {
  const missing = (set.spec.replicas ?? 1) - active.length
  const { template } = set.spec
  if (missing > 0 && template !== undefined) {
    const drafts = Array.from({ length: Math.min(missing, burst) }, () =>
      podFromTemplate(template, set, random),
    )
    await control.create(set, drafts)
  }
  if (missing < 0) await control.delete(set, podsToDelete(active, Math.min(-missing, burst)))
}

async function writeStatus<T extends Replicated>(
  options: ReplicatedOptions<T>,
  set: T,
  owned: readonly Pod[],
  failure: unknown,
): Promise<Outcome> {
  const now = options.clock.now()
  const waits = owned
    .filter(isPodActive)
    .map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, now))
  const available = waits.filter((wait) => wait === 0).length
  const status = replicaSetStatus(set, { owned, available, failure, now })
  if (!deepEqual(status, set.status ?? {})) {
    await options.client
      .update<T>(options.resource, { ...set, status }, { subresource: 'status' })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
  }
  const pending = waits.filter((wait) => wait !== undefined && wait > 0) as number[]
  return pending.length === 0 ? waitForChange : lookAgain(Math.min(...pending) + 1)
}
