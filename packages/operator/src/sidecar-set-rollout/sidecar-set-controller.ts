import type { SidecarSet } from '@outrigger/api'
import type { Client } from '@outrigger/client'
import {
  type Controller,
  createController,
  type EventRecorder,
  earliest,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random } from '@outrigger/foundation'
import { rememberRevisionName, type SidecarSetIndex } from '@outrigger/injection'
import type { ControllerRevision, Namespace, Pod } from '@outrigger/kube'
import { Drains } from '../pod-service/drains.ts'
import type { RevisionHistory } from '../sidecar-set-history/revision-history.ts'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import type { JudgedSidecarSet, PodView } from '../sidecar-set-status/pod-view.ts'
import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { StatusWriter } from '../sidecar-set-status/status-writer.ts'
import { type Blocker, blockerOf } from './blocker.ts'
import { PodResizer } from './pod-resizer.ts'
import { PodWriter } from './pod-writer.ts'
import { Recreation } from './recreation.ts'
import { chooseRound, idleRound, isManaged, isRolling, type RolloutRound } from './rollout-round.ts'
import { writeSome } from './write-some.ts'

export interface SidecarSetControllerOptions {
  readonly client: Pick<Client, 'get' | 'list' | 'patch' | 'createSubresource'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  readonly sidecarSets: Informer<SidecarSet>
  readonly pods: Informer<Pod>
  readonly namespaces: Informer<Namespace>
  readonly feed: LedgerFeed
  readonly revisions: Informer<ControllerRevision>
  readonly history: Pick<RevisionHistory, 'nameOf' | 'contentOf' | 'find'>
  /** Follows `sidecarSets`: what new pods get. */
  readonly index: SidecarSetIndex
  readonly managerNamespace: string
  /** SidecarSets worked on at the same time. Defaults to 3. */
  readonly workers?: number
  /** How many pods have left a SidecarSet for other reasons, and are yet to be made anew. Default none. */
  owedElsewhere?(sidecarSet: string): number
  /** Whether a pod created now would be asked about: no pod is evicted for new content before. */
  isAnswering(): boolean
}

/** Rolls SidecarSets out. */
export interface SidecarSetController extends Controller {
  /** How many pods of a SidecarSet have left and are yet to be made anew, as far as it makes pods anew. */
  owedTo(sidecarSet: string): number
}

/** As OpenKruise calls its own: in events, metrics and logs. */
export const sidecarSetControllerName = 'sidecarset-controller'

/** Milliseconds in which changes of one SidecarSet's pods are gathered into one round. */
const coalescing = 250
/** Milliseconds without a move after which the status says what the matter is. */
const patience = 10_000
/** Milliseconds after which a pod is looked at again whose write did not go through. */
const soon = 1_000

/**
 * Keeps the status of every SidecarSet true and rolls changes out to running pods within the budget, each in the way its class
 * goes: new images and amounts in place, the rest by pods made anew. What a round decides follows from the present state of the objects alone, so that it can be taken up by any
 * replica at any point.
 */
export function createSidecarSetController(options: SidecarSetControllerOptions): SidecarSetController {
  const { sidecarSets, pods, namespaces, revisions, feed, workers = 3 } = options
  const rollouts = new Rollouts(options)
  const controller = createController({
    ...options,
    name: sidecarSetControllerName,
    reconcile: (name, signal) => rollouts.reconcile(name, signal),
    concurrency: workers,
    // Without revisions nothing is known of what pods carry.
    informers: [sidecarSets, pods, namespaces, revisions],
    sources: [
      (enqueue) => feed.listen({ sidecarSetChanged: (name) => enqueue(name, coalescing) }),
      (enqueue) => rollouts.recreation.follow((name) => enqueue(name, coalescing)),
    ],
  })
  return {
    name: controller.name,
    enqueue: controller.enqueue,
    run: (signal) => controller.run(signal),
    get statistics() {
      return controller.statistics
    },
    owedTo: (sidecarSet) => rollouts.recreation.owedTo(sidecarSet),
  }
}

/** The most milliseconds until a pod is tried again that a disruption budget did not let go. */
const busyPause = 8_000
/** The most evictions of one round: the next one sees what has become of them. */
const mostEvictions = 50

