import { matchesNodeSelectorTerm, type Node, type Pod, type Taint, toleratesTaint } from '@outrigger/kube'
import { podFitsBesideOthers } from './inter-pod.ts'
import type { ExistingNode, NodeView } from './node-view.ts'
import { nodeAllocatable, type PodDemand } from './pod-demand.ts'
import type { Refusal } from './refusal.ts'

const unresolvable = (reason: string): Refusal => ({ reason, isResolvable: false })
const resolvable = (reason: string): Refusal => ({ reason, isResolvable: true })

/**
 * All reasons of the first rule that refuses the pod on this node; empty when it fits. Rules and
 * their order are kube-scheduler's default filter plugins.
 */
export function refusals(
  pod: Pod,
  demand: PodDemand,
  view: ExistingNode,
  nodes: readonly ExistingNode[],
): readonly Refusal[] {
  const { node } = view
  if (node.spec.unschedulable === true && !toleratesUnschedulable(pod))
    return [unresolvable('node(s) were unschedulable')]
  if (pod.spec.nodeName !== undefined && pod.spec.nodeName !== '' && pod.spec.nodeName !== view.name) {
    return [unresolvable("node(s) didn't match the requested node name")]
  }
  if (untoleratedTaint(pod, node) !== undefined) return [unresolvable('node(s) had untolerated taint(s)')]
  if (!matchesNode(pod, node)) return [unresolvable("node(s) didn't match Pod's node affinity/selector")]
  if (hasPortClash(demand, view))
    return [resolvable("node(s) didn't have free ports for the requested pod ports")]
  const shortages = resourceShortages(demand, view)
  if (shortages.length > 0) return shortages.map(resolvable)
  const other = podFitsBesideOthers(pod, view, nodes)
  return other === undefined ? [] : [other]
}

const unschedulableTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }

function toleratesUnschedulable(pod: Pod): boolean {
  return (pod.spec.tolerations ?? []).some((toleration) => toleratesTaint(toleration, unschedulableTaint))
}

/** The first taint that keeps the pod off the node. */
export function untoleratedTaint(pod: Pod, node: Node): Taint | undefined {
  return (node.spec.taints ?? []).find(
    (taint) =>
      (taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') &&
      !(pod.spec.tolerations ?? []).some((toleration) => toleratesTaint(toleration, taint)),
  )
}

/** Whether nodeSelector and required node affinity accept the node. */
export function matchesNode(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {}
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {}))
    if (labels[key] !== value) return false
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (required === undefined) return true
  return required.nodeSelectorTerms.some((term) => matchesNodeSelectorTerm(term, node))
}

function hasPortClash(demand: PodDemand, view: NodeView): boolean {
  if (demand.hostPorts.length === 0) return false
  for (const { demand: other } of view.pods.values()) {
    for (const taken of other.hostPorts) {
      for (const wanted of demand.hostPorts) {
        const sameIp = taken.ip === wanted.ip || taken.ip === '0.0.0.0' || wanted.ip === '0.0.0.0'
        if (sameIp && taken.port === wanted.port && taken.protocol === wanted.protocol) return true
      }
    }
  }
  return false
}

function resourceShortages(demand: PodDemand, view: ExistingNode): string[] {
  const allocatable = nodeAllocatable(view.node)
  const shortages: string[] = []
  if (view.pods.size + 1 > (allocatable.get('pods') ?? 0)) shortages.push('Too many pods')
  for (const [resource, amount] of demand.requests) {
    if (amount === 0) continue
    const free = (allocatable.get(resource) ?? 0) - (view.requested.get(resource) ?? 0)
    if (amount > free) shortages.push(`Insufficient ${resource}`)
  }
  return shortages
}
