import type { SidecarSet } from '@outrigger/api'
import type { IntOrString } from '@outrigger/kube'
import type { PodView } from '../sidecar-set-status/pod-view.ts'
import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { scattered } from './scatter.ts'
import { compareRanks } from './update-order.ts'

/** What a round of a rollout does, and the arithmetic behind it. */
export interface RolloutRound {
  /** Pods to change now, in this order. */
  readonly selected: readonly PodView[]
  /** Pods that keep the old content because of the partition. */
  readonly partition: number
  /** Waiting pods that the partition lets go. */
  readonly movable: number
  /** How many pods may be unavailable at a time because of the rollout. */
  readonly budget: number
  /** How many are: updated ones that are not ready, those that are drained for their restart or are being resized, and those that owners have yet to make. */
  readonly spent: number
}

/** Whether a rollout of this SidecarSet changes pods at all. */
export function isRolling(sidecarSet: SidecarSet): boolean {
  return isManaged(sidecarSet) && !sidecarSet.spec.updateStrategy?.paused
}

/** Whether pods are brought to new content at all, now or once the rollout goes on. */
export function isManaged({ spec }: SidecarSet): boolean {
  return spec.updateStrategy?.type !== 'NotUpdate'
}

/** The round of a rollout that does nothing. */
export const idleRound: RolloutRound = { selected: [], partition: 0, movable: 0, budget: 0, spent: 0 }

/**
 * Chooses the pods that change now, each in its way: within the partition and within maxUnavailable. Pods that are not
 * available cost no budget, and an available one that finds none does not keep them from moving; those that are drained for
 * this rollout have spent it already, and come first. `isHeldBack` names pods that may not be tried now, and then hold up
 * nobody; none by default. `owed` are pods that have left and that owners have yet to make anew: they count as updated and
 * unavailable. Whether the rollout is paused is not looked at.
 */
export function chooseRound(
  tally: SidecarSetTally,
  isHeldBack: (view: PodView) => boolean = () => false,
  owed = 0,
): RolloutRound {
  const { partition = 0, maxUnavailable } = tally.set.sidecarSet.spec.updateStrategy ?? {}
  const { kinds } = tally
  const whole = tally.matched + owed
  const kept = partitionOf(partition, whole)
  const oldElsewhere = tally.matched - kinds.updated - kinds.resizing - kinds.waiting
  const movable = Math.max(0, kinds.waiting - Math.max(0, kept - oldElsewhere))
  const budget = amountOf(maxUnavailable ?? 1, whole)
  const spent = tally.unsettled.size + tally.draining.size + owed
  const round = { partition: kept, movable, budget, spent }
  if (movable === 0 || (spent >= budget && tally.waitingUnavailable === 0)) return { ...round, selected: [] }
  return { ...round, selected: within(tally, round, isHeldBack) }
}

/**
 * Waiting pods in the order in which their turn comes: those that are drained already, then the others in the update order, or
 * scattered where that is asked for.
 */
export function* waitingInOrder(tally: SidecarSetTally): Generator<PodView> {
  const { scatterStrategy } = tally.set.sidecarSet.spec.updateStrategy ?? {}
  yield* drainingInOrder(tally)
  const inOrder = scatterStrategy?.length ? scatteredWaiting(tally) : waitingViews(tally)
  for (const view of inOrder) if (!tally.draining.has(view.key)) yield view
}

function drainingInOrder({ draining, views }: SidecarSetTally): PodView[] {
  return [...draining]
    .flatMap((key) => views.get(key) ?? [])
    .sort((left, right) =>
      left.rank === undefined || right.rank === undefined ? 0 : compareRanks(left.rank, right.rank),
    )
}

function within(
  tally: SidecarSetTally,
  { movable, budget, spent }: Pick<RolloutRound, 'movable' | 'budget' | 'spent'>,
  isHeldBack: (view: PodView) => boolean,
): PodView[] {
  const selected: PodView[] = []
  let left = budget - spent
  let seen = 0
  let free = tally.waitingUnavailable
  for (const view of waitingInOrder(tally)) {
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
