import type { IntOrString } from '@outrigger/kube'
import { amountOf } from '../sidecar-set-rollout/rollout-round.ts'
import type { MissedPod } from './missed-pod.ts'
import type { MissedTally } from './missed-pods.ts'

/** How the pods of a SidecarSet stand when evictions are chosen. */
export interface EvictionFacts {
  readonly missed: MissedTally
  /** Pods that carry the SidecarSet, and how many of them are not ready. */
  readonly carrying: { readonly matched: number; readonly notReady: number }
  /** Pods that owners have yet to make in the place of ones that left. */
  readonly owed: number
  /** `updateStrategy.maxUnavailable`; 1 where nothing is said. */
  readonly maxUnavailable: IntOrString | undefined
  /** Whether a pod is not to be tried now: it is leaving, or was refused a short while ago. */
  isHeldBack(pod: MissedPod): boolean
}

export interface EvictionRound {
  /** Pods to evict now, in this order. */
  readonly selected: readonly MissedPod[]
  /** How many pods may be unavailable, and how many are. */
  readonly budget: number
  readonly unavailable: number
}

/** The most evictions of one round: the next one sees what has become of them. */
const maxRound = 50

/**
 * Chooses missed pods to evict, within maxUnavailable of all pods the SidecarSet selects. One that is ready goes only where
 * the budget has room beside every pod that is not. One that is not ready takes nobody's service away; it goes where there is room
 * beside those whose turn has come already, so that pods which fail for lack of their sidecars do not block their own repair.
 */
export function chooseEvictions(facts: EvictionFacts): EvictionRound {
  const { missed, carrying, owed, maxUnavailable, isHeldBack } = facts
  const budget = amountOf(maxUnavailable ?? 1, carrying.matched + missed.size)
  const underWay = carrying.notReady + owed
  const unavailable = underWay + missed.notReady
  let room = Math.min(maxRound, budget - underWay)
  let readyRoom = budget - unavailable
  const selected: MissedPod[] = []
  for (const pod of missed.replaceable) {
    if (room <= 0 || (pod.isReady && readyRoom <= 0)) break
    if (isHeldBack(pod)) continue
    selected.push(pod)
    room--
    if (pod.isReady) readyRoom--
  }
  return { selected, budget, unavailable }
}
