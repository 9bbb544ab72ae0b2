import { virtualNodeNames } from '@outrigger/api'
import type { NodeSelector, Pod, PodSpec, Toleration } from '@outrigger/kube'
import type { NamespaceFacts } from './match.ts'

export interface VirtualNodeFacts {
  readonly namespace: NamespaceFacts
  /** Whether the node of this name is a virtual one. */
  isVirtualNode(nodeName: string): boolean
}

/** What is known, before scheduling, about where a pod will run. */
export type Destination =
  | {
      readonly isCertain: true
      readonly route: 'pod label' | 'namespace label' | 'node selector' | 'node affinity' | 'node name'
      readonly reason: string
    }
  | { readonly isCertain: false; readonly reason: string }

/** How a pod is sent to a virtual node. Nothing to do when the destination is open. */
export interface VirtualNodePlan {
  readonly destination: Destination
  /** The spec with what brings the pod there; the very spec given if nothing is missing. */
  readonly spec: PodSpec
  readonly labels: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
}

/** Decides whether a pod certainly goes to a virtual node and, if so, what must be written for it to get there. */
export function planVirtualNode(pod: Pod, facts: VirtualNodeFacts): VirtualNodePlan {
  const destination = destinationOf(pod, facts)
  if (!destination.isCertain) return { destination, spec: pod.spec, labels: {}, warnings: [] }
  const labels = { [virtualNodeNames.podLabel]: 'true' }
  if (destination.route === 'node name') return { destination, spec: pod.spec, labels, warnings: [] }
  const warnings: string[] = []
  const spec = routed(pod.spec, destination.route, warnings)
  return { destination, spec, labels, warnings }
}

/** Where a pod will run, as far as its labels, its namespace and its spec say. */
export function destinationOf(pod: Pod, facts: VirtualNodeFacts): Destination {
  const { eciLabel, acsLabel, legacyPodLabel, legacyNamespaceLabel } = virtualNodeNames
  const { nodeName } = pod.spec
  if (nodeName)
    return facts.isVirtualNode(nodeName)
      ? { isCertain: true, route: 'node name', reason: `spec.nodeName is the virtual node ${nodeName}` }
      : { isCertain: false, reason: `spec.nodeName is ${nodeName}, which is not a virtual node` }
  if (pod.metadata.ownerReferences?.some(({ kind, controller }) => kind === 'DaemonSet' && controller))
    return { isCertain: false, reason: 'pods of a DaemonSet belong to their node and are not routed' }
  const labels = pod.metadata.labels ?? {}
  for (const key of [eciLabel, acsLabel, legacyPodLabel])
    if (labels[key] === 'true') return certain('pod label', `the pod's label ${key} is "true"`)
  const namespaceLabels = facts.namespace.labels ?? {}
  const optsOut = labels[eciLabel] === 'false' || labels[acsLabel] === 'false'
  if (!optsOut) {
    for (const [key, value] of [
      [eciLabel, 'true'],
      [acsLabel, 'true'],
      [legacyNamespaceLabel, 'enabled'],
    ] as const)
      if (namespaceLabels[key] === value)
        return certain('namespace label', `namespace ${facts.namespace.name} has the label ${key}=${value}`)
  }
  if (pod.spec.nodeSelector?.[virtualNodeNames.nodeTypeLabel] === virtualNodeNames.nodeType)
    return certain('node selector', 'spec.nodeSelector asks for type: virtual-kubelet')
  if (requiresVirtualNode(requiredAffinity(pod.spec)))
    return certain('node affinity', 'the required node affinity admits only type virtual-kubelet')
  return { isCertain: false, reason: 'nothing in the pod or its namespace sends it to a virtual node' }
}

function certain(
  route: Extract<Destination, { isCertain: true }>['route'],
  reason: string,
): Extract<Destination, { isCertain: true }> {
  return { isCertain: true, route, reason }
}

function requiredAffinity(spec: PodSpec): NodeSelector | undefined {
  return spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? undefined
}

const { nodeTypeLabel, nodeType } = virtualNodeNames

/** Terms are alternatives: only if each of them insists on a virtual node does the whole. */
function requiresVirtualNode(affinity: NodeSelector | undefined): boolean {
  const terms = affinity?.nodeSelectorTerms ?? []
  return (
    terms.length > 0 &&
    terms.every((term) =>
      term.matchExpressions?.some(
        ({ key, operator, values }) =>
          key === nodeTypeLabel && operator === 'In' && values?.length === 1 && values[0] === nodeType,
      ),
    )
  )
}

/** Whether the required affinity admits no virtual node, as far as the node's type decides it. */
function forbidsVirtualNode(affinity: NodeSelector | undefined): boolean {
  const terms = affinity?.nodeSelectorTerms ?? []
  return (
    terms.length > 0 &&
    terms.every((term) =>
      term.matchExpressions?.some(({ key, operator, values = [] }) => {
        if (key !== nodeTypeLabel) return false
        const isListed = values.includes(nodeType)
        return (
          operator === 'DoesNotExist' ||
          (operator === 'In' && !isListed) ||
          (operator === 'NotIn' && isListed)
        )
      }),
    )
  )
}

const toleration: Toleration = { key: virtualNodeNames.taint, operator: 'Exists' }

/** The spec with node selector and toleration. The label route wins over what else the spec says of node types. */
function routed(spec: PodSpec, route: string, warnings: string[]): PodSpec {
  let routedSpec = spec
  const asked = spec.nodeSelector?.[nodeTypeLabel]
  if (asked !== nodeType) {
    if (asked !== undefined)
      warnings.push(`spec.nodeSelector: type ${asked} gives way to ${nodeType}, because of the ${route}`)
    routedSpec = { ...routedSpec, nodeSelector: { ...spec.nodeSelector, [nodeTypeLabel]: nodeType } }
  }
  if (forbidsVirtualNode(requiredAffinity(spec))) {
    warnings.push(
      `spec.affinity: the required node affinity excludes virtual nodes and is dropped, because of the ${route}`,
    )
    const { requiredDuringSchedulingIgnoredDuringExecution: _, ...nodeAffinity } =
      spec.affinity?.nodeAffinity ?? {}
    routedSpec = { ...routedSpec, affinity: { ...spec.affinity, nodeAffinity } }
  }
  if (!spec.tolerations?.some(toleratesVirtualNodes))
    routedSpec = { ...routedSpec, tolerations: [...(spec.tolerations ?? []), toleration] }
  return routedSpec
}

/** Whether it covers the taint of every virtual node, whatever the taint's value. */
function toleratesVirtualNodes({ key, operator, effect }: Toleration): boolean {
  const coversKey = key === virtualNodeNames.taint || key === undefined || key === ''
  return operator === 'Exists' && coversKey && (!effect || effect === 'NoSchedule')
}
