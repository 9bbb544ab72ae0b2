import { matchesNodeSelector, type Node, type Pod } from '@outrigger/kube'
import { type Amount, amountOf, millisOf } from '../pod/amount.ts'
import type { PodLife } from '../pod/pod-life.ts'
import type { ResizeRefusal } from '../pod/resource-allocation.ts'
import type { PodVerdict } from '../pod/status-input.ts'
import { parseReference } from '../volume/reference-policy.ts'

export interface AdmissionFacts {
  readonly node: Node
  readonly isVirtual: boolean
  readonly allocatable: Readonly<Record<string, Amount>>
  /** What the other pods of the node ask for. */
  readonly used: Requests
  readonly podCount: number
}

/** In the units of Kubernetes' messages: thousandths of a CPU, bytes, pieces. */
export type Requests = Readonly<Record<string, number>>

const unsupportedReason = 'VirtualNodeUnsupported'
const mostContainers = 20
const mostVolumes = 20

/** Why the node does not take a pod, or undefined. The scheduler checks the same; pods may bypass it. */
export function refusePod(pod: Pod, life: PodLife, facts: AdmissionFacts): PodVerdict | undefined {
  return (
    (facts.isVirtual ? refuseOnVirtualNode(pod, life) : undefined) ??
    refuseAffinity(pod, facts.node) ??
    refuseResources(pod, facts)
  )
}

function refuseOnVirtualNode(pod: Pod, life: PodLife): PodVerdict | undefined {
  const refuse = (message: string): PodVerdict => ({ reason: unsupportedReason, message })
  const daemon = pod.metadata.ownerReferences?.find((owner) => owner.controller && owner.kind === 'DaemonSet')
  if (daemon !== undefined) {
    return refuse(
      `virtual nodes run no pods of a DaemonSet (owner ${daemon.name}); run the agent as a sidecar`,
    )
  }
  const { spec } = pod
  if (spec.hostNetwork === true) return refuse('spec.hostNetwork is not supported on a virtual node')
  if (spec.hostPID === true) return refuse('spec.hostPID is not supported on a virtual node')
  if (spec.hostIPC === true) return refuse('spec.hostIPC is not supported on a virtual node')
  const volumes = spec.volumes ?? []
  const onHost = volumes.findIndex((volume) => volume.hostPath !== undefined)
  if (onHost >= 0) {
    return refuse(
      `spec.volumes[${onHost}].hostPath is not supported on a virtual node; use emptyDir or another volume`,
    )
  }
  for (const each of life.containers.values()) {
    if (each.spec.securityContext?.privileged === true) {
      return refuse(`container ${each.name}: securityContext.privileged is not supported on a virtual node`)
    }
  }
  if (life.containers.size > mostContainers) {
    return refuse(
      `the pod has ${life.containers.size} containers, a virtual node takes at most ${mostContainers}`,
    )
  }
  if (volumes.length > mostVolumes) {
    return refuse(`the pod has ${volumes.length} volumes, a virtual node takes at most ${mostVolumes}`)
  }
  const pullSecret = (spec.imagePullSecrets ?? []).find(
    ({ name }) => parseReference(name ?? '') !== undefined,
  )
  if (pullSecret !== undefined) {
    return refuse(`spec.imagePullSecrets may not name an object of another namespace (${pullSecret.name})`)
  }
  return undefined
}

function refuseAffinity(pod: Pod, node: Node): PodVerdict | undefined {
  const labels = node.metadata.labels ?? {}
  const isSelected = Object.entries(pod.spec.nodeSelector ?? {}).every(
    ([key, value]) => labels[key] === value,
  )
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (isSelected && (required === undefined || matchesNodeSelector(required, node))) return undefined
  return {
    reason: 'NodeAffinity',
    message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  }
}

function refuseResources(pod: Pod, facts: AdmissionFacts): PodVerdict | undefined {
  const refuse = (resource: string, requested: number, used: number, capacity: number): PodVerdict => ({
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  })
  const most = Number(facts.allocatable['pods'] ?? Number.POSITIVE_INFINITY)
  if (facts.podCount + 1 > most) return refuse('pods', 1, facts.podCount, most)
  for (const [resource, requested] of Object.entries(podRequests(pod))) {
    if (requested === 0) continue
    const capacity = amountIn(resource, facts.allocatable[resource])
    const used = facts.used[resource] ?? 0
    if (used + requested > capacity) return refuse(resource, requested, used, capacity)
  }
  return undefined
}

/** Why the node cannot give a pod of its own what it asks for now. */
export function refuseResize(
  pod: Pod,
  allocatable: AdmissionFacts['allocatable'],
  ledger: { usedByOthers(podUid: string): Requests },
): ResizeRefusal | undefined {
  const others = ledger.usedByOthers(pod.metadata.uid ?? '')
  for (const [resource, requested] of Object.entries(podRequests(pod))) {
    const capacity = amountIn(resource, allocatable[resource])
    const used = others[resource] ?? 0
    if (requested > capacity) {
      const message = `Node didn't have enough capacity: ${resource}, requested: ${requested}, capacity: ${capacity}`
      return { reason: 'Infeasible', message }
    }
    if (used + requested > capacity) {
      const message = `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`
      return { reason: 'Deferred', message }
    }
  }
  return undefined
}

/**
 * What a pod asks of a node: its main containers and native sidecars together, or an init container with
 * the sidecars before it where that is more.
 */
export function podRequests(pod: Pod): Requests {
  const resources = new Set<string>()
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  for (const container of all) {
    for (const key of Object.keys(container.resources?.requests ?? {})) resources.add(key)
    for (const key of Object.keys(container.resources?.limits ?? {})) resources.add(key)
  }
  const total: Record<string, number> = {}
  for (const resource of resources) {
    const of = (container: Pod['spec']['containers'][number]) =>
      amountIn(resource, container.resources?.requests?.[resource] ?? container.resources?.limits?.[resource])
    let sidecars = 0
    let peak = 0
    for (const init of pod.spec.initContainers ?? []) {
      if (init.restartPolicy === 'Always') sidecars += of(init)
      else peak = Math.max(peak, sidecars + of(init))
    }
    const main = pod.spec.containers.reduce((sum, container) => sum + of(container), 0)
    total[resource] = Math.max(peak, sidecars + main) + amountIn(resource, pod.spec.overhead?.[resource])
  }
  return total
}

function amountIn(resource: string, quantity: Amount | undefined): number {
  return resource === 'cpu' ? millisOf(quantity) : Math.ceil(amountOf(quantity))
}
