import { type Client, isNotFound } from '@outrigger/client'
import {
  createController,
  createExpectations,
  type EventRecorder,
  type Expectations,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  type Clock,
  formatTime,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import {
  compileLabelSelector,
  deepEqual,
  keyOf,
  type Pod,
  parseKey,
  type ReplicaSet,
  type ReplicaSetCondition,
  type ReplicaSetStatus,
  resources,
} from '@outrigger/kube'
import { controllerReference, controllerUid } from '../ownership.ts'
import { podFromTemplate } from '../pod-from-template.ts'
import { isPodActive, isPodReady, untilAvailable } from '../pod-state.ts'
import { podsToDelete } from './deletion-order.ts'

export interface ReplicaSetControllerOptions {
  readonly client: Client
  readonly replicaSets: Informer<ReplicaSet>
  /** Needs the index `owner` (uid of the controlling owner, empty for orphans). */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** At most so many pods are made or removed in one pass. */
const burst = 500

/**
 * Keeps as many pods as each ReplicaSet wants: adopts and releases by selector, creates with slow
 * start, deletes the least useful first. Source: kubernetes/pkg/controller/replicaset.
 */
export function createReplicaSetController(options: ReplicaSetControllerOptions): Runnable {
  const { replicaSets, pods, clock, random, logger } = options
  const expectations = createExpectations({ clock })
  return createController({
    name: 'replicaset',
    clock,
    random,
    logger,
    concurrency: 5,
    informers: [replicaSets, pods],
    sources: [
      (enqueue) =>
        replicaSets.onChange({
          onAdd: (set) => enqueue(keyOf(set)),
          onUpdate: (set) => enqueue(keyOf(set)),
          onDelete: (set) => expectations.forget(keyOf(set)),
        }),
      (enqueue) => {
        const enqueueOwner = (pod: Pod) => {
          const owner = controllerReference(pod)
          if (owner?.kind === 'ReplicaSet') enqueue(`${pod.metadata.namespace}/${owner.name}`)
          if (owner === undefined) enqueueSelecting(replicaSets, pod, enqueue)
        }
        return pods.onChange({
          onAdd: (pod) => {
            const owner = controllerReference(pod)
            if (owner !== undefined)
              expectations.observeCreation(`${pod.metadata.namespace}/${owner.name}`, pod.metadata.name)
            enqueueOwner(pod)
          },
          onUpdate: (pod, before) => {
            if (pod.metadata.deletionTimestamp !== undefined) observeGoing(expectations, pod)
            if (controllerUid(before) !== controllerUid(pod)) enqueueOwner(before)
            enqueueOwner(pod)
          },
          onDelete: (pod) => {
            observeGoing(expectations, pod)
            enqueueOwner(pod)
          },
        })
      },
    ],
    reconcile: (key) => new ReplicaSetPass(options, expectations, key).run(),
  })
}

function observeGoing(expectations: Expectations, pod: Pod): void {
  const owner = controllerReference(pod)
  if (owner !== undefined)
    expectations.observeDeletion(`${pod.metadata.namespace}/${owner.name}`, pod.metadata.uid ?? '')
}

function enqueueSelecting(replicaSets: Informer<ReplicaSet>, pod: Pod, enqueue: (key: string) => void): void {
  if (pod.metadata.labels === undefined) return
  for (const set of replicaSets.store.byIndex('namespace', pod.metadata.namespace ?? '')) {
    if (compileLabelSelector(set.spec.selector).matches(pod.metadata.labels)) enqueue(keyOf(set))
  }
}

/** One look at one ReplicaSet. */
class ReplicaSetPass {
  readonly #options: ReplicaSetControllerOptions
  readonly #expectations: Expectations
  readonly #key: string

  constructor(options: ReplicaSetControllerOptions, expectations: Expectations, key: string) {
    this.#options = options
    this.#expectations = expectations
    this.#key = key
  }

  async run(): Promise<Outcome> {
    const set = this.#options.replicaSets.store.get(this.#key)
    if (set === undefined) return waitForChange
    const owned = await this.#claim(set)
    const active = owned.filter(isPodActive)
    let failure: unknown
    if (set.metadata.deletionTimestamp === undefined && this.#expectations.isSatisfied(this.#key)) {
      failure = await this.#balance(set, active).then(
        () => undefined,
        (error: unknown) => error,
      )
    }
    const again = await this.#writeStatus(set, owned, failure)
    if (failure !== undefined) throw failure
    return again
  }

  /** Pods that are this set's own, after adopting matching orphans and releasing strangers. */
  async #claim(set: ReplicaSet): Promise<readonly Pod[]> {
    const { pods, client } = this.#options
    const selector = compileLabelSelector(set.spec.selector)
    const matches = (pod: Pod) => selector.matches(pod.metadata.labels ?? {})
    const own = pods.store.byIndex('owner', set.metadata.uid ?? '')
    const kept = own.filter(matches)
    if (set.metadata.deletionTimestamp !== undefined) return kept
    for (const pod of own) {
      if (matches(pod)) continue
      const body = {
        metadata: { uid: pod.metadata.uid, ownerReferences: [{ $patch: 'delete', uid: set.metadata.uid }] },
      }
      await client
        .patch(resources.pods, parseKey(keyOf(pod)), { type: 'strategic', body })
        .catch(ignoreNotFound)
    }
    const orphans = pods.store
      .byIndex('orphans', set.metadata.namespace ?? '')
      .filter((pod) => isPodActive(pod) && matches(pod))
    for (const pod of orphans) {
      const reference = {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: set.metadata.name,
        uid: set.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      }
      const body = { metadata: { uid: pod.metadata.uid, ownerReferences: [reference] } }
      await client
        .patch(resources.pods, parseKey(keyOf(pod)), { type: 'strategic', body })
        .catch(ignoreNotFound)
    }
    return [...kept, ...orphans]
  }

  async #balance(set: ReplicaSet, active: readonly Pod[]): Promise<void> {
    const missing = (set.spec.replicas ?? 1) - active.length
    if (missing > 0) await this.#createPods(set, Math.min(missing, burst))
    if (missing < 0) await this.#deletePods(set, podsToDelete(active, Math.min(-missing, burst)))
  }

  /** In batches of 1, 2, 4 ...: a template that is refused costs one request and not five hundred. */
  async #createPods(set: ReplicaSet, count: number): Promise<void> {
    if (set.spec.template === undefined) return
    for (let done = 0, batch = 1; done < count; done += batch, batch = Math.min(2 * batch, count - done)) {
      const template = set.spec.template
      const drafts = Array.from({ length: batch }, () => podFromTemplate(template, set, this.#options.random))
      this.#expectations.expectCreations(
        this.#key,
        drafts.map((draft) => draft.metadata.name ?? ''),
      )
      const outcomes = await Promise.allSettled(drafts.map((draft) => this.#createPod(set, draft)))
      const refused = outcomes.find((outcome) => outcome.status === 'rejected')
      if (refused !== undefined) throw refused.reason
    }
  }

  async #createPod(set: ReplicaSet, draft: ReturnType<typeof podFromTemplate>): Promise<void> {
    const { client, events } = this.#options
    try {
      const pod = await client.create<Pod>(resources.pods, draft)
      events.event(set, {
        type: 'Normal',
        reason: 'SuccessfulCreate',
        message: `Created pod: ${pod.metadata.name}`,
      })
    } catch (error) {
      this.#expectations.observeCreation(this.#key, draft.metadata.name ?? '')
      events.event(set, {
        type: 'Warning',
        reason: 'FailedCreate',
        message: `Error creating: ${messageOf(error)}`,
      })
      throw error
    }
  }

  async #deletePods(set: ReplicaSet, doomed: readonly Pod[]): Promise<void> {
    const { client, events } = this.#options
    this.#expectations.expectDeletions(
      this.#key,
      doomed.map((pod) => pod.metadata.uid ?? ''),
    )
    const outcomes = await Promise.allSettled(
      doomed.map(async (pod) => {
        const uid = pod.metadata.uid ?? ''
        try {
          await client.delete(resources.pods, parseKey(keyOf(pod)), { preconditions: { uid } })
          events.event(set, {
            type: 'Normal',
            reason: 'SuccessfulDelete',
            message: `Deleted pod: ${pod.metadata.name}`,
          })
        } catch (error) {
          this.#expectations.observeDeletion(this.#key, uid)
          if (isNotFound(error)) return
          events.event(set, {
            type: 'Warning',
            reason: 'FailedDelete',
            message: `Error deleting: ${messageOf(error)}`,
          })
          throw error
        }
      }),
    )
    const refused = outcomes.find((outcome) => outcome.status === 'rejected')
    if (refused !== undefined) throw refused.reason
  }

  async #writeStatus(set: ReplicaSet, owned: readonly Pod[], failure: unknown): Promise<Outcome> {
    const now = this.#options.clock.now()
    const active = owned.filter(isPodActive)
    const waits = active.map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, now))
    const status = replicaSetStatus(set, {
      owned,
      active,
      available: waits.filter((wait) => wait === 0).length,
      failure,
      now,
    })
    if (!deepEqual(status, set.status ?? {})) {
      await this.#options.client
        .update<ReplicaSet>(resources.replicaSets, { ...set, status }, { subresource: 'status' })
        .catch(ignoreNotFound)
    }
    const pending = waits.filter((wait) => wait !== undefined && wait > 0) as number[]
    return pending.length === 0 ? waitForChange : lookAgain(Math.min(...pending) + 1)
  }
}

