import { podAnnotations, virtualNodeNames } from '@outrigger/api'
import { ApiError, type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  type EventDraft,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  type Source,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, formatMicroTime } from '@outrigger/foundation'
import { type SidecarSetIndex, selectSidecarSets } from '@outrigger/injection'
import { keyOf, type Labels, type Pod, parseKey, resources } from '@outrigger/kube'
import { ownerOf, type ReplaceableOwner } from './replaceable-owner.ts'
import { replacedUid, replacementMark } from './replacement-mark.ts'
import { maxFailures, ReplacementPace } from './replacement-pace.ts'
import { reasonToStay, verdictOn } from './replacement-verdict.ts'

export interface OverflowReplacementOptions {
  readonly client: Pick<Client, 'get' | 'patch' | 'delete'>
  readonly clock: Clock
  readonly events: Pick<EventRecorder, 'event'>
  readonly pods: Informer<Pod>
  readonly sidecarSets: SidecarSetIndex
  namespaceLabels(namespace: string): Labels | undefined
  /** Whether a pod created now would be asked about. Nothing is deleted before. */
  isAnswering(): boolean
}

/** What the label controller asks when a pod cannot be given its sidecars where it is. */
export interface OverflowReplacement {
  /**
   * Goes one step on with a pod whose label was refused. `undefined`: replacing it would not help.
   *
   * @throws ApiError also when another writer was faster; then the pod is to be looked at again.
   */
  consider(pod: Pod, refusal: ApiError, signal: AbortSignal): Promise<Outcome | undefined>
  /** Wakes pods that wait for their turn. */
  readonly source: Source
}

/** Milliseconds between mark and deletion: until then every replica's watch has shown the mark. */
const settleTime = 1_000
const lookInterval = 60_000
const rightsRemedy = 'outrigger install --replace-overflow-pods gives the manager the right to delete pods'
const retryInterval = 2_000

/**
 * Replaces pods that came to a virtual node without their sidecars, where the API server lets nobody add containers:
 * marks the pod, then deletes it, and the pod its owner makes instead is sent there from the start.
 *
 * Any step may be the last of a process. A pod that is marked and not deleted is marked and deleted by the next leader; one
 * that is deleted is replaced by its owner whoever lives; a replacement nobody recognized is a pod like any other, and
 * comes round again if it overflows.
 */
export function createOverflowReplacement(options: OverflowReplacementOptions): OverflowReplacement {
  return new Replacement(options)
}

class Replacement implements OverflowReplacement {
  readonly #options: OverflowReplacementOptions
  readonly #pace: ReplacementPace
  /** By owner: keys of pods whose turn is later. */
  readonly #waiting = new Map<string, Set<string>>()

  constructor(options: OverflowReplacementOptions) {
    this.#options = options
    this.#pace = new ReplacementPace(options.clock)
  }

  readonly source: Source = (enqueue) => {
    const gone = (pod: Pod) => {
      const verdict = ownerOf(pod)
      if (!verdict.isReplaceable) return
      const { key } = verdict.owner
      this.#pace.gone(key, pod.metadata.uid ?? '')
      this.#leaveQueue(key, keyOf(pod))
    }
    const seen = (pod: Pod) => {
      const uid = replacedUid(pod)
      const verdict = uid === undefined ? undefined : ownerOf(pod)
      if (uid === undefined || !verdict?.isReplaceable) return
      const { key } = verdict.owner
      this.#pace.succeeded(key, uid)
      for (const waiting of [...(this.#waiting.get(key) ?? [])].slice(0, this.#pace.room(key))) {
        this.#leaveQueue(key, waiting)
        enqueue(waiting)
      }
    }
    return this.#options.pods.onChange({
      onAdd: seen,
      onUpdate: (pod, before) => {
        if (pod.metadata.uid === before.metadata.uid) return
        gone(before)
        seen(pod)
      },
      onDelete: gone,
    })
  }

