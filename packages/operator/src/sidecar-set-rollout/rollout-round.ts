import type { SidecarSet } from '@outrigger/api'
import type { IntOrString } from '@outrigger/kube'
import type { PodView } from '../sidecar-set-status/pod-view.ts'
import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { scattered } from './scatter.ts'

/** What a round of a rollout does, and the arithmetic behind it. */
export interface RolloutRound {
  /** Pods to change now, in this order. */
  readonly selected: readonly PodView[]
  /** Pods that keep the old content because of the partition. */
  readonly partition: number
  /** Waiting pods that the partition lets go. */
  readonly movable: number
  /** How many updated pods may be unavailable at a time. */
  readonly budget: number
  /** How many are. */
  readonly spent: number
}

/** Whether a rollout of this SidecarSet changes pods at all. */
export function isRolling({ spec }: SidecarSet): boolean {
  return spec.updateStrategy?.type !== 'NotUpdate' && !spec.updateStrategy?.paused
}

/**
 * Chooses the pods whose images change now: within the partition and within maxUnavailable. Pods that are not
 * available cost no budget, and an available one that finds none does not keep them from moving. `isHeldBack` names pods
 * that may not be tried now, and then hold up nobody.
 */
export function chooseRound(tally: SidecarSetTally, isHeldBack: (view: PodView) => boolean): RolloutRound {
  const { partition = 0, maxUnavailable, scatterStrategy } = tally.set.sidecarSet.spec.updateStrategy ?? {}
  const { matched, kinds } = tally
  const kept = partitionOf(partition, matched)
  const oldElsewhere = matched - kinds.updated - kinds.waiting
  const movable = Math.max(0, kinds.waiting - Math.max(0, kept - oldElsewhere))
  const budget = amountOf(maxUnavailable ?? 1, matched)
  const spent = tally.unsettled.size
  const round = { partition: kept, movable, budget, spent }
  if (movable === 0 || (spent >= budget && tally.waitingUnavailable === 0)) return { ...round, selected: [] }
  const waiting = scatterStrategy?.length ? scatteredWaiting(tally) : waitingViews(tally)
  return { ...round, selected: within(waiting, round, tally.waitingUnavailable, isHeldBack) }
}

function within(
  waiting: Iterable<PodView>,
  { movable, budget, spent }: Pick<RolloutRound, 'movable' | 'budget' | 'spent'>,
  unavailable: number,
  isHeldBack: (view: PodView) => boolean,
): PodView[] {
  const selected: PodView[] = []
  let left = budget - spent
  let seen = 0
  let free = unavailable
  for (const view of waiting) {
    if (seen++ >= movable || (left <= 0 && free === 0)) break
    if (!view.isAvailable) free--
    if (isHeldBack(view) || (view.isAvailable && left <= 0)) continue
    if (view.isAvailable) left--
    selected.push(view)
  }
  return selected
}

function* waitingViews({ waiting, views }: SidecarSetTally): Generator<PodView> {
  for (const { key } of waiting) {
    const view = views.get(key)
    if (view !== undefined) yield view
  }
}

/** Scattering looks at all pods: its cost grows with them, and it is done only when something may move. */
function scatteredWaiting(tally: SidecarSetTally): PodView[] {
  const labelsOf = ({ pod }: PodView) => pod.metadata.labels ?? {}
  const terms = tally.set.sidecarSet.spec.updateStrategy?.scatterStrategy ?? []
  return scattered([...waitingViews(tally)], [...tally.views.values()].map(labelsOf), terms, labelsOf)
}

/** How many pods keep the old content. A percentage other than 100% leaves one pod to move. */
export function partitionOf(partition: IntOrString, matched: number): number {
  const amount = amountOf(partition, matched)
  const isPartial = typeof partition === 'string' && partition !== '100%'
  return isPartial && amount >= matched && matched > 1 ? matched - 1 : Math.min(amount, matched)
}

/** A number as it is, a percentage of `whole` rounded up, anything else 0. */
export function amountOf(value: IntOrString, whole: number): number {
  if (typeof value === 'number') return Math.max(0, value)
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(value)?.[1]
  return percent === undefined ? 0 : Math.ceil((Number(percent) * whole) / 100)
}
