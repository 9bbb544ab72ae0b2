import type { Pod } from '@outrigger/kube'
import type { ClusterView } from './cluster-view.ts'
import { refusals } from './filter.ts'
import type { ExistingNode } from './node-view.ts'
import { podDemand } from './pod-demand.ts'
import { score } from './score.ts'

/** Where a pod goes, or why nowhere. */
export type Placement =
  | { readonly kind: 'placed'; readonly nodeName: string }
  /** `message` as kube-scheduler writes it into condition and event. */
  | { readonly kind: 'unschedulable'; readonly message: string }

/** Chooses a node. Of equally good nodes the first by name is taken, so the answer can be repeated. */
export function planPlacement(pod: Pod, cluster: ClusterView): Placement {
  const nodes = cluster.nodes()
  if (nodes.length === 0) return { kind: 'unschedulable', message: 'no nodes available to schedule pods' }
  const demand = podDemand(pod)
  const reasons = new Map<string, number>()
  let resolvable = 0
  let best: { readonly view: ExistingNode; readonly score: number } | undefined
  for (const view of nodes) {
    const refused = refusals(pod, demand, view, nodes)
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