  async consider(pod: Pod, refusal: ApiError, signal: AbortSignal): Promise<Outcome | undefined> {
    const sidecarSets = this.#sidecarSetsFor(pod)
    const verdict = verdictOn(pod, refusal, sidecarSets)
    if (verdict.is === 'not ours') return undefined
    const missing = `The pod is on virtual node ${pod.spec.nodeName} without the containers of SidecarSet ${sidecarSets.join(', ')}, and this API server lets containers be added only when a pod is created`
    if (verdict.is === 'to wait') {
      this.#say(pod, needsReplacement(`${missing}. It is not started, and not replaced: ${verdict.reason}`))
      return lookAgain(lookInterval)
    }
    const { owner } = verdict
    const turn = this.#pace.enter(owner.key, pod.metadata.uid ?? '')
    if (turn.is === 'now') return this.#replace(pod, { owner, missing, markedAt: turn.markedAt }, signal)
    if (turn.is === 'never') {
      const given = `${turn.failures} attempts to replace pods of ${nameOf(owner)} brought none with sidecars, so no more are made`
      this.#say(pod, needsReplacement(`${missing}. It is not started; ${given}`))
      return lookAgain(lookInterval)
    }
    if (turn.failures > 0)
      this.#say(
        pod,
        needsReplacement(
          `${missing}. It is replaced after a pause: ${turn.failures} of ${maxFailures} attempts for ${nameOf(owner)} brought no pod with sidecars`,
        ),
      )
    this.#joinQueue(owner.key, keyOf(pod))
    return lookAgain(turn.after)
  }

  async #replace(pod: Pod, step: Step, signal: AbortSignal): Promise<Outcome> {
    const { clock, client } = this.#options
    const { owner, markedAt } = step
    const uid = pod.metadata.uid ?? ''
    if (!this.#options.isAnswering()) return lookAgain(retryInterval)
    const age = markedAt === undefined ? undefined : clock.monotonic() - markedAt
    if (age !== undefined && age < settleTime) return lookAgain(settleTime - age)
    try {
      // What decides is what the API server has now, with all the statuses that our cache leaves out.
      const live = await client.get<Pod>(resources.pods, parseKey(keyOf(pod)), { signal })
      const stays = live.metadata.uid === uid ? reasonToStay(live) : 'it is another pod'
      if (stays !== undefined) {
        this.#pace.left(owner.key, uid)
        return lookAgain(lookInterval)
      }
      if (live.metadata.deletionTimestamp !== undefined) return waitForChange
      if (age === undefined) return await this.#mark(live, owner, signal)
      return await this.#delete(live, step, signal)
    } catch (error) {
      if (isNotFound(error)) return waitForChange
      if (isConflict(error) || !(error instanceof ApiError) || ![400, 403, 422].includes(error.code))
        throw error
      this.#pace.failed(owner.key, uid)
      const remedy = error.reason === 'Forbidden' ? ` (${rightsRemedy})` : ''
      this.#say(pod, needsReplacement(`${step.missing}. It could not be replaced: ${error.message}${remedy}`))
      return lookAgain(lookInterval)
    }
  }

  /**
   * Marked anew at each turn, so that every replica counts its hint from now. The mark promises a deletion, so that is tried
   * first, without doing it: who may not delete, or is kept from it, must not mark.
   */
  async #mark(live: Pod, owner: ReplaceableOwner, signal: AbortSignal): Promise<Outcome> {
    const { clock, client } = this.#options
    const { uid = '', resourceVersion } = live.metadata
    const key = parseKey(keyOf(live))
    await client.delete(resources.pods, key, { preconditions: preconditionsOf(live), dryRun: true, signal })
    const mark = replacementMark(uid, formatMicroTime(clock.now()))
    const body = {
      metadata: { uid, resourceVersion, annotations: { [podAnnotations.replacementMark]: mark } },
    }
    await client.patch<Pod>(resources.pods, key, { type: 'merge', body }, { signal })
    this.#pace.marked(owner.key, uid)
    return lookAgain(settleTime)
  }

  /**
   * A plain deletion, not an eviction: the pod is pending, and the eviction API asks no PodDisruptionBudget about pending
   * pods. The versions make sure that it is still the pod that was judged not to have started.
   */
  async #delete(live: Pod, { owner, missing }: Step, signal: AbortSignal): Promise<Outcome> {
    const preconditions = preconditionsOf(live)
    this.#pace.leaving(owner.key, live.metadata.uid ?? '')
    await this.#options.client.delete(resources.pods, parseKey(keyOf(live)), { preconditions, signal })
    const message = `${missing}. It was deleted before it started, so that ${nameOf(owner)} makes one that is sent to a virtual node and gets them at creation`
    this.#say(live, { type: 'Normal', reason: 'PodReplacedForSidecars', message })
    const { apiVersion, kind, name } = owner.reference
    const namespace = live.metadata.namespace ?? ''
    this.#options.events.event(
      { apiVersion, kind, metadata: { name, namespace, uid: owner.reference.uid } },
      {
        type: 'Normal',
        reason: 'PodReplacedForSidecars',
        message: `Deleted pod ${live.metadata.name}, which had not started: ${missing}`,
      },
    )
    return waitForChange
  }

  /** Those that match once the pod has the label. */
  #sidecarSetsFor(pod: Pod): string[] {
    const { sidecarSets, namespaceLabels } = this.#options
    const name = pod.metadata.namespace ?? ''
    const labels = { ...pod.metadata.labels, [virtualNodeNames.podLabel]: 'true' }
    const labelled = { ...pod, metadata: { ...pod.metadata, labels } }
    const { selected } = selectSidecarSets(labelled, {
      sidecarSets,
      namespace: { name, labels: namespaceLabels(name) },
    })
    return selected.map(({ metadata }) => metadata.name)
  }

  #say(pod: Pod, draft: EventDraft): void {
    this.#options.events.event({ ...pod, apiVersion: 'v1', kind: 'Pod' }, draft)
  }

  #joinQueue(owner: string, pod: string): void {
    const queue = this.#waiting.get(owner) ?? new Set()
    this.#waiting.set(owner, queue.add(pod))
  }

  #leaveQueue(owner: string, pod: string): void {
    const queue = this.#waiting.get(owner)
    if (queue?.delete(pod) && queue.size === 0) this.#waiting.delete(owner)
  }
}

/** This very state of this very pod. */
function preconditionsOf({ metadata: { uid, resourceVersion } }: Pod) {
  return { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) }
}

interface Step {
  readonly owner: ReplaceableOwner
  /** The sentence that says what the pod lacks and why. */
  readonly missing: string
  readonly markedAt: number | undefined
}

function nameOf({ reference: { kind, name } }: ReplaceableOwner): string {
  return `${kind} ${name}`
}

function needsReplacement(message: string): EventDraft {
  return {
    type: 'Warning',
    reason: 'SidecarsNeedReplacement',
    message: `${message}; pods with the label ${virtualNodeNames.eciLabel}: "true" in their template go there from the start`,
  }
}
