import { parseTime } from '@outrigger/foundation'
import {
  type Condition,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
  scaledValue,
} from '@outrigger/kube'
import { isPodFinished, isPodReady } from '../pods/pod-state.ts'

/** What a budget is worked out from. */
export interface BudgetFacts {
  /** Pods the budget selects. */
  readonly pods: readonly Pod[]
  /** The sum of the sizes their workloads want; undefined when some pod has no workload that says. */
  readonly wanted: number | undefined
  /** Formatted time of this look. */
  readonly time: string
  /** Milliseconds since 1970. */
  readonly now: number
}

/** An eviction that was allowed and whose pod is not gone after so many milliseconds did not happen. */
export const evictionTimeout = 120_000

/** How many pods there should be, and how many of them must stay. Undefined when that cannot be known. */
export function expectedPods(
  { spec }: PodDisruptionBudget,
  facts: Pick<BudgetFacts, 'pods' | 'wanted'>,
): { readonly expected: number; readonly desired: number } | undefined {
  const { minAvailable, maxUnavailable } = spec
  if (maxUnavailable !== undefined) {
    if (facts.wanted === undefined) return undefined
    return {
      expected: facts.wanted,
      desired: Math.max(0, facts.wanted - scaledValue(maxUnavailable, facts.wanted, 'up')),
    }
  }
  if (typeof minAvailable === 'number') return { expected: facts.pods.length, desired: minAvailable }
  if (minAvailable === undefined) return { expected: facts.pods.length, desired: 0 }
  if (facts.wanted === undefined) return undefined
  return { expected: facts.wanted, desired: scaledValue(minAvailable, facts.wanted, 'up') }
}

/** Evictions under way: of pods that exist, are not marked yet, and were allowed not long ago. */
export function disruptionsUnderWay(
  budget: PodDisruptionBudget,
  facts: Pick<BudgetFacts, 'pods' | 'now'>,
): Record<string, string> {
  const byName = new Map(facts.pods.map((pod) => [pod.metadata.name, pod]))
  const underWay: Record<string, string> = {}
  for (const [name, since] of Object.entries(budget.status?.disruptedPods ?? {})) {
    const pod = byName.get(name)
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) continue
    if (facts.now - parseTime(since) < evictionTimeout) underWay[name] = since
  }
  return underWay
}

/** The status of a budget. Source: kubernetes/pkg/controller/disruption. */
export function budgetStatus(budget: PodDisruptionBudget, facts: BudgetFacts): PodDisruptionBudgetStatus {
  const underWay = disruptionsUnderWay(budget, facts)
  const healthy = facts.pods.filter(
    (pod) =>
      isPodReady(pod) &&
      !isPodFinished(pod) &&
      pod.metadata.deletionTimestamp === undefined &&
      underWay[pod.metadata.name] === undefined,
  ).length
  const counts = expectedPods(budget, facts)
  const { expected, desired } = counts ?? { expected: 0, desired: 0 }
  // Where nothing can be known, nothing may be disrupted.
  const allowed = counts === undefined || expected <= 0 ? 0 : Math.max(0, healthy - desired)
  return {
    ...(Object.keys(underWay).length > 0 && { disruptedPods: underWay }),
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    observedGeneration: budget.metadata.generation ?? 0,
    conditions: conditionsOf(budget, allowed, counts !== undefined, facts.time),
  }
}

function conditionsOf(
  budget: PodDisruptionBudget,
  allowed: number,
  isKnown: boolean,
  time: string,
): Condition[] {
  const before = budget.status?.conditions ?? []
  const known = before.find(({ type }) => type === 'DisruptionAllowed')
  const status = allowed > 0 ? 'True' : 'False'
  const reason = !isKnown ? 'SyncFailed' : allowed > 0 ? 'SufficientPods' : 'InsufficientPods'
  const condition: Condition = {
    type: 'DisruptionAllowed',
    status,
    reason,
    message: isKnown ? '' : 'found no controllers for all pods of the budget',
    lastTransitionTime: known?.status === status ? known.lastTransitionTime : time,
    observedGeneration: budget.metadata.generation ?? 0,
  }
  return [...before.filter((other) => other !== known), condition]
}
