import type { SidecarSet } from '@outrigger/api'
import { coversPod } from '@outrigger/injection'
import { keyOf, type Labels, type Pod } from '@outrigger/kube'
import { OrderedList } from '../sidecar-set-rollout/ordered-list.ts'
import { compareRanks, type UpdateRank } from '../sidecar-set-rollout/update-order.ts'
import type { ChangeSources } from './change-judge.ts'
import { injectedSidecarSets } from './pod-annotations.ts'
import { type PodTarget, podTargets } from './pod-target.ts'
import {
  countsTheSame,
  type JudgedSidecarSet,
  judged,
  type PodKind,
  type PodView,
  viewOf,
} from './pod-view.ts'

/** Everything a rollout and a status are made from, for one SidecarSet. Kept current; to be read at once. */
export interface SidecarSetTally {
  readonly set: JudgedSidecarSet
  readonly matched: number
  readonly ready: number
  readonly updatedReady: number
  readonly kinds: Readonly<Record<PodKind, number>>
  /** By pod key. */
  readonly views: ReadonlyMap<string, PodView>
  /** Waiting pods, whose turn is next in front. */
  readonly waiting: Iterable<UpdateRank>
  /** Waiting pods that are not available, and so cost no budget. */
  readonly waitingUnavailable: number
  /** Waiting pods that are to be resized, and such that are to be made anew; the others wait for images. */
  readonly waitingToResize: number
  readonly waitingToRecreate: number
  /** Keys of pods that have the present content and are not ready, or are being resized. */
  readonly unsettled: ReadonlySet<string>
  /** Keys of pods that are being resized. */
  readonly resizing: ReadonlySet<string>
  /** Keys of pods that wait, although the SidecarSet wants something else. */
  readonly obstructed: ReadonlySet<string>
  /** Keys of waiting pods that are out of service for this SidecarSet. */
  readonly draining: ReadonlySet<string>
  /** Keys of pods where the side that a hot upgrade left can be emptied. */
  readonly resettable: ReadonlySet<string>
  /** How many pods say they carry a revision, by its name. */
  readonly revisions: ReadonlyMap<string, number>
}

export interface LedgerSources {
  /** All pods whose annotation lists the SidecarSet. */
  podsOf(sidecarSet: string): Iterable<Pod>
  namespaceLabels(namespace: string): Labels | undefined
  /** Milliseconds on a clock that never goes back. */
  now(): number
  /** Left out: see `judged`. */
  readonly changes?: ChangeSources
}

/** Milliseconds after which a write that no event has shown yet is no longer believed. */
const beliefTime = 30_000

/**
 * How the pods of each SidecarSet stand, kept current change by change: a pod's event costs work for the SidecarSets
 * the pod lists and for no others. What we have written ourselves counts at once; events from before it do not undo it.
 */
export class SidecarSetLedger {
  readonly #sources: LedgerSources
  readonly #entries = new Map<string, Entry>()
  /** By pod key: our last write, until an event as new as it comes or the time is over. */
  readonly #written = new Map<
    string,
    { readonly pod: Pod; readonly version: bigint; readonly until: number }
  >()

  constructor(sources: LedgerSources) {
    this.#sources = sources
  }

  tallyOf(name: string): SidecarSetTally | undefined {
    return this.#entries.get(name)
  }

