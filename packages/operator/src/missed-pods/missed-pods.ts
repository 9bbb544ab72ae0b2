import { parseTime } from '@outrigger/foundation'
import { deepEqual, keyOf, type Pod } from '@outrigger/kube'
import { OwedPods } from '../eviction/owed-pods.ts'
import { ownerOf } from '../overflow-replacement/replaceable-owner.ts'
import { OrderedList } from '../sidecar-set-rollout/ordered-list.ts'
import { isRunningAndReady } from '../sidecar-set-status/pod-view.ts'
import type { MissedPod } from './missed-pod.ts'

/** The missed pods of one SidecarSet. Stays current. */
export interface MissedTally {
  readonly size: number
  readonly notReady: number
  /** Those with an owner that makes new ones: not ready ones first, then the newest. */
  readonly replaceable: Iterable<MissedPod> & { readonly size: number }
  /** All others, in the same order. */
  readonly lasting: Iterable<MissedPod> & { readonly size: number }
}

export interface MissedPodsSources {
  missedBy(pod: Pod): readonly string[]
  /** Milliseconds on a clock that never goes back. */
  now(): number
}

/** What an event about a pod has changed. */
export interface MissedChange {
  /** The SidecarSets for which something counts differently. */
  readonly changed: readonly string[]
  /** Where a new pod took the place of one that we evicted: whether it carries its sidecars. */
  readonly replacement?: { readonly sidecarSets: readonly string[]; readonly isMissed: boolean }
}

const nothing: MissedChange = { changed: [] }

/** Which pods run without sidecars they should carry, by SidecarSet: one pod's event costs work for that pod. */
export class MissedPods {
  readonly owed: OwedPods
  readonly #sources: MissedPodsSources
  readonly #pods = new Map<string, MissedPod>()
  readonly #tallies = new Map<string, Tally>()

  constructor(sources: MissedPodsSources) {
    this.#sources = sources
    this.owed = new OwedPods(() => sources.now())
  }

  /** How many pods there are. */
  get size(): number {
    return this.#pods.size
  }

  /** `undefined`: none. */
  tallyOf(sidecarSet: string): MissedTally | undefined {
    return this.#tallies.get(sidecarSet)
  }

  clear(): void {
    this.#pods.clear()
    this.#tallies.clear()
    this.owed.clear()
  }

  /** Takes in a pod as it is now. A namesake in the place of `before` is another pod. */
  seen(pod: Pod, before?: Pod): MissedChange {
    if (before !== undefined && before.metadata.uid === pod.metadata.uid)
      return this.#pods.has(keyOf(pod)) || !isChosenAlike(pod, before) ? this.#judge(pod, false) : nothing
    const left = before === undefined ? nothing : this.gone(before)
    const verdict = ownerOf(pod)
    const owed = verdict.isReplaceable ? this.owed.settle(verdict.owner.key) : undefined
    const { changed } = this.#judge(pod, true)
    return {
      changed: [...new Set([...left.changed, ...changed, ...(owed?.sidecarSets ?? [])])],
      ...(owed?.isOurs && {
        replacement: { sidecarSets: owed.sidecarSets, isMissed: this.#pods.has(keyOf(pod)) },
      }),
    }
  }

  /** Takes in a pod whose SidecarSets or namespace may have changed. `isFirst`: nothing was known of it. */
  judge(pod: Pod, isFirst = false): MissedChange {
    return this.#judge(pod, isFirst)
  }

  gone(pod: Pod): MissedChange {
    const key = keyOf(pod)
    const known = this.#pods.get(key)
    if (known !== undefined && known.uid === pod.metadata.uid) {
      this.#put(key, undefined)
      this.owed.add(known, { isOurs: false })
    }
    const owed = this.owed.gone(pod.metadata.uid ?? '')
    return { changed: [...new Set([...(known?.sidecarSets ?? []), ...(owed?.sidecarSets ?? [])])] }
  }

  /** A pod that leaves is owed from when we hear of it, once: its owner may have made another by its next event. */
  #judge(pod: Pod, isFirst: boolean): MissedChange {
    const key = keyOf(pod)
    const before = this.#pods.get(key)
    const now = this.#missedPod(pod, key)
    if (now !== undefined && pod.metadata.deletionTimestamp !== undefined) {
      if (!isFirst && before?.uid !== now.uid) return nothing
      this.owed.add(now, { isOurs: false })
      this.#put(key, undefined)
      return { changed: now.sidecarSets }
    }
    if (isSame(before, now)) return nothing
    this.#put(key, now)
    return { changed: [...new Set([...(before?.sidecarSets ?? []), ...(now?.sidecarSets ?? [])])] }
  }

  #missedPod(pod: Pod, key: string): MissedPod | undefined {
    const phase = pod.status?.phase
    if (phase === 'Succeeded' || phase === 'Failed') return undefined
    const sidecarSets = this.#sources.missedBy(pod)
    if (sidecarSets.length === 0) return undefined
    const verdict = ownerOf(pod)
    return {
      key,
      uid: pod.metadata.uid ?? '',
      sidecarSets,
      createdAt: parseTime(pod.metadata.creationTimestamp ?? '') || 0,
      isReady: isRunningAndReady(pod),
      owner: verdict.isReplaceable ? verdict.owner.key : undefined,
    }
  }

  #put(key: string, pod: MissedPod | undefined): void {
    const before = this.#pods.get(key)
    if (before !== undefined) {
      this.#pods.delete(key)
      for (const name of before.sidecarSets) {
        const tally = this.#tallies.get(name)
        tally?.delete(before)
        if (tally?.size === 0) this.#tallies.delete(name)
      }
    }
    if (pod === undefined) return
    this.#pods.set(key, pod)
    for (const name of pod.sidecarSets) {
      const tally = this.#tallies.get(name) ?? new Tally()
      this.#tallies.set(name, tally)
      tally.add(pod)
    }
  }
}

class Tally implements MissedTally {
  readonly replaceable = new OrderedList(compareTurns)
  readonly lasting = new OrderedList(compareTurns)
  notReady = 0

  get size(): number {
    return this.replaceable.size + this.lasting.size
  }

  add(pod: MissedPod): void {
    this.#listOf(pod).add(pod)
    if (!pod.isReady) this.notReady++
  }

  delete(pod: MissedPod): void {
    if (this.#listOf(pod).delete(pod) && !pod.isReady) this.notReady--
  }

  #listOf({ owner }: MissedPod): OrderedList<MissedPod> {
    return owner === undefined ? this.lasting : this.replaceable
  }
}

/** Pods that serve nobody first, then those that have served the shortest. */
function compareTurns(left: MissedPod, right: MissedPod): number {
  if (left.isReady !== right.isReady) return left.isReady ? 1 : -1
  if (left.createdAt !== right.createdAt) return right.createdAt - left.createdAt
  return left.key < right.key ? -1 : left.key > right.key ? 1 : 0
}

/** Whether nothing of a pod has changed that SidecarSets are chosen by: most events tell of its status. */
function isChosenAlike(pod: Pod, before: Pod): boolean {
  return (
    pod.spec.nodeName === before.spec.nodeName &&
    deepEqual(pod.metadata.labels, before.metadata.labels) &&
    deepEqual(pod.metadata.annotations, before.metadata.annotations)
  )
}

function isSame(left: MissedPod | undefined, right: MissedPod | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  return (
    left.uid === right.uid &&
    left.isReady === right.isReady &&
    left.owner === right.owner &&
    left.sidecarSets.join() === right.sidecarSets.join()
  )
}
