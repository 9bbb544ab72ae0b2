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
import { rememberRevisionName } from '@outrigger/injection'
import type { Namespace, Pod } from '@outrigger/kube'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { StatusWriter } from '../sidecar-set-status/status-writer.ts'
import { type Blocker, blockerOf } from './blocker.ts'
import { PodWriter } from './pod-writer.ts'
import { chooseRound, idleRound, isManaged, isRolling, type RolloutRound } from './rollout-round.ts'

export interface SidecarSetControllerOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  readonly sidecarSets: Informer<SidecarSet>
  readonly pods: Informer<Pod>
  readonly namespaces: Informer<Namespace>
  readonly feed: LedgerFeed
  /** SidecarSets worked on at the same time. Defaults to 3. */
  readonly workers?: number
  /** Name of the ControllerRevision that records the present content. */
  revisionNameOf(sidecarSet: SidecarSet): string
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
 * Keeps the status of every SidecarSet true and rolls changed images out to running pods, in place and within the
 * budget. What a round decides follows from the present state of the objects alone, so that it can be taken up by any
 * replica at any point.
 */
export function createSidecarSetController(options: SidecarSetControllerOptions): Controller {
  const { sidecarSets, pods, namespaces, feed, workers = 3 } = options
  const rollouts = new Rollouts(options)
  return createController({
    ...options,
    name: sidecarSetControllerName,
    reconcile: (name, signal) => rollouts.reconcile(name, signal),
    concurrency: workers,
    informers: [sidecarSets, pods, namespaces],
    sources: [(enqueue) => feed.listen({ sidecarSetChanged: (name) => enqueue(name, coalescing) })],
  })
}

class Rollouts {
  readonly #options: SidecarSetControllerOptions
  readonly #pods: PodWriter
  readonly #statuses: StatusWriter
  /** By name: since when nothing moves, and how things stood then. */
  readonly #stalls = new Map<string, { readonly since: number; readonly reason: string }>()
  /** By name: how many pods were last said not to be upgradable, and for which content. */
  readonly #said = new Map<string, string>()

  constructor(options: SidecarSetControllerOptions) {
    this.#options = options
    this.#pods = new PodWriter({ ...options, ledger: options.feed.ledger })
    this.#statuses = new StatusWriter(options)
  }

  async reconcile(name: string, signal: AbortSignal): Promise<Outcome> {
    const { sidecarSets, feed } = this.#options
    const sidecarSet = sidecarSets.store.get(name)
    const tally = feed.ledger.tallyOf(name)
    if (sidecarSet === undefined || tally === undefined) {
      this.#forget(name)
      return waitForChange
    }
    const round = isRolling(sidecarSet)
      ? chooseRound(tally, (view) => this.#pods.isHeldBack(tally.set, view))
      : idleRound
    const { refusals, wait } = this.#pods.refusalsOf(tally)
    const blocker = isManaged(sidecarSet) ? blockerOf(tally, round, refusals) : undefined
    const stall = this.#stallOf(name, blocker)
    const written = await this.#statuses.write(sidecarSet, tally, stall.isDue ? blocker : undefined, signal)
    if (isRolling(sidecarSet)) this.#announce(sidecarSet, tally.kinds['not-upgradable'])
    const moved = await this.#move(sidecarSet, tally, round, signal)
    return earliest(written, stall.outcome, moved, wait === undefined ? waitForChange : lookAgain(wait))
  }

  /** Resets finish what was begun, also while the rollout is paused. */
  async #move(
    sidecarSet: SidecarSet,
    tally: SidecarSetTally,
    round: RolloutRound,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { set } = tally
    const { name, uid, generation, resourceVersion = '1' } = sidecarSet.metadata
    const isCurrent = () => {
      const now = this.#options.sidecarSets.store.get(name)?.metadata
      return now?.uid === uid && now?.generation === generation
    }
    const chosen = new Set(round.selected.map(({ key }) => key))
    const resets = [...tally.resettable]
      .filter((key) => !chosen.has(key))
      .flatMap((key) => tally.views.get(key) ?? [])
    const before = round.selected.length
    // What pods are told that they carry is recorded, under a name that cannot always be computed.
    // A recorded content has the name already.
    if (before > 0) rememberRevisionName(set.sidecarSet, this.#options.revisionNameOf(set.sidecarSet))
    const reset = resets.length > 0 ? await this.#pods.reset(set, resets, isCurrent, signal) : 0
    // Hot upgrades number their steps by the version of the SidecarSet.
    const upgraded =
      before > 0 ? await this.#pods.upgrade(set, resourceVersion, round.selected, isCurrent, signal) : 0
    if (reset + upgraded === 0 && before === 0) return waitForChange
    return lookAgain(upgraded < before ? soon : coalescing)
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
