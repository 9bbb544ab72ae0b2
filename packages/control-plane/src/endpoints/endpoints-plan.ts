import type { EndpointAddress, EndpointSubset, Service } from '@outrigger/kube'
import { type EndpointFacts, type OfferedPort, podReference, portsKey } from './endpoint-facts.ts'

/** Source: endpoints controller, `maxCapacity`. */
const mostAddresses = 1000

/**
 * The subsets of the old Endpoints object: addresses that offer the same ports together, sorted. Pods
 * that are on their way out are left out unless the service publishes everything; at most 1,000
 * addresses are named. Source: kubernetes/pkg/controller/endpoint.
 */
export function endpointSubsets(service: Service, facts: readonly EndpointFacts[]): EndpointSubset[] {
  const family = service.spec.ipFamilies?.[0] === 'IPv6' ? 'IPv6' : 'IPv4'
  const groups = new Map<
    string,
    { ports: readonly OfferedPort[]; ready: EndpointAddress[]; other: EndpointAddress[] }
  >()
  const concerned = facts.filter(
    (fact) =>
      fact.family === family && (!fact.isTerminating || service.spec.publishNotReadyAddresses === true),
  )
  for (const fact of concerned.slice(0, mostAddresses)) {
    const key = portsKey(fact.ports)
    let group = groups.get(key)
    if (group === undefined) {
      group = { ports: fact.ports, ready: [], other: [] }
      groups.set(key, group)
    }
    const list = fact.isReady ? group.ready : group.other
    list.push(addressOf(fact))
  }
  return [...groups]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([, { ports, ready, other }]) => ({
      ...(ready.length > 0 && { addresses: ready.sort(byAddress) }),
      ...(other.length > 0 && { notReadyAddresses: other.sort(byAddress) }),
      ...(ports.length > 0 && {
        ports: ports
          .map(({ name, ...port }) => ({ ...(name !== '' && { name }), ...port }))
          .sort((left, right) => ((left.name ?? '') < (right.name ?? '') ? -1 : 1)),
      }),
    }))
}

function addressOf({ address, hostname, pod }: EndpointFacts): EndpointAddress {
  return {
    ip: address,
    ...(hostname !== undefined && { hostname }),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: podReference(pod),
  }
}

function byAddress(left: EndpointAddress, right: EndpointAddress): number {
  if (left.ip !== right.ip) return left.ip < right.ip ? -1 : 1
  return (left.targetRef?.uid ?? '') < (right.targetRef?.uid ?? '') ? -1 : 1
}
