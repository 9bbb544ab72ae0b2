import type { Clock } from '@outrigger/foundation'
import { hasVirtualNodeLabel } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { ownerOf } from './replaceable-owner.ts'
import { markOf, replacedUid } from './replacement-mark.ts'

/** A pod that was, or is about to be, deleted so that its owner makes another. */
export interface ReplacedPod {
  readonly name: string
  readonly uid: string
  readonly node: string
}

interface Hint extends ReplacedPod {
  readonly mark: string
  readonly keepsNames: boolean
  stage: 'marked' | 'ending' | 'gone'
  /** Both on the monotonic clock. */
  readonly markedAt: number
  expires: number
  takenUntil: number
}

/** Milliseconds a mark counts before the pod is seen to end, and after it is gone. */
const markTime = 120_000
const graceTime = 60_000
/**
 * Milliseconds a mark stands before it counts: the pod is deleted a second after it was marked, and what its owner creates until
 * then is in nobody's place.
 */
const ripeTime = 500
/** Milliseconds a creation may take from our answer until the pod is seen. */
const creationTime = 10_000

/**
 * Which new pods take the place of deleted ones, told from what every replica sees: marked pods on virtual nodes, and pods
 * that say whom they replace. One new pod for each deleted one, as far as replicas can know of each other.
 */
export class ReplacementHints {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #byOwner = new Map<string, Map<string, Hint>>()
  /** By uid, what has been replaced: when that was seen, oldest first, and the mark it had then. */
  readonly #replaced = new Map<string, { readonly seen: number; mark: string | undefined }>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Deleted pods that nobody has replaced yet. */
  get size(): number {
    let size = 0
    for (const hints of this.#byOwner.values()) size += hints.size
    return size
  }

  /** What the watch shows of a pod, at first and at every change. */
  observe(pod: Pod): void {
    const { annotations, uid, name, deletionTimestamp } = pod.metadata
    if (annotations === undefined || uid === undefined) return
    const replaced = replacedUid(pod)
    const mark = markOf(pod)
    if (replaced === undefined && mark === undefined) return
    const verdict = ownerOf(pod)
    if (!verdict.isReplaceable) return
    const now = this.#clock.monotonic()
    this.#sweep(now)
    const { key, keepsNames } = verdict.owner
    if (replaced !== undefined) {
      if (!this.#replaced.has(replaced)) {
        const before = this.#byOwner.get(key)?.get(replaced)
        this.#replaced.set(replaced, { seen: now, mark: before?.mark })
        this.#drop(key, replaced)
      }
    }
    const node = pod.spec.nodeName
    if (mark === undefined || node === undefined || hasVirtualNodeLabel(pod)) {
      this.#drop(key, uid)
      return
    }
    if (this.#isReplaced(uid, mark)) return
    const known = this.#byOwner.get(key)?.get(uid)
    const isEnding = deletionTimestamp !== undefined
    const markedAt = known?.mark === mark ? known.markedAt : now
    const hints = this.#byOwner.get(key) ?? new Map<string, Hint>()
    this.#byOwner.set(key, hints)
    hints.set(uid, {
      ...{ name, uid, node, mark, keepsNames, markedAt },
      stage: isEnding ? 'ending' : 'marked',
      // A pod that takes its time to end is replaced when it has, or at once; the hint waits for either.
      expires: isEnding ? Infinity : markedAt + markTime,
      takenUntil: known?.takenUntil ?? -Infinity,
    })
  }

  /** The pod is no more. */
  gone(pod: Pod): void {
    const verdict = ownerOf(pod)
    if (!verdict.isReplaceable) return
    const hint = this.#byOwner.get(verdict.owner.key)?.get(pod.metadata.uid ?? '')
    if (hint === undefined) return
    hint.stage = 'gone'
    hint.expires = this.#clock.monotonic() + graceTime
  }

  /**
   * Whom a pod that is being created replaces, if anybody: the pod that went furthest, of equals the one marked last,
   * because older marks may be of a manager that ended before it deleted. Where names are kept it must be the namesake.
   * A dry run takes nothing.
   */
  take(pod: Pod, isDryRun: boolean): ReplacedPod | undefined {
    if (this.#byOwner.size === 0) return undefined
    const verdict = ownerOf(pod)
    if (!verdict.isReplaceable) return undefined
    const now = this.#clock.monotonic()
    let best: Hint | undefined
    for (const hint of this.#byOwner.get(verdict.owner.key)?.values() ?? []) {
      if (hint.expires <= now || hint.takenUntil > now) continue
      if (hint.stage === 'marked' && now - hint.markedAt < ripeTime) continue
      if (hint.keepsNames && hint.name !== pod.metadata.name) continue
      if (best === undefined || isLikelier(hint, best)) best = hint
    }
    if (best !== undefined && !isDryRun) best.takenUntil = now + creationTime
    return best
  }

  /** A pod marked anew was not the one replaced before, but taken for it. */
  #isReplaced(uid: string, mark: string): boolean {
    const replaced = this.#replaced.get(uid)
    if (replaced === undefined) return false
    replaced.mark ??= mark
    return replaced.mark === mark
  }

  #drop(owner: string, uid: string): void {
    const hints = this.#byOwner.get(owner)
    if (hints?.delete(uid) && hints.size === 0) this.#byOwner.delete(owner)
  }

  #sweep(now: number): void {
    for (const [uid, { seen }] of this.#replaced) {
      if (now - seen < graceTime + markTime) break
      this.#replaced.delete(uid)
    }
    for (const [owner, hints] of this.#byOwner)
      for (const [uid, { expires }] of hints) if (expires <= now) this.#drop(owner, uid)
  }
}

const stages = { marked: 0, ending: 1, gone: 2 } as const

function isLikelier(hint: Hint, other: Hint): boolean {
  const further = stages[hint.stage] - stages[other.stage]
  return further > 0 || (further === 0 && hint.markedAt > other.markedAt)
}
