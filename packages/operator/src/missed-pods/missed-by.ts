import { type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import { parseTime } from '@outrigger/foundation'
import { hasVirtualNodeLabel, type SidecarSetIndex, selectSidecarSets } from '@outrigger/injection'
import type { Labels, Pod } from '@outrigger/kube'
import { injectedSidecarSets } from '../sidecar-set-status/pod-annotations.ts'

export interface MissedFacts {
  readonly sidecarSets: SidecarSetIndex
  /** The manager's own namespace, about whose pods no webhook is asked. */
  readonly managerNamespace: string
  namespaceLabels(namespace: string): Labels | undefined
  isVirtualNode(name: string): boolean
  /** Whether any SidecarSet takes in pods from before it: see `takesInRunningPods`. */
  readonly areRunningPodsTaken: boolean
}

/** Whether a SidecarSet wants pods, too, that were not to get it when they were created: ones from before it selected them. */
export function takesInRunningPods({ metadata }: SidecarSet): boolean {
  return metadata.annotations?.[sidecarSetAnnotations.missedPods] === 'evict-all'
}

/** Kubelets set it on the pods they make from files: no webhook changes those. */
const mirrorAnnotation = 'kubernetes.io/config.mirror'

/**
 * Milliseconds a pod must be younger than a SidecarSet: time stamps are whole seconds, and a webhook hears of a SidecarSet a
 * little after it was stored.
 */
const youth = 1_000

/** Milliseconds since 1970. A pod from before was not to get the SidecarSet: it did not select the pod then. */
function selectsSince({ creationTimestamp = '', annotations }: SidecarSet['metadata']): number {
  const changed = parseTime(annotations?.[sidecarSetAnnotations.selectsSince] ?? '')
  return Math.max(parseTime(creationTimestamp), Number.isNaN(changed) ? 0 : changed)
}

/**
 * Names of the SidecarSets whose webhook should have been asked about a pod and was not: they have selected such pods since before it was created, and
 * it carries no SidecarSet at all. One that carries others was asked about: what it lacks, it was not to get then. A SidecarSet
 * that takes in running pods misses all that lack it. Whether the pod has ended is not looked at. Pods of virtual nodes are not created unasked, and have an audit of their own.
 */
export function missedBy(pod: Pod, facts: MissedFacts): readonly string[] {
  const { namespace: name = '', annotations, creationTimestamp = '' } = pod.metadata
  const carried = injectedSidecarSets(pod)
  if (carried.length > 0 && !facts.areRunningPodsTaken) return []
  if (annotations?.[mirrorAnnotation] !== undefined) return []
  const { nodeName } = pod.spec
  if (hasVirtualNodeLabel(pod) || (nodeName !== undefined && facts.isVirtualNode(nodeName))) return []
  const labels = facts.namespaceLabels(name)
  // As webhook registration has it.
  if (name === facts.managerNamespace || labels?.['control-plane'] !== undefined) return []
  const { selected } = selectSidecarSets(pod, { sidecarSets: facts.sidecarSets, namespace: { name, labels } })
  const createdAt = parseTime(creationTimestamp)
  const wasMissed = ({ metadata }: SidecarSet) =>
    carried.length === 0 && createdAt - selectsSince(metadata) > youth
  return selected
    .filter((sidecarSet) =>
      takesInRunningPods(sidecarSet) ? !carried.includes(sidecarSet.metadata.name) : wasMissed(sidecarSet),
    )
    .map(({ metadata }) => metadata.name)
}
