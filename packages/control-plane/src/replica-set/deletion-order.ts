import { parseTime } from '@outrigger/foundation'
import type { Pod } from '@outrigger/kube'
import { isPodReady, podCondition } from '../pods/pod-state.ts'

const deletionCost = 'controller.kubernetes.io/pod-deletion-cost'
const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 }

/**
 * The pods to delete, least useful first: not placed before placed, pending before running, not ready
 * before ready, cheaper deletion cost, more siblings on the node, ready for less time, more restarts,
 * younger. Source: kubernetes/pkg/controller `ActivePodsWithRanks`.
 */
export function podsToDelete(pods: readonly Pod[], count: number): readonly Pod[] {
  const siblings = new Map<string, number>()
  for (const pod of pods)
    siblings.set(pod.spec.nodeName ?? '', (siblings.get(pod.spec.nodeName ?? '') ?? 0) + 1)
  const ranked = pods.map((pod) => ({ pod, rank: rankOf(pod, siblings.get(pod.spec.nodeName ?? '') ?? 0) }))
  ranked.sort((a, b) => compareRanks(a.rank, b.rank))
  return ranked.slice(0, Math.max(0, count)).map(({ pod }) => pod)
}

function rankOf(pod: Pod, siblings: number): readonly number[] {
  const readySince = parseTime(podCondition(pod, 'Ready')?.lastTransitionTime ?? '') || 0
  const restarts = (pod.status?.containerStatuses ?? []).reduce((sum, status) => sum + status.restartCount, 0)
  const cost = Number(pod.metadata.annotations?.[deletionCost] ?? 0)
  return [
    pod.spec.nodeName === undefined ? 0 : 1,
    phaseRank[pod.status?.phase ?? 'Pending'] ?? 3,
    isPodReady(pod) ? 1 : 0,
    Number.isFinite(cost) ? cost : 0,
    -siblings,
    -readySince,
    -restarts,
    -(parseTime(pod.metadata.creationTimestamp ?? '') || 0),
  ]
}

function compareRanks(left: readonly number[], right: readonly number[]): number {
  for (const [index, value] of left.entries()) {
    const difference = value - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
