import {
  controllerReference,
  type DiscoveryEndpointPort,
  type Draft,
  deepEqual,
  type Endpoint,
  type EndpointSlice,
  type Service,
} from '@outrigger/kube'
import {
  type EndpointFacts,
  type OfferedPort,
  passedLabels,
  podReference,
  portsKey,
} from './endpoint-facts.ts'

export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const sliceManager = 'endpointslice-controller.k8s.io'
export const serviceNameLabel = 'kubernetes.io/service-name'
/** Source: endpointslice controller, `--max-endpoints-per-slice`. */
const mostPerSlice = 100

/** Writes that bring a service's slices up to date. */
export interface SlicePlan {
  readonly create: readonly Draft<EndpointSlice>[]
  readonly update: readonly EndpointSlice[]
  readonly remove: readonly EndpointSlice[]
}

/**
 * Endpoints that are in a slice stay there, changed ones are rewritten in place, new ones fill gaps,
 * and what does not fit gets a slice of its own. A service without endpoints keeps one empty slice.
 * Source: staging/src/k8s.io/endpointslice/reconciler.go.
 */
export function planSlices(
  service: Service,
  facts: readonly EndpointFacts[],
  slices: readonly EndpointSlice[],
): SlicePlan {
  const groups = new Map<
    string,
    { family: EndpointFacts['family']; ports: readonly OfferedPort[]; wanted: Map<string, Endpoint> }
  >()
  for (const fact of facts) {
    const key = `${fact.family} ${portsKey(fact.ports)}`
    let group = groups.get(key)
    if (group === undefined) {
      group = { family: fact.family, ports: fact.ports, wanted: new Map() }
      groups.set(key, group)
    }
    group.wanted.set(fact.pod.metadata.uid ?? fact.address, endpointOf(fact))
  }
  const labels = {
    ...passedLabels(service),
    [managedByLabel]: sliceManager,
    [serviceNameLabel]: service.metadata.name,
  }
  const update: EndpointSlice[] = []
  const remove: EndpointSlice[] = []
  const roomy = new Map<string, EndpointSlice>()
  let kept = 0
  for (const slice of slices) {
    const key = `${slice.addressType} ${portsKey(offeredPorts(slice.ports ?? []))}`
    const group = groups.get(key)
    const isEmptyHome = facts.length === 0 && kept === 0 && isOfService(service, slice)
    if (group === undefined && !isEmptyHome) {
      remove.push(slice)
      continue
    }
    const endpoints = keepEndpoints(slice, group?.wanted ?? new Map())
    if (endpoints.length === 0 && !isEmptyHome && (group?.wanted.size ?? 0) === 0) {
      remove.push(slice)
      continue
    }
    kept++
    const next = { ...slice, metadata: { ...slice.metadata, labels }, endpoints }
    if (endpoints.length < mostPerSlice && group !== undefined && !roomy.has(key)) roomy.set(key, next)
    else if (!isSame(slice, next)) update.push(next)
  }
  const create: Draft<EndpointSlice>[] = []
  for (const [key, { family, ports, wanted }] of groups) {
    const fresh = [...wanted.values()]
    const home = roomy.get(key)
    if (home !== undefined) {
      const before = slices.find(({ metadata }) => metadata.name === home.metadata.name)
      home.endpoints = [
        ...(home.endpoints ?? []),
        ...fresh.splice(0, mostPerSlice - (home.endpoints ?? []).length),
      ]
      if (before === undefined || !isSame(before, home)) update.push(home)
    }
    while (fresh.length > 0)
      create.push(newSlice(service, labels, family, ports, fresh.splice(0, mostPerSlice)))
  }
  if (facts.length === 0 && kept === 0) {
    const family = service.spec.ipFamilies?.[0] === 'IPv6' ? 'IPv6' : 'IPv4'
    create.push(newSlice(service, labels, family, [], []))
  }
  return { create, update, remove }
}

/** The slice's endpoints that are still wanted, as they are now. Takes them out of `wanted`. */
function keepEndpoints(slice: EndpointSlice, wanted: Map<string, Endpoint>): Endpoint[] {
  const kept: Endpoint[] = []
  for (const endpoint of slice.endpoints ?? []) {
    const uid = endpoint.targetRef?.uid ?? endpoint.addresses[0] ?? ''
    const now = wanted.get(uid)
    if (now === undefined) continue
    wanted.delete(uid)
    kept.push(now)
  }
  return kept
}

function isOfService(service: Service, { addressType }: EndpointSlice): boolean {
  return service.spec.ipFamilies === undefined || service.spec.ipFamilies.includes(addressType as 'IPv4')
}

function isSame(slice: EndpointSlice, next: EndpointSlice): boolean {
  return (
    deepEqual(slice.metadata.labels, next.metadata.labels) &&
    deepEqual(slice.endpoints ?? [], next.endpoints ?? [])
  )
}

function endpointOf(facts: EndpointFacts): Endpoint {
  const { pod, hostname, zone } = facts
  return {
    addresses: [facts.address],
    conditions: { ready: facts.isReady, serving: facts.isServing, terminating: facts.isTerminating },
    ...(hostname !== undefined && { hostname }),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: podReference(pod),
    ...(zone !== undefined && { zone }),
  }
}

function newSlice(
  service: Service,
  labels: Record<string, string>,
  addressType: EndpointFacts['family'],
  ports: readonly OfferedPort[],
  endpoints: Endpoint[],
): Draft<EndpointSlice> {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      generateName: `${service.metadata.name}-`,
      namespace: service.metadata.namespace ?? '',
      labels,
      ownerReferences: [controllerReference(service)],
    },
    addressType,
    endpoints,
    ports: ports.map((port) => ({ ...port })),
  }
}

function offeredPorts(ports: readonly DiscoveryEndpointPort[]): readonly OfferedPort[] {
  return ports.map(({ name = '', port = 0, protocol = 'TCP', appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol !== undefined && { appProtocol }),
  }))
}