interface StatusFacts {
  readonly owned: readonly Pod[]
  readonly active: readonly Pod[]
  readonly available: number
  readonly failure: unknown
  readonly now: number
}

function replicaSetStatus(set: ReplicaSet, facts: StatusFacts): ReplicaSetStatus {
  const templateLabels = Object.entries(set.spec.template?.metadata?.labels ?? {})
  const labelled = facts.active.filter((pod) =>
    templateLabels.every(([key, value]) => pod.metadata.labels?.[key] === value),
  ).length
  const ready = facts.active.filter(isPodReady).length
  const terminating = facts.owned.filter(
    (pod) => pod.metadata.deletionTimestamp !== undefined && !isOver(pod),
  ).length
  const conditions = failureConditions(set, facts)
  return {
    replicas: facts.active.length,
    ...(labelled > 0 && { fullyLabeledReplicas: labelled }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(facts.available > 0 && { availableReplicas: facts.available }),
    terminatingReplicas: terminating,
    observedGeneration: set.metadata.generation ?? 0,
    ...(conditions.length > 0 && { conditions }),
  }
}

const isOver = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

function failureConditions(set: ReplicaSet, facts: StatusFacts): ReplicaSetCondition[] {
  const before = set.status?.conditions ?? []
  const others = before.filter((condition) => condition.type !== 'ReplicaFailure')
  if (facts.failure === undefined) return others
  const reason = facts.active.length < (set.spec.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete'
  const known = before.find((condition) => condition.type === 'ReplicaFailure')
  const message = messageOf(facts.failure)
  if (known?.reason === reason && known.message === message) return [...others, known]
  return [
    ...others,
    { type: 'ReplicaFailure', status: 'True', reason, message, lastTransitionTime: formatTime(facts.now) },
  ]
}

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error
}
