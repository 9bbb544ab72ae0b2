import { drainTimeOf } from '@outrigger/api'
import { ApiError, type Client, isConflict, isNotFound } from '@outrigger/client'
import { type EventRecorder, earliest, lookAgain, type Outcome, waitForChange } from '@outrigger/controller'
import { type Clock, messageOf } from '@outrigger/foundation'
import { type Pod, type PodCondition, parseKey, resources } from '@outrigger/kube'
import { conditionBody } from '../pod-condition/pod-condition-controller.ts'
import { writeSome } from '../sidecar-set-rollout/write-some.ts'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import type { JudgedSidecarSet, PodView } from '../sidecar-set-status/pod-view.ts'
import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { trimmedPod } from '../sidecar-set-status/trimmed-pod.ts'
import { type DrainStep, drainDeadline, drainStep } from './drain-step.ts'
import { type Listings, readListings, slicesOf } from './listing-slices.ts'
import { closedCondition, type OutOfService, openCondition } from './pod-service.ts'

export interface DrainsOptions {
  readonly client: Pick<Client, 'patch' | 'list'>
  readonly clock: Clock
  readonly events: Pick<EventRecorder, 'event'>
  readonly feed: Pick<LedgerFeed, 'setWritten'>
  /** Keeps a pod from being tried again for a while: `pause` milliseconds at first. */
  holdBack(set: JudgedSidecarSet, pod: Pod, message: string, pause?: number): void
}

/** What may be done with the pods of a round. */
export interface PreparedPods {
  /** Their images may change now. */
  readonly due: readonly PodView[]
  /** When to look at the others again. */
  readonly outcome: Outcome
}

/** Milliseconds after which endpoints are asked for again: often at first, seldom later. */
const impatient = 500
const patient = 5_000

type Work = { readonly view: PodView; readonly step: DrainStep | { readonly next: 'release' } }

/**
 * Takes pods out of their Services before their sidecars restart. Every step is one write that the pod's state alone calls
 * for, so a manager may end between any two, and another goes on.
 */
export class Drains {
  readonly #options: DrainsOptions

  constructor(options: DrainsOptions) {
    this.#options = options
  }

  /**
   * Moves each pod of a round one step towards its change, and takes those back in that are drained for this SidecarSet and
   * are not in the round. A pod that is due is out of service in the very version that the round has seen of it.
   */
  async prepare(
    tally: SidecarSetTally,
    selected: readonly PodView[],
    isCurrent: () => boolean,
    signal: AbortSignal,
  ): Promise<PreparedPods> {
    const { set, draining } = tally
    const duration = drainTimeOf(set.sidecarSet)
    if (duration === undefined && draining.size === 0) return { due: selected, outcome: waitForChange }
    const chosen = new Set(selected.map(({ key }) => key))
    const work: Work[] = [...draining]
      .filter((key) => !chosen.has(key))
      .flatMap((key) => tally.views.get(key) ?? [])
      .map((view) => ({ view, step: { next: 'release' } }))
    const due: PodView[] = []
    let outcome = waitForChange
    const now = this.#options.clock.now()
    for (const view of selected) {
      const step = drainStep(view, duration, now)
      if (step.next === 'change') due.push(view)
      else if (step.next === 'wait') outcome = earliest(outcome, lookAgain(step.milliseconds))
      else work.push({ view, step })
    }
    if (work.length === 0) return { due, outcome }
    const look = this.#looker(signal)
    await writeSome(work, isCurrent, signal, (item) => this.#take(set, item, look, signal))
    return { due, outcome: earliest(outcome, lookAgain(pauseFor(work, now))) }
  }

  /** Whether the images of this pod may change now, as far as traffic is concerned. */
  isDone({ sidecarSet }: JudgedSidecarSet, view: PodView): boolean {
    return drainStep(view, drainTimeOf(sidecarSet), this.#options.clock.now()).next === 'change'
  }

  async #take(
    set: JudgedSidecarSet,
    { view, step }: Work,
    look: (namespace: string) => Promise<Listings>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const now = this.#options.clock.now()
    switch (step.next) {
      case 'close':
        return this.#close(set, view, look, signal)
      case 'release':
        return this.#write(set, view.pod, openCondition(now), signal)
      case 'look':
        return this.#confirm(set, view, step, look, signal)
      case 'give up':
        return this.#giveUp(set, view.pod, step.why, signal)
      default:
        return false
    }
  }

  /** Takes a pod out of its Services, if it can be seen afterwards whether they have let go of it. */
  async #close(
    set: JudgedSidecarSet,
    { pod, target }: PodView,
    look: (namespace: string) => Promise<Listings>,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      await look(pod.metadata.namespace ?? '')
    } catch (error) {
      if (!isForbidden(error)) throw error
      this.#options.holdBack(set, pod, `not drained, so not restarted: ${messageOf(error)}`, drainDeadline)
      return false
    }
    const { name: sidecarSet } = set.sidecarSet.metadata
    const service = { sidecarSet, hash: target.hash, since: this.#options.clock.now(), listedIn: [] }
    return this.#write(set, pod, closedCondition(service), signal)
  }

