import type { UpdatePriorityStrategy } from '@outrigger/api'
import { compileLabelSelector, type Labels, type Pod, SelectorError } from '@outrigger/kube'

/** What decides when a pod's turn comes; smaller goes first, field by field. */
export interface UpdateRank {
  /** From priorityStrategy; 0 without. */
  readonly level: number
  readonly withinLevel: number
  /** 1 for pods that a partition keeps before others. */
  readonly isKept: number
  readonly isScheduled: number
  readonly phase: number
  readonly isAvailable: number
  /** Time of becoming ready; a later one goes first. Empty while not ready, and then nothing is compared. */
  readonly readySince: string
  readonly restarts: number
  readonly created: string
  /** Makes the order total. */
  readonly key: string
}

/** Places a pod by priorityStrategy: the level and the place within; smaller goes first. */
export type Priority = (labels: Labels) => readonly [level: number, withinLevel: number]

const latest = '~'
const phases = ['Pending', 'Unknown', 'Running']

/** What of a SidecarSet decides on ranks. */
export interface RankRules {
  readonly priority: Priority
  readonly isKept: (pod: Pod) => boolean
}

/** The rank of a pod. `isAvailable`: ready, as the SidecarSet sees it. */
export function rankOf(
  pod: Pod,
  key: string,
  isAvailable: boolean,
  { priority, isKept }: RankRules,
): UpdateRank {
  const { status, spec, metadata } = pod
  const [level, withinLevel] = priority(metadata.labels ?? {})
  return {
    level,
    withinLevel,
    isKept: isKept(pod) ? 1 : 0,
    isScheduled: spec.nodeName ? 1 : 0,
    phase: phases.indexOf(status?.phase ?? ''),
    isAvailable: isAvailable ? 1 : 0,
    readySince: isAvailable ? (readySince(pod) ?? latest) : '',
    restarts: Math.max(0, ...(status?.containerStatuses ?? []).map(({ restartCount }) => restartCount)),
    created: metadata.creationTimestamp ?? latest,
    key,
  }
}

function readySince({ status }: Pod): string | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? undefined
}

/**
 * Those that lose least go first: unscheduled, pending, not ready, ready for the shortest time, restarted often, young.
 * Priorities come before all that, and then whether injection would give a pod the older content: those go last.
 */
export function compareRanks(left: UpdateRank, right: UpdateRank): number {
  return (
    left.level - right.level ||
    left.withinLevel - right.withinLevel ||
    left.isKept - right.isKept ||
    left.isScheduled - right.isScheduled ||
    left.phase - right.phase ||
    left.isAvailable - right.isAvailable ||
    compareTexts(right.readySince, left.readySince) ||
    right.restarts - left.restarts ||
    compareTexts(right.created, left.created) ||
    compareTexts(left.key, right.key)
  )
}

function compareTexts(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

/**
 * What priorityStrategy says. Weights: the larger sum goes first. Ordered keys: pods that have none of them go first,
 * as in OpenKruise; then by the first key a pod has, and within a key by the number its value ends in, the larger first.
 */
export function priorityOf({ weightPriority, orderPriority }: UpdatePriorityStrategy = {}): Priority {
  if (weightPriority?.length) {
    const terms = weightPriority.map(({ weight, matchSelector }) => ({
      weight,
      matches: matcher(matchSelector),
    }))
    return (labels) => [
      -terms.reduce((sum, { weight, matches }) => sum + (matches(labels) ? weight : 0), 0),
      0,
    ]
  }
  if (orderPriority?.length) {
    return (labels) => {
      const level = orderPriority.findIndex(({ orderedKey }) => Object.hasOwn(labels, orderedKey))
      const value = labels[orderPriority[level]?.orderedKey ?? ''] ?? ''
      return [level, -Number(/\d{1,15}$/.exec(value)?.[0] ?? 0)]
    }
  }
  return () => [0, 0]
}

/** A selector that cannot be understood matches nothing. */
export function matcher(selector: Parameters<typeof compileLabelSelector>[0]): (labels: Labels) => boolean {
  try {
    const compiled = compileLabelSelector(selector)
    return (labels) => compiled.matches(labels)
  } catch (error) {
    if (error instanceof SelectorError) return () => false
    throw error
  }
}
