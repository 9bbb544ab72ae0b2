import { type Client, isNotFound } from '@outrigger/client'
import {
  createExpectations,
  type Enqueue,
  type EventRecorder,
  type Expectations,
  type Informer,
} from '@outrigger/controller'
import { type Clock, messageOf } from '@outrigger/foundation'
import { type Draft, type KubeObject, keyOf, type Pod, parseKey, resources } from '@outrigger/kube'
import { isNamespaceTerminating } from '../namespace/terminating.ts'
import { controllerReference, controllerUid } from '../ownership.ts'

export interface PodControlOptions {
  readonly client: Client
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  /** Only pods controlled by objects of this kind are looked at. */
  readonly ownerKind: string
}

/**
 * Makes and removes the pods of one kind of workload, remembers what the cache does not show yet, says
 * in events what it did, and turns pod events into keys of owners.
 */
export class PodControl {
  readonly expectations: Expectations
  readonly #options: PodControlOptions

  constructor(options: PodControlOptions) {
    this.#options = options
    this.expectations = createExpectations({ clock: options.clock })
  }

  /** Pods of a workload, by its uid, as the cache has them. */
  ownedBy(owner: KubeObject): readonly Pod[] {
    return this.#options.pods.store.byIndex('owner', owner.metadata.uid ?? '')
  }

  /** A controller's source: the owners of pods that change. `onOrphan` is told of pods without controller. */
  connect(enqueue: Enqueue, onOrphan?: (pod: Pod) => void): () => void {
    const look = (pod: Pod) => {
      const owner = controllerReference(pod)
      if (owner === undefined) onOrphan?.(pod)
      else if (owner.kind === this.#options.ownerKind) enqueue(`${pod.metadata.namespace}/${owner.name}`)
    }
    return this.#options.pods.onChange({
      onAdd: (pod) => {
        const key = this.#ownerKey(pod)
        if (key !== undefined) {
          this.expectations.observeCreation(key, pod.metadata.name)
          if (pod.metadata.deletionTimestamp !== undefined) this.#observeGoing(pod)
        }
        look(pod)
      },
      onUpdate: (pod, before) => {
        if (pod.metadata.deletionTimestamp !== undefined) this.#observeGoing(pod)
        if (controllerUid(before) !== controllerUid(pod)) look(before)
        look(pod)
      },
      onDelete: (pod) => {
        this.#observeGoing(pod)
        look(pod)
      },
    })
  }

  /**
   * Creates pods in batches of 1, 2, 4 ...: a template that is refused costs one request and not
   * hundreds. @throws what the server refused with.
   */
  async create(owner: KubeObject, drafts: readonly Draft<Pod>[]): Promise<void> {
    for (let done = 0, size = 1; done < drafts.length; done += size, size *= 2) {
      const batch = drafts.slice(done, done + size)
      this.expectations.expectCreations(
        keyOf(owner),
        batch.map((draft) => draft.metadata.name ?? ''),
      )
      throwFirst(await Promise.allSettled(batch.map((draft) => this.#createOne(owner, draft))))
    }
  }

  /** Deletes pods at the same time. @throws what the server refused with; pods that are gone do not count. */
  async delete(owner: KubeObject, doomed: readonly Pod[]): Promise<void> {
    this.expectations.expectDeletions(
      keyOf(owner),
      doomed.map((pod) => pod.metadata.uid ?? ''),
    )
    throwFirst(await Promise.allSettled(doomed.map((pod) => this.#deleteOne(owner, pod))))
  }

  async #createOne(owner: KubeObject, draft: Draft<Pod>): Promise<void> {
    const { client, events } = this.#options
    try {
      const pod = await client.create<Pod>(resources.pods, draft)
      const message = `Created pod: ${pod.metadata.name}`
      events.event(owner, { type: 'Normal', reason: 'SuccessfulCreate', message })
    } catch (error) {
      this.expectations.observeCreation(keyOf(owner), draft.metadata.name ?? '')
      // The owner is about to go too; retrying or telling anybody would help nobody.
      if (isNamespaceTerminating(error)) return
      const message = `Error creating: ${messageOf(error)}`
      events.event(owner, { type: 'Warning', reason: 'FailedCreate', message })
      throw error
    }
  }

  async #deleteOne(owner: KubeObject, pod: Pod): Promise<void> {
    const { client, events } = this.#options
    const uid = pod.metadata.uid ?? ''
    try {
      await client.delete(resources.pods, parseKey(keyOf(pod)), { preconditions: { uid } })
      const message = `Deleted pod: ${pod.metadata.name}`
      events.event(owner, { type: 'Normal', reason: 'SuccessfulDelete', message })
    } catch (error) {
      this.expectations.observeDeletion(keyOf(owner), uid)
      if (isNotFound(error)) return
      const message = `Error deleting: ${messageOf(error)}`
      events.event(owner, { type: 'Warning', reason: 'FailedDelete', message })
      throw error
    }
  }

  #ownerKey(pod: Pod): string | undefined {
    const owner = controllerReference(pod)
    return owner?.kind === this.#options.ownerKind ? `${pod.metadata.namespace}/${owner.name}` : undefined
  }

  #observeGoing(pod: Pod): void {
    const key = this.#ownerKey(pod)
    if (key !== undefined) this.expectations.observeDeletion(key, pod.metadata.uid ?? '')
  }
}

function throwFirst(outcomes: readonly PromiseSettledResult<void>[]): void {
  const refused = outcomes.find((outcome) => outcome.status === 'rejected')
  if (refused !== undefined) throw refused.reason
}
