import {
  type CompiledSelector,
  compileLabelSelector,
  type Pod,
  type PodAffinityTerm,
  type TopologySpreadConstraint,
} from '@outrigger/kube'
import type { ExistingNode } from './node-view.ts'
import type { Refusal } from './refusal.ts'

/**
 * The first rule about *other pods* that keeps the pod off the node: required affinity and anti-affinity
 * (its own and that of pods already placed) and topology spread with `DoNotSchedule`.
 *
 * Costs nothing for a pod without such rules on nodes whose pods have none.
 */
export function podFitsBesideOthers(
  pod: Pod,
  view: ExistingNode,
  nodes: readonly ExistingNode[],
): Refusal | undefined {
  const affinity = pod.spec.affinity
  const wanted = affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  const unwanted = affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  if (!wanted.every((term) => meetsAffinity(pod, term, view, nodes))) {
    return { reason: "node(s) didn't match pod affinity rules", isResolvable: false }
  }
  if (unwanted.some((term) => hasMatch(pod, term, view, nodes))) {
    return { reason: "node(s) didn't match pod anti-affinity rules", isResolvable: true }
  }
  if (isRepelled(pod, view, nodes)) {
    return { reason: "node(s) didn't satisfy existing pods anti-affinity rules", isResolvable: true }
  }
  return spreadRefusal(pod, view, nodes)
}

function meetsAffinity(
  pod: Pod,
  term: PodAffinityTerm,
  view: ExistingNode,
  nodes: readonly ExistingNode[],
): boolean {
  if (topologyOf(view, term.topologyKey) === undefined) return false
  if (hasMatch(pod, term, view, nodes)) return true
  const matchesItself = selects(term, pod.metadata.namespace ?? '', pod)
  return matchesItself && !nodes.some((node) => countMatches(pod, term, node) > 0)
}

function hasMatch(
  pod: Pod,
  term: PodAffinityTerm,
  view: ExistingNode,
  nodes: readonly ExistingNode[],
): boolean {
  const here = topologyOf(view, term.topologyKey)
  if (here === undefined) return false
  return nodes.some(
    (node) => topologyOf(node, term.topologyKey) === here && countMatches(pod, term, node) > 0,
  )
}

function isRepelled(pod: Pod, view: ExistingNode, nodes: readonly ExistingNode[]): boolean {
  for (const node of nodes) {
    for (const { pod: other } of node.pods.values()) {
      const terms = other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution
      for (const term of terms ?? []) {
        const there = topologyOf(node, term.topologyKey)
        if (there === undefined || there !== topologyOf(view, term.topologyKey)) continue
        if (selects(term, other.metadata.namespace ?? '', pod)) return true
      }
    }
  }
  return false
}

function spreadRefusal(pod: Pod, view: ExistingNode, nodes: readonly ExistingNode[]): Refusal | undefined {
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== 'DoNotSchedule') continue
    const here = topologyOf(view, constraint.topologyKey)
    if (here === undefined) {
      return {
        reason: "node(s) didn't match pod topology spread constraints (missing required label)",
        isResolvable: false,
      }
    }
    const counts = spreadCounts(pod, constraint, nodes)
    const least = counts.size < (constraint.minDomains ?? 1) ? 0 : Math.min(...counts.values())
    const own = selectorOf(constraint.labelSelector).matches(pod.metadata.labels ?? {}) ? 1 : 0
    if ((counts.get(here) ?? 0) + own - least > constraint.maxSkew) {
      return { reason: "node(s) didn't match pod topology spread constraints", isResolvable: true }
    }
  }
  return undefined
}

function spreadCounts(
  pod: Pod,
  constraint: TopologySpreadConstraint,
  nodes: readonly ExistingNode[],
): Map<string, number> {
  const selector = selectorOf(constraint.labelSelector)
  const counts = new Map<string, number>()
  for (const node of nodes) {
    const domain = topologyOf(node, constraint.topologyKey)
    if (domain === undefined) continue
    let count = counts.get(domain) ?? 0
    for (const { pod: other } of node.pods.values()) {
      if (
        other.metadata.namespace !== pod.metadata.namespace ||
        other.metadata.deletionTimestamp !== undefined
      )
        continue
      if (selector.matches(other.metadata.labels ?? {})) count++
    }
    counts.set(domain, count)
  }
  return counts
}

function countMatches(pod: Pod, term: PodAffinityTerm, node: ExistingNode): number {
  let count = 0
  for (const { pod: other } of node.pods.values())
    if (selects(term, pod.metadata.namespace ?? '', other)) count++
  return count
}

/** Whether `term`, written in a pod of namespace `home`, means `pod`. */
function selects(term: PodAffinityTerm, home: string, pod: Pod): boolean {
  const namespaces = term.namespaces ?? []
  const isEverywhere =
    term.namespaceSelector !== undefined && Object.keys(term.namespaceSelector).length === 0
  const inNamespace =
    isEverywhere ||
    (namespaces.length === 0
      ? pod.metadata.namespace === home
      : namespaces.includes(pod.metadata.namespace ?? ''))
  return inNamespace && selectorOf(term.labelSelector).matches(pod.metadata.labels ?? {})
}

const compiled = new WeakMap<object, CompiledSelector>()
const nothing: CompiledSelector = { matches: () => false }

/** Compiled selectors, remembered as long as the object that carries them. An absent selector matches nothing. */
function selectorOf(selector: PodAffinityTerm['labelSelector']): CompiledSelector {
  if (selector === undefined) return nothing
  let known = compiled.get(selector)
  if (known === undefined) {
    known = compileLabelSelector(selector)
    compiled.set(selector, known)
  }
  return known
}

function topologyOf(view: ExistingNode, key: string): string | undefined {
  return view.node.metadata.labels?.[key]
}