  /** Takes in a new or changed SidecarSet and counts its pods anew. Answers with how they count, which stays current. */
  setSidecarSet(sidecarSet: SidecarSet): SidecarSetTally {
    const entry = new Entry(judged(sidecarSet, this.#sources.changes))
    this.#entries.set(sidecarSet.metadata.name, entry)
    for (const pod of this.#sources.podsOf(sidecarSet.metadata.name)) this.#count(entry, this.#newest(pod))
    return entry
  }

  /** Whether tracks of a SidecarSet would find other contents now than when its pods were counted. */
  hasOtherTargets(name: string): boolean {
    const set = this.#entries.get(name)?.set
    if (set === undefined || set.targets.all.length === 1) return false
    const now = podTargets(set.sidecarSet, this.#sources.changes?.history)
    return now.all.some((target, i) => !isSameTarget(target, set.targets.all[i]))
  }

  deleteSidecarSet(name: string): void {
    this.#entries.delete(name)
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear()
    this.#written.clear()
  }

  /**
   * Takes in a pod's event; answers with the SidecarSets for which something changed. The event of our own last write
   * says nothing new.
   */
  setPod(pod: Pod, before?: Pod): string[] {
    const key = keyOf(pod)
    const { metadata } = this.#written.get(key)?.pod ?? {}
    if (metadata?.uid === pod.metadata.uid && metadata?.resourceVersion === pod.metadata.resourceVersion) {
      this.#written.delete(key)
      return []
    }
    return this.#newest(pod) === pod ? this.#take(pod, before) : []
  }

  /** Takes in what a write of ours was answered with. */
  setWritten(pod: Pod, before: Pod): string[] {
    const version = versionOf(pod)
    if (version !== undefined)
      this.#written.set(keyOf(pod), { pod, version, until: this.#sources.now() + beliefTime })
    return this.#take(pod, before)
  }

  deletePod(pod: Pod): string[] {
    const key = keyOf(pod)
    this.#written.delete(key)
    return injectedSidecarSets(pod).filter((name) => this.#entries.get(name)?.put(key, undefined) ?? false)
  }

  #take(pod: Pod, before: Pod | undefined): string[] {
    const names = new Set([...injectedSidecarSets(pod), ...(before ? injectedSidecarSets(before) : [])])
    return [...names].filter((name) => {
      const entry = this.#entries.get(name)
      return entry !== undefined && this.#count(entry, pod)
    })
  }

  /** The pod as we wrote it, where what is given is older. */
  #newest(pod: Pod): Pod {
    const key = keyOf(pod)
    const written = this.#written.get(key)
    if (written === undefined) return pod
    const version = versionOf(pod)
    const isOlder =
      pod.metadata.uid === written.pod.metadata.uid && version !== undefined && version < written.version
    if (isOlder && this.#sources.now() < written.until) return written.pod
    this.#written.delete(key)
    return pod
  }

  #count(entry: Entry, pod: Pod): boolean {
    const { compiled, sidecarSet } = entry.set
    const namespace = pod.metadata.namespace ?? ''
    const isCovered =
      injectedSidecarSets(pod).includes(sidecarSet.metadata.name) &&
      coversPod(compiled, pod.metadata.labels ?? {}, {
        name: namespace,
        labels: this.#sources.namespaceLabels(namespace),
      })
    return entry.put(keyOf(pod), isCovered ? viewOf(pod, entry.set) : undefined)
  }
}

class Entry implements SidecarSetTally {
  readonly set: JudgedSidecarSet
  readonly kinds: Record<PodKind, number> = {
    updated: 0,
    waiting: 0,
    resizing: 0,
    'in-flight': 0,
    'not-upgradable': 0,
    'not-selected': 0,
    unrecorded: 0,
  }
  ready = 0
  updatedReady = 0
  waitingUnavailable = 0
  waitingToResize = 0
  waitingToRecreate = 0
  readonly views = new Map<string, PodView>()
  readonly waiting = new OrderedList<UpdateRank>(compareRanks)
  readonly unsettled = new Set<string>()
  readonly resizing = new Set<string>()
  readonly obstructed = new Set<string>()
  readonly draining = new Set<string>()
  readonly resettable = new Set<string>()
  readonly revisions = new Map<string, number>()

  constructor(set: JudgedSidecarSet) {
    this.set = set
  }

  get matched(): number {
    return this.views.size
  }

  /** Replaces how a pod counts; whether that differs from before. */
  put(key: string, view: PodView | undefined): boolean {
    const before = this.views.get(key)
    if (countsTheSame(before, view)) {
      // The newest object all the same: writes are made against its version.
      if (view !== undefined) this.views.set(key, view)
      return false
    }
    if (before !== undefined) this.#tally(before, -1)
    if (view === undefined) this.views.delete(key)
    else {
      this.views.set(key, view)
      this.#tally(view, 1)
    }
    return true
  }

  #tally(view: PodView, by: 1 | -1): void {
    const { key, kind, way, isReady, isAvailable, rank, revision } = view
    const isUpdated = kind === 'updated'
    this.kinds[kind] += by
    if (isReady) this.ready += by
    if (isUpdated && isReady) this.updatedReady += by
    if (rank !== undefined) {
      if (by > 0) this.waiting.add(rank)
      else this.waiting.delete(rank)
      if (!isAvailable) this.waitingUnavailable += by
      if (way === 'resize') this.waitingToResize += by
      if (way === 'recreate') this.waitingToRecreate += by
    }
    const isResizing = kind === 'resizing'
    keep(this.unsettled, key, by > 0 && (isResizing || (isUpdated && !isReady)))
    keep(this.resizing, key, by > 0 && isResizing)
    keep(this.obstructed, key, by > 0 && view.obstacle !== undefined)
    const isDraining =
      kind === 'waiting' && view.outOfService?.sidecarSet === this.set.sidecarSet.metadata.name
    keep(this.draining, key, by > 0 && isDraining)
    keep(this.resettable, key, by > 0 && view.isResettable)
    if (revision !== undefined) {
      const count = (this.revisions.get(revision) ?? 0) + by
      if (count > 0) this.revisions.set(revision, count)
      else this.revisions.delete(revision)
    }
  }
}

function isSameTarget(left: PodTarget, right: PodTarget | undefined): boolean {
  return left.hash === right?.hash && left.missing === right.missing
}

function keep(keys: Set<string>, key: string, isIn: boolean): void {
  if (isIn) keys.add(key)
  else keys.delete(key)
}

/** Resource versions of one resource are comparable as whole numbers. */
function versionOf({ metadata }: Pod): bigint | undefined {
  return /^\d+$/.test(metadata.resourceVersion ?? '') ? BigInt(metadata.resourceVersion ?? '') : undefined
}
