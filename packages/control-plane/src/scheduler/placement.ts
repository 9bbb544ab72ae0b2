import { matchesNodeSelector, type NodeSelector, type Pod } from '@outrigger/kube'
import type { ClusterView } from './cluster-view.ts'
import { refusals } from './filter.ts'
import type { ExistingNode } from './node-view.ts'
import { podDemand } from './pod-demand.ts'
import type { Refusal } from './refusal.ts'
import { score } from './score.ts'

/** Where a pod goes, or why nowhere. */
export type Placement =
  | { readonly kind: 'placed'; readonly nodeName: string }
  /** `message` as kube-scheduler writes it into condition and event. */
  | { readonly kind: 'unschedulable'; readonly message: string }

/**
 * Chooses a node, of those that each of `volumeAffinities` selects. Of equally good nodes the first by name is taken,
 * so the answer can be repeated.
 */
export function planPlacement(
  pod: Pod,
  cluster: ClusterView,
  volumeAffinities: readonly NodeSelector[] = [],
): Placement {
  const nodes = cluster.nodes()
  if (nodes.length === 0) return { kind: 'unschedulable', message: 'no nodes available to schedule pods' }
  const demand = podDemand(pod)
  const reasons = new Map<string, number>()
  let resolvable = 0
  let best: { readonly view: ExistingNode; readonly score: number } | undefined
  for (const view of nodes) {
    const ofItself = refusals(pod, demand, view, nodes)
    const reachesVolumes = volumeAffinities.every((required) => matchesNodeSelector(required, view.node))
    const refused = ofItself.length > 0 || reachesVolumes ? ofItself : [outOfReach]
    if (refused.length > 0) {
      for (const { reason } of refused) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      if (refused.every((refusal) => refusal.isResolvable)) resolvable++
      continue
    }
    const points = score(pod, demand, view)
    if (best === undefined || points > best.score || (points === best.score && view.name < best.view.name))
      best = { view, score: points }
  }
  if (best !== undefined) return { kind: 'placed', nodeName: best.view.name }
  return { kind: 'unschedulable', message: unschedulableMessage(nodes.length, reasons, resolvable) }
}

const outOfReach: Refusal = {
  reason: "node(s) didn't match PersistentVolume's node affinity",
  isResolvable: false,
}

/** Why a pod goes nowhere, for a reason that is no node's. */
export function refusedOutright(reason: string, cluster: ClusterView): Placement {
  const total = cluster.nodes().length
  return {
    kind: 'unschedulable',
    message: `0/${total} nodes are available: ${reason}. no new claims to deallocate, preemption: 0/${total} nodes are available: ${total} Preemption is not helpful for scheduling.`,
  }
}

function unschedulableMessage(
  total: number,
  reasons: ReadonlyMap<string, number>,
  resolvable: number,
): string {
  const counted = (counts: readonly (readonly [string, number])[]) =>
    counts
      .filter(([, count]) => count > 0)
      .map(([reason, count]) => `${count} ${reason}`)
      .sort()
      .join(', ')
  const preemption = counted([
    ['No preemption victims found for incoming pod', resolvable],
    ['Preemption is not helpful for scheduling', total - resolvable],
  ])
  return `0/${total} nodes are available: ${counted([...reasons])}. no new claims to deallocate, preemption: 0/${total} nodes are available: ${preemption}.`
}