class Rollouts {
  readonly recreation: Recreation
  readonly #options: SidecarSetControllerOptions
  readonly #pods: PodWriter
  readonly #resizer: PodResizer
  readonly #drains: Drains
  readonly #statuses: StatusWriter
  /** By name: since when nothing moves, and how things stood then. */
  readonly #stalls = new Map<string, { readonly since: number; readonly reason: string }>()
  /** By name: how many pods were last said not to be upgradable, and for which content. */
  readonly #said = new Map<string, string>()

  constructor(options: SidecarSetControllerOptions) {
    this.#options = options
    const { client, clock, feed, history, sidecarSets, namespaces } = options
    const { ledger } = feed
    this.#pods = new PodWriter({ ...options, ledger })
    this.#drains = new Drains({ ...options, holdBack: (...refused) => this.#pods.holdBack(...refused) })
    this.#resizer = new PodResizer({
      ...{ client, clock, ledger },
      sidecarSetOf: (name) => sidecarSets.store.get(name),
      recordedContent: (sidecarSet, revision) => history.contentOf(sidecarSet, revision),
    })
    this.recreation = new Recreation({
      ...options,
      ledger,
      sidecarSets: options.index,
      revisions: history,
      namespaceLabels: (name) => namespaces.store.get(name)?.metadata.labels,
    })
    this.#statuses = new StatusWriter({
      ...{ client, clock },
      revisionNameOf: (sidecarSet) => history.nameOf(sidecarSet),
    })
  }

  async reconcile(name: string, signal: AbortSignal): Promise<Outcome> {
    const { sidecarSets, feed } = this.#options
    const sidecarSet = sidecarSets.store.get(name)
    const tally = feed.ledger.tallyOf(name)
    if (sidecarSet === undefined || tally === undefined) {
      this.#forget(name)
      return waitForChange
    }
    const expiry = this.recreation.expire(name)
    const pause = tally.waitingToRecreate > 0 ? this.recreation.pauseOf(sidecarSet) : undefined
    const round = isRolling(sidecarSet)
      ? chooseRound(
          tally,
          (view) =>
            this.#pods.isHeldBack(tally.set, view) || (pause !== undefined && view.way === 'recreate'),
          this.recreation.owedTo(name) + (this.#options.owedElsewhere?.(name) ?? 0),
        )
      : idleRound
    const { refusals, wait } = this.#pods.refusalsOf(tally)
    const blocker = isManaged(sidecarSet) ? blockerOf(tally, round, refusals, pause?.message) : undefined
    const stall = this.#stallOf(name, blocker)
    const written = await this.#statuses.write(sidecarSet, tally, stall.isDue ? blocker : undefined, signal)
    if (isRolling(sidecarSet)) this.#announce(sidecarSet, tally.kinds['not-upgradable'])
    const moved = await this.#move(sidecarSet, tally, round, signal)
    const waits = [wait, expiry, pause?.wait].flatMap((one) => (one === undefined ? [] : lookAgain(one)))
    return earliest(written, stall.outcome, moved, ...waits)
  }

  /** Resets finish what was begun, also while the rollout is paused. */
  async #move(
    sidecarSet: SidecarSet,
    tally: SidecarSetTally,
    round: RolloutRound,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { set } = tally
    const { name, resourceVersion = '1' } = sidecarSet.metadata
    // What changes how pods are judged makes another tally.
    const isCurrent = () => this.#options.feed.ledger.tallyOf(name) === tally
    const chosen = new Set(round.selected.map(({ key }) => key))
    const resets = [...tally.resettable]
      .filter((key) => !chosen.has(key))
      .flatMap((key) => tally.views.get(key) ?? [])
    // What was begun with a pod is finished, once it is drained if its containers restart then.
    const begun = [...tally.resizing]
      .flatMap((key) => tally.views.get(key) ?? [])
      .filter((view) => !this.#pods.isHeldBack(set, view))
    const prepared = await this.#drains.prepare(tally, [...round.selected, ...begun], isCurrent, signal)
    const { outcome } = prepared
    const due = prepared.due.filter(({ kind }) => kind === 'waiting')
    // What pods are told that they carry is recorded, under a name that cannot always be computed.
    // A recorded content has the name already.
    if (due.length + tally.resizing.size > 0)
      rememberRevisionName(set.sidecarSet, this.#options.history.nameOf(set.sidecarSet))
    const reset = resets.length > 0 ? await this.#pods.reset(set, resets, isCurrent, signal) : 0
    const resized = await this.#resize(sidecarSet, tally, due, isCurrent, signal)
    const inPlace = [...due.filter(({ way }) => way === 'images'), ...resized.inForce]
    // Hot upgrades number their steps by the version of the SidecarSet.
    const upgraded =
      inPlace.length > 0 ? await this.#pods.upgrade(set, resourceVersion, inPlace, isCurrent, signal) : 0
    const evicted = await this.#recreate(set, due, isCurrent, signal)
    const isBusy = reset + due.length > 0 || resized.isUnderWay
    if (!isBusy) return outcome
    const isWhole = upgraded === inPlace.length && evicted.isWhole && !resized.isUnderWay
    return earliest(outcome, lookAgain(isWhole ? coalescing : soon))
  }

  /** Takes a step with each pod that is to be resized or is being so; also while paused, for what was begun is finished. */
  async #resize(
    sidecarSet: SidecarSet,
    { set, resizing, views }: SidecarSetTally,
    due: readonly PodView[],
    isCurrent: () => boolean,
    signal: AbortSignal,
  ): Promise<{ inForce: PodView[]; isUnderWay: boolean }> {
    const begun = [...resizing].flatMap((key) => views.get(key) ?? [])
    const all = [...begun, ...due.filter(({ way }) => way === 'resize')]
    const inForce: PodView[] = []
    let isUnderWay = false
    await writeSome(all, isCurrent, signal, async (view) => {
      const isForward =
        isManaged(sidecarSet) &&
        (view.way === 'resize' || view.way === 'images') &&
        set.picks(view.pod.metadata.labels ?? {}) &&
        !this.#pods.isHeldBack(set, view)
      const step = await this.#resizer.step(set, view, isForward, signal)
      const changed = step.is === 'in force' ? { ...view, pod: step.pod } : undefined
      // Its images wait until it is drained, if they restart containers.
      if (changed !== undefined && this.#drains.isDone(set, changed)) inForce.push(changed)
      else if (changed !== undefined || step.is === 'to look at again') isUnderWay = true
      else if (step.is === 'failed') {
        this.#pods.holdBack(set, view.pod, step.message)
        this.#pods.say(view.pod, 'Warning', 'SidecarResizeFailed', step.message)
      }
      return true
    })
    return { inForce, isUnderWay }
  }

  /** Evicts pods that are to be made anew. */
  async #recreate(
    set: JudgedSidecarSet,
    due: readonly PodView[],
    isCurrent: () => boolean,
    signal: AbortSignal,
  ): Promise<{ isWhole: boolean }> {
    const leaving = due.filter(({ way }) => way === 'recreate').slice(0, mostEvictions)
    let left = leaving.length
    for (const view of leaving) {
      if (signal.aborted || !isCurrent() || !this.#options.isAnswering()) break
      const step = await this.recreation.evict(set, view, signal)
      if (step.is !== 'held back') left--
      // Room comes when other pods are ready: no reason to wait longer each time.
      else if (step.isBusy) this.#pods.holdBack(set, view.pod, step.message, soon, busyPause)
      else this.#pods.holdBack(set, view.pod, step.message)
    }
    return { isWhole: left === 0 }
  }

  /** A rollout pauses all the time for pods to become ready; only a longer stop is worth a word. */
  #stallOf(name: string, blocker: Blocker | undefined): { isDue: boolean; outcome: Outcome } {
    if (blocker === undefined) {
      this.#stalls.delete(name)
      return { isDue: false, outcome: waitForChange }
    }
    const now = this.#options.clock.monotonic()
    const known = this.#stalls.get(name)
    const since = known?.reason === blocker.reason ? known.since : now
    this.#stalls.set(name, { since, reason: blocker.reason })
    const left = since + patience - now
    return left > 0 ? { isDue: false, outcome: lookAgain(left) } : { isDue: true, outcome: waitForChange }
  }

  #announce(sidecarSet: SidecarSet, count: number): void {
    const { name, annotations } = sidecarSet.metadata
    const text = count > 0 ? `${count} ${annotations?.['kruise.io/sidecarset-hash']}` : ''
    if (this.#said.get(name) === text) return
    this.#said.set(name, text)
    if (count === 0) return
    this.#options.events.event(
      { ...sidecarSet, kind: 'SidecarSet' },
      {
        type: 'Normal',
        reason: 'NotUpgradablePods',
        message: `SidecarSet in-place update detected ${count} not upgradable pod(s) in this round, will skip them.`,
      },
    )
  }

  #forget(name: string): void {
    this.#stalls.delete(name)
    this.#said.delete(name)
    this.#statuses.forget(name)
    this.#pods.forget(name)
  }
}