  /** Writes down that traffic has ended, or who still sends it. */
  async #confirm(
    set: JudgedSidecarSet,
    { pod }: PodView,
    { service, isLast }: { readonly service: OutOfService; readonly isLast: boolean },
    look: (namespace: string) => Promise<Listings>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock } = this.#options
    let listedIn: readonly string[]
    try {
      listedIn = slicesOf(await look(pod.metadata.namespace ?? ''), pod)
    } catch (error) {
      if (!isForbidden(error)) throw error
      // Without the right nothing can be confirmed, and nothing is restarted.
      return this.#giveUp(set, pod, messageOf(error), signal)
    }
    const now = clock.now()
    if (listedIn.length === 0) {
      const drained = { ...service, listedIn, drainedAt: now }
      return this.#write(set, pod, closedCondition(drained), signal)
    }
    const names = listedIn.join(', ')
    if (isLast)
      return this.#giveUp(
        set,
        pod,
        `EndpointSlices ${names} still send it traffic ${drainDeadline / 1_000} s after it was taken out of service`,
        signal,
      )
    const isWorthAWord = now - service.since > patient && names !== service.listedIn.join(', ')
    if (!isWorthAWord) return false
    return this.#write(set, pod, closedCondition({ ...service, listedIn }), signal)
  }

  async #giveUp(set: JudgedSidecarSet, pod: Pod, why: string, signal: AbortSignal): Promise<boolean> {
    const isOpen = await this.#write(set, pod, openCondition(this.#options.clock.now()), signal)
    if (!isOpen) return false
    const message = `not drained, so not restarted: ${why}`
    // No sooner than it was away: a pod that cannot be drained should serve most of the time.
    this.#options.holdBack(set, pod, message, drainDeadline)
    this.#options.events.event(
      { ...pod, apiVersion: 'v1', kind: 'Pod' },
      {
        type: 'Warning',
        reason: 'DrainNotConfirmed',
        message: `SidecarSet ${set.sidecarSet.metadata.name}: ${message}`,
      },
    )
    return true
  }

  async #write(
    set: JudgedSidecarSet,
    pod: Pod,
    condition: PodCondition,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { namespace = '', name } = pod.metadata
    try {
      const written = await this.#options.client.patch<Pod>(
        resources.pods,
        parseKey(`${namespace}/${name}`),
        { type: 'strategic', body: conditionBody(pod, condition) },
        { subresource: 'status', signal },
      )
      this.#options.feed.setWritten(trimmedPod(written), pod)
      return true
    } catch (error) {
      // The cache was behind, or the pod is gone: its event brings us back.
      if (isNotFound(error) || isConflict(error)) return false
      if (!(error instanceof ApiError) || error.code >= 500 || error.code === 429) throw error
      this.#options.holdBack(set, pod, messageOf(error))
      return false
    }
  }

  /** Asks for the endpoints of each namespace once in a pass. */
  #looker(signal: AbortSignal): (namespace: string) => Promise<Listings> {
    const asked = new Map<string, Promise<Listings>>()
    return (namespace) => {
      const known = asked.get(namespace)
      if (known !== undefined) return known
      const answer = readListings(this.#options.client, namespace, signal)
      asked.set(namespace, answer)
      return answer
    }
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof ApiError && error.code === 403
}

/** Pods that were taken out long ago and are still sent traffic are not asked about all the time. */
function pauseFor(work: readonly Work[], now: number): number {
  const areOld = work.every(({ step }) => step.next === 'look' && now - step.service.since > patient)
  return areOld ? patient : impatient
}
