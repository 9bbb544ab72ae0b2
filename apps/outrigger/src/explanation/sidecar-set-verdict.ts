import { virtualNodeNames } from '@outrigger/api'
import {
  type CompiledSidecarSet,
  matchSidecarSet,
  type NamespaceFacts,
  type SidecarSetDecision,
  type SidecarSetIndex,
} from '@outrigger/injection'
import { formatLabelSelector, type LabelMatcher, type Labels, requirementHolds } from '@outrigger/kube'

/** A decision about one SidecarSet, in a cluster of possibly thousands. */
export interface SidecarSetVerdict extends SidecarSetDecision {
  /** Whether its selector takes the pod's labels, whatever else keeps it away. */
  readonly selectsPod: boolean
}

/**
 * A decision about every SidecarSet there is, sorted by name, with the labels that made the difference. `decided` are
 * those that came into question when a plan was made; they keep their word.
 */
export function verdictsFor(
  labels: Labels,
  namespace: NamespaceFacts,
  sidecarSets: SidecarSetIndex,
  decided: readonly SidecarSetDecision[] = [],
): SidecarSetVerdict[] {
  const known = new Map(decided.map((decision) => [decision.sidecarSet, decision]))
  return [...sidecarSets.values()]
    .map((compiled) => {
      const decision =
        known.get(compiled.sidecarSet.metadata.name) ??
        matchSidecarSet(compiled, labels, namespace, sidecarSets.release)
      const gap = decision.isInjected ? undefined : gapOf(compiled, labels, namespace)
      const reason = gap === undefined ? decision.reason : `${decision.reason}: ${gap}`
      return { ...decision, reason, selectsPod: compiled.selects?.matches(labels) ?? false }
    })
    .sort((left, right) => (left.sidecarSet < right.sidecarSet ? -1 : 1))
}

function gapOf(
  { selects, selectsNamespace }: CompiledSidecarSet,
  labels: Labels,
  namespace: NamespaceFacts,
): string | undefined {
  if (selects === undefined) return undefined
  if (!selects.matches(labels)) return describeGap(selects, labels, 'the pod')
  if (selectsNamespace === undefined || namespace.labels === undefined) return undefined
  return selectsNamespace.matches(namespace.labels)
    ? undefined
    : describeGap(selectsNamespace, namespace.labels, 'the namespace')
}

/** `it wants app=web, the pod has app=db`, for the first condition that does not hold. */
export function describeGap(selector: LabelMatcher, labels: Labels, owner: string): string | undefined {
  const missed = selector.requirements.find((condition) => !requirementHolds(condition, labels))
  if (missed === undefined) return undefined
  const value = labels[missed.key]
  const has = value === undefined ? `has no label ${missed.key}` : `has ${missed.key}=${value}`
  const hint =
    missed.key === virtualNodeNames.podLabel && value === undefined
      ? ' (set by Outrigger once it is certain that the pod runs on a virtual node)'
      : ''
  return `it wants ${formatLabelSelector([missed])}, ${owner} ${has}${hint}`
}
