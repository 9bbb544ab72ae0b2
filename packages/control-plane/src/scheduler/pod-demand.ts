import { type Node, type Pod, podRequests, quantityMillis, quantityToNumber } from '@outrigger/kube'

/** What a pod asks of a node. */
export interface PodDemand {
  /** By resource name; cpu in thousandths, everything else in units (bytes, devices). */
  readonly requests: ReadonlyMap<string, number>
  readonly hostPorts: readonly HostPort[]
}

export interface HostPort {
  readonly ip: string
  readonly port: number
  readonly protocol: string
}

/** Requests (KEP-753 arithmetic, overhead included) and host ports of a pod. */
export function podDemand(pod: Pod): PodDemand {
  const requests = new Map<string, number>()
  for (const [resource, quantity] of Object.entries(podRequests(pod)))
    requests.set(resource, amountOf(resource, quantity))
  const hostPorts: HostPort[] = []
  for (const container of pod.spec.containers) {
    for (const port of container.ports ?? []) {
      if (port.hostPort === undefined || port.hostPort === 0) continue
      hostPorts.push({ ip: port.hostIP || '0.0.0.0', port: port.hostPort, protocol: port.protocol ?? 'TCP' })
    }
  }
  return { requests, hostPorts }
}

const allocatables = new WeakMap<Node, ReadonlyMap<string, number>>()

/** status.allocatable in the same units, worked out once per version of the node. */
export function nodeAllocatable(node: Node): ReadonlyMap<string, number> {
  let known = allocatables.get(node)
  if (known === undefined) {
    known = new Map(
      Object.entries(node.status?.allocatable ?? {}).map(([resource, quantity]) => [
        resource,
        amountOf(resource, quantity),
      ]),
    )
    allocatables.set(node, known)
  }
  return known
}

function amountOf(resource: string, quantity: string | number): number {
  return resource === 'cpu' ? quantityMillis(quantity) : quantityToNumber(quantity)
}
