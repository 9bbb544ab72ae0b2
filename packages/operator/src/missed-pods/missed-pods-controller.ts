import { type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import type { Client } from '@outrigger/client'
import {
  type Controller,
  createController,
  type Enqueue,
  type EventRecorder,
  earliest,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random } from '@outrigger/foundation'
import type { SidecarSetIndex } from '@outrigger/injection'
import { deepEqual, keyOf, type Namespace, type Pod } from '@outrigger/kube'
import { selectAlike } from '../admission/sidecar-set/selection-time.ts'
import { evictPod } from '../eviction/evict-pod.ts'
import { Pauses } from '../eviction/pauses.ts'
import { WebhookConfidence } from '../eviction/webhook-confidence.ts'
import { podsByNamespace } from '../pod-indexes.ts'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import { chooseEvictions } from './eviction-round.ts'
import { missedBy, takesInRunningPods } from './missed-by.ts'
import type { MissedPod } from './missed-pod.ts'
import { type MissedChange, MissedPods, type MissedTally } from './missed-pods.ts'
import { type Repair, reportOf } from './missed-pods-report.ts'

export interface MissedPodsOptions {
  readonly client: Pick<Client, 'createSubresource'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  readonly sidecarSets: Informer<SidecarSet>
  /** Follows `sidecarSets`, and hears of changes before this controller does. */
  readonly index: SidecarSetIndex
  /** Needs the indexes of `podIndexes`. */
  readonly pods: Informer<Pod>
  readonly namespaces: Informer<Namespace>
  readonly feed: LedgerFeed
  readonly managerNamespace: string
  /** Whether pods may be evicted where a SidecarSet asks for it. */
  readonly evicts: boolean
  isVirtualNode(name: string): boolean
  /** How many pods have left a SidecarSet for other reasons, and are yet to be made anew. Default none. */
  owedElsewhere?(sidecarSet: string): number
  /** Whether a pod created now would be asked about. Nothing is evicted before. */
  isAnswering(): boolean
}

/** Finds pods that were created unasked, tells of them, and evicts them where that is asked for. */
export interface MissedPodsController extends Controller {
  /** How many pods run without a SidecarSet they should carry; 0 where this replica does not lead. */
  readonly missed: number
  /** How many pods of a SidecarSet have left because they were missed, and are yet to be made anew. */
  owedTo(sidecarSet: string): number
}

/** The key under which all pods are looked at: no SidecarSet is called so. */
const everything = '*'
/** Milliseconds in which changes are gathered before all pods are looked at for them at once. */
const gathering = 1_000
/** Milliseconds in which changes of one SidecarSet's pods are gathered. */
const coalescing = 250
/** Pods that are looked at between two breaths. */
const chunk = 2_000
/** Milliseconds from the first missed pod to the first word: they come in crowds. */
const reportDelay = 5_000
/** Milliseconds between two words about more pods, and between two about the same. */
const growthInterval = 60_000
const reportInterval = 600_000
const soon = 1_000

/**
 * Keeps count of the pods that were created while no webhook answered, and has them made anew within the budget where the
 * SidecarSet says `outrigger.dev/missed-pods: evict` and the manager was allowed to. All of it follows from the objects as
 * they are: another leader goes on at any step. What it cannot know, the pods that owners still owe from before, it takes
 * from pods that are leaving.
 */
export function createMissedPodsController(options: MissedPodsOptions): MissedPodsController {
  const { sidecarSets, pods, namespaces, feed, clock } = options
  const work = new MissedPodsWork(options)
  const controller = createController({
    ...options,
    name: 'missed-pods',
    clock,
    reconcile: (key, signal) => work.reconcile(key, signal),
    informers: [sidecarSets, pods, namespaces],
    sources: [
      (enqueue) => {
        const disconnects = [work.follow(enqueue), feed.listen(work.carriersListener(enqueue))]
        return () => {
          for (const disconnect of disconnects) disconnect()
          work.clear()
        }
      },
    ],
  })
  return {
    name: controller.name,
    enqueue: controller.enqueue,
    run: (signal) => controller.run(signal),
    get statistics() {
      return controller.statistics
    },
    get missed() {
      return work.missed
    },
    owedTo: (sidecarSet) => work.owedTo(sidecarSet),
  }
}

interface Said {
  readonly at: number
  readonly count: number
  readonly about: string
}

class MissedPodsWork {
  readonly #options: MissedPodsOptions
  readonly #missed: MissedPods
  readonly #pauses: Pauses
  readonly #webhooks: WebhookConfidence
  /** Changes before the first look at all pods are part of it. */
  #hasLooked = false
  #enqueue: Enqueue = () => {}
  /** By SidecarSet: since when pods are missed, and what was said last. */
  readonly #since = new Map<string, number>()
  readonly #said = new Map<string, Said>()
  /** SidecarSets that take in running pods. */
  readonly #takers = new Set<string>()
  /** By SidecarSet: what the API server said against evictions. */
  readonly #refusals = new Map<string, string>()

  constructor(options: MissedPodsOptions) {
    this.#options = options
    this.#pauses = new Pauses(options.clock)
    this.#webhooks = new WebhookConfidence(options)
    this.#missed = new MissedPods({
      now: () => options.clock.monotonic(),
      missedBy: (pod) => this.#missedBy(pod),
    })
  }

  get missed(): number {
    return this.#missed.size
  }

  #missedBy(pod: Pod): readonly string[] {
    const { namespaces, index } = this.#options
    return missedBy(pod, {
      ...this.#options,
      sidecarSets: index,
      namespaceLabels: (name) => namespaces.store.get(name)?.metadata.labels,
      areRunningPodsTaken: this.#takers.size > 0,
    })
  }

  owedTo(sidecarSet: string): number {
    return this.#missed.owed.countOf(sidecarSet)
  }

  clear(): void {
    this.#missed.clear()
    this.#pauses.clear()
    this.#hasLooked = false
    this.#webhooks.shake()
    for (const kept of [this.#since, this.#said, this.#refusals, this.#takers]) kept.clear()
  }

  /** Pods that carry the SidecarSet become ready, and make room. */
  carriersListener(enqueue: Enqueue) {
    return {
      sidecarSetChanged: (name: string) => {
        if (this.#missed.tallyOf(name) !== undefined) enqueue(name, coalescing)
      },
    }
  }

  follow(enqueue: Enqueue): () => void {
    const { pods, sidecarSets, namespaces } = this.#options
    this.#enqueue = enqueue
    enqueue(everything)
    const disconnects = [
      pods.onChange({
        onAdd: (pod) => this.#take(() => this.#missed.seen(pod), true),
        onUpdate: (pod, before) =>
          this.#take(() => this.#missed.seen(pod, before), pod.metadata.uid !== before.metadata.uid),
        onDelete: (pod) => this.#take(() => this.#missed.gone(pod)),
      }),
      sidecarSets.onChange({
        onAdd: (sidecarSet) => {
          this.#noteTaker(sidecarSet)
          enqueue(everything, gathering)
        },
        onUpdate: (sidecarSet, before) => {
          this.#noteTaker(sidecarSet)
          if (!missesAlike(sidecarSet, before)) enqueue(everything, gathering)
          if (!repairsAlike(sidecarSet, before)) enqueue(sidecarSet.metadata.name, coalescing)
        },
        onDelete: ({ metadata }) => {
          this.#takers.delete(metadata.name)
          enqueue(everything, gathering)
        },
      }),
      namespaces.onChange({
        onAdd: (namespace) => this.#judgeNamespace(namespace),
        onUpdate: (namespace, before) => {
          if (!deepEqual(namespace.metadata.labels, before.metadata.labels)) this.#judgeNamespace(namespace)
        },
      }),
    ]
    return () => {
      for (const disconnect of disconnects) disconnect()
    }
  }

  #noteTaker(sidecarSet: SidecarSet): void {
    if (takesInRunningPods(sidecarSet)) this.#takers.add(sidecarSet.metadata.name)
    else this.#takers.delete(sidecarSet.metadata.name)
  }

  async reconcile(name: string, signal: AbortSignal): Promise<Outcome> {
    if (name === everything) return this.#lookAtAll(signal)
    const sidecarSet = this.#options.sidecarSets.store.get(name)
    const expiry = this.#missed.owed.expire(name)
    const tally = this.#missed.tallyOf(name)
    if (sidecarSet === undefined || tally === undefined) {
      for (const map of [this.#since, this.#said, this.#refusals]) map.delete(name)
      return expiry === undefined ? waitForChange : lookAgain(expiry)
    }
    const { repair, outcome } = await this.#repair(sidecarSet, tally, signal)
    // Repaired to the last pod within this round: there is nothing to tell any more.
    const told = this.#missed.tallyOf(name) === tally ? this.#tell(sidecarSet, tally, repair) : waitForChange
    return earliest(outcome, told, expiry === undefined ? waitForChange : lookAgain(expiry))
  }

  /** One look at all pods serves every SidecarSet and namespace that has changed. */
  async #lookAtAll(signal: AbortSignal): Promise<Outcome> {
    const { store } = this.#options.pods
    const isFirst = !this.#hasLooked
    this.#hasLooked = true
    let looked = 0
    for (const pod of store.list()) {
      if (++looked % chunk === 0) await this.#options.clock.sleep(1, signal)
      // One that has changed meanwhile was looked at for that.
      if (store.get(keyOf(pod)) === pod) this.#take(() => this.#missed.judge(pod, isFirst))
    }
    return waitForChange
  }

  #judgeNamespace({ metadata }: Namespace): void {
    for (const pod of this.#options.pods.store.byIndex(podsByNamespace, metadata.name))
      this.#take(() => this.#missed.judge(pod))
  }

  #take(look: () => MissedChange, isNew = false): void {
    if (!this.#hasLooked) return
    const before = this.#missed.size
    const { changed, replacement } = look()
    // A pod that nobody asked us about shows that webhooks do not work yet, whatever we believe.
    if (isNew && this.#missed.size > before) this.#webhooks.shake()
    for (const name of replacement?.sidecarSets ?? [])
      if (replacement?.isMissed) this.#pauses.failed(name)
      else this.#pauses.succeeded(name)
    for (const name of changed) this.#enqueue(name, coalescing)
  }

  async #repair(
    sidecarSet: SidecarSet,
    tally: MissedTally,
    signal: AbortSignal,
  ): Promise<{ repair: Repair; outcome: Outcome }> {
    const { name, annotations } = sidecarSet.metadata
    const done = (repair: Repair, outcome: Outcome = waitForChange) => ({ repair, outcome })
    if (annotations?.[sidecarSetAnnotations.missedPods] !== 'evict' && !takesInRunningPods(sidecarSet))
      return done({ is: 'not asked for' })
    if (!this.#options.evicts) return done({ is: 'switched off' })
    const { failures, wait } = this.#pauses.of(name)
    if (failures > 0 && wait > 0) return done({ is: 'futile', attempts: failures }, lookAgain(wait))
    const unsettled = this.#webhooks.wait()
    const round = this.#chooseRound(sidecarSet, tally)
    if (unsettled > 0) return done({ is: 'under way', budget: round.budget }, lookAgain(unsettled))
    for (const pod of round.selected) {
      if (signal.aborted || !this.#isStillWanted(sidecarSet, pod)) break
      await this.#evict(name, pod, signal)
    }
    const refusal = this.#refusals.get(name)
    const repair: Repair =
      refusal === undefined ? { is: 'under way', budget: round.budget } : { is: 'refused', message: refusal }
    const held = this.#pauses.nextRetry()
    return done(
      repair,
      earliest(
        round.selected.length > 0 ? lookAgain(soon) : waitForChange,
        held === undefined ? waitForChange : lookAgain(held),
      ),
    )
  }

  #chooseRound({ metadata, spec }: SidecarSet, missed: MissedTally) {
    const carrying = this.#options.feed.ledger.tallyOf(metadata.name)
    const matched = carrying?.matched ?? 0
    return chooseEvictions({
      missed,
      carrying: { matched, notReady: matched - (carrying?.ready ?? 0) },
      owed: this.owedTo(metadata.name) + (this.#options.owedElsewhere?.(metadata.name) ?? 0),
      maxUnavailable: spec.updateStrategy?.maxUnavailable,
      isHeldBack: ({ uid }) => this.#missed.owed.has(uid) || this.#pauses.isHeldBack(uid),
    })
  }

  /** A SidecarSet may have changed a moment ago, before all pods were looked at for that. */
  #isStillWanted(sidecarSet: SidecarSet, missed: MissedPod): boolean {
    const { sidecarSets, pods, isAnswering } = this.#options
    const { name } = sidecarSet.metadata
    const pod = pods.store.get(missed.key)
    if (sidecarSets.store.get(name) !== sidecarSet || !isAnswering()) return false
    return pod?.metadata.uid === missed.uid && this.#missedBy(pod).includes(name)
  }

  /** Counts as unavailable from before the call, so that no answer that gets lost is spent twice. */
  async #evict(name: string, pod: MissedPod, signal: AbortSignal): Promise<void> {
    const { client, logger } = this.#options
    const { owed } = this.#missed
    owed.add(pod, { isOurs: true })
    const grant = 'outrigger install --evict-missed-pods gives the right'
    const outcome = await evictPod(client, pod, grant, signal).catch((error: unknown) => {
      // It may have gone through: then an event says that the pod leaves.
      owed.gone(pod.uid)
      throw error
    })
    if (outcome.is === 'gone') return void owed.gone(pod.uid)
    if (outcome.is === 'leaving') {
      this.#refusals.delete(name)
      this.#pauses.release(pod.uid)
      return logger.info('pod without its sidecars was evicted', { sidecarSet: name, pod: pod.key })
    }
    owed.remove(pod.uid)
    this.#pauses.holdBack(pod.uid)
    if (outcome.is === 'refused') this.#refusals.set(name, outcome.message)
  }

  /** Says it once for each state of affairs, again when there are more pods, and from time to time. */
  #tell(sidecarSet: SidecarSet, tally: MissedTally, repair: Repair): Outcome {
    const { name } = sidecarSet.metadata
    const now = this.#options.clock.monotonic()
    const since = this.#since.get(name) ?? now
    this.#since.set(name, since)
    if (now - since < reportDelay) return lookAgain(since + reportDelay - now)
    const said = this.#said.get(name)
    const dueAt =
      said === undefined || said.about !== repair.is
        ? now
        : said.at + (tally.size > said.count ? growthInterval : reportInterval)
    if (now < dueAt) return lookAgain(dueAt - now)
    this.#said.set(name, { at: now, count: tally.size, about: repair.is })
    this.#options.events.event(
      { ...sidecarSet, kind: 'SidecarSet' },
      reportOf(tally, repair, takesInRunningPods(sidecarSet)),
    )
    return lookAgain(reportInterval)
  }
}

/** Whether two versions of a SidecarSet miss the same pods. */
function missesAlike(left: SidecarSet, right: SidecarSet): boolean {
  const { selectsSince } = sidecarSetAnnotations
  return (
    left.metadata.uid === right.metadata.uid &&
    left.metadata.annotations?.[selectsSince] === right.metadata.annotations?.[selectsSince] &&
    takesInRunningPods(left) === takesInRunningPods(right) &&
    selectAlike(left, right)
  )
}

function repairsAlike(left: SidecarSet, right: SidecarSet): boolean {
  const { missedPods } = sidecarSetAnnotations
  return (
    left.metadata.annotations?.[missedPods] === right.metadata.annotations?.[missedPods] &&
    left.spec.updateStrategy?.maxUnavailable === right.spec.updateStrategy?.maxUnavailable
  )
}
