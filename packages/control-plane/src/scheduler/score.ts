import { matchesNodeSelectorTerm, type Node, type Pod, toleratesTaint } from '@outrigger/kube'
import { matchesNode } from './filter.ts'
import type { ExistingNode } from './node-view.ts'
import { nodeAllocatable, type PodDemand } from './pod-demand.ts'

/**
 * How well a node that fits suits the pod; more is better. Weighs, as kube-scheduler does by default,
 * avoided taints and preferred affinity above an even use of CPU and memory and above spreading pods
 * of the same owner.
 */
export function score(pod: Pod, demand: PodDemand, view: ExistingNode): number {
  return (
    3 * taintScore(pod, view.node) +
    2 * affinityScore(pod, view.node) +
    leastAllocatedScore(demand, view) +
    2 * spreadScore(pod, view)
  )
}

function taintScore(pod: Pod, node: Node): number {
  const avoided = (node.spec.taints ?? []).filter(
    (taint) =>
      taint.effect === 'PreferNoSchedule' &&
      !(pod.spec.tolerations ?? []).some((toleration) => toleratesTaint(toleration, taint)),
  )
  return 100 / (1 + avoided.length)
}

function affinityScore(pod: Pod, node: Node): number {
  const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  const total = preferred.reduce((sum, term) => sum + term.weight, 0)
  if (total === 0) return matchesNode(pod, node) ? 100 : 0
  const met = preferred.reduce(
    (sum, term) => sum + (matchesNodeSelectorTerm(term.preference, node) ? term.weight : 0),
    0,
  )
  return (100 * met) / total
}

function leastAllocatedScore(demand: PodDemand, view: ExistingNode): number {
  const allocatable = nodeAllocatable(view.node)
  const free = ['cpu', 'memory'].map((resource) => {
    const total = allocatable.get(resource) ?? 0
    if (total === 0) return 0
    const used = (view.requested.get(resource) ?? 0) + (demand.requests.get(resource) ?? 0)
    return Math.max(0, (100 * (total - used)) / total)
  })
  return free.reduce((sum, share) => sum + share, 0) / free.length
}

function spreadScore(pod: Pod, view: ExistingNode): number {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true)?.uid
  if (owner === undefined) return 100 / (1 + view.pods.size / 100)
  let siblings = 0
  for (const { pod: other } of view.pods.values()) {
    if (other.metadata.ownerReferences?.some((reference) => reference.uid === owner)) siblings++
  }
  return 100 / (1 + siblings)
}
