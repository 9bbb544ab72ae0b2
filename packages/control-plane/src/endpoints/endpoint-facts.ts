import type { ContainerPort, Node, ObjectReference, Pod, Service, ServicePort } from '@outrigger/kube'
import { isPodFinished, isPodReady } from '../pods/pod-state.ts'

export type AddressFamily = 'IPv4' | 'IPv6'

/** A port as a service offers it at a pod. */
export interface OfferedPort {
  readonly name: string
  readonly port: number
  readonly protocol: 'SCTP' | 'TCP' | 'UDP'
  readonly appProtocol?: string
}

/** A pod behind a service. */
export interface EndpointFacts {
  readonly pod: Pod
  readonly address: string
  readonly family: AddressFamily
  readonly ports: readonly OfferedPort[]
  /** To be sent traffic: ready and staying, or published whatever it is. */
  readonly isReady: boolean
  /** The pod itself is ready, whether it stays or not. */
  readonly isServing: boolean
  readonly isTerminating: boolean
  readonly hostname: string | undefined
  readonly zone: string | undefined
}

/**
 * What a pod is for a service, one entry for each family of the service that the pod has an address
 * of. Pods without address and finished pods are nothing. Source: endpointslice/utils.go `podToEndpoint`.
 */
export function endpointFacts(service: Service, pod: Pod, node: Node | undefined): readonly EndpointFacts[] {
  if (isPodFinished(pod)) return []
  const families = service.spec.ipFamilies?.length ? service.spec.ipFamilies : ['IPv4']
  const isServing = isPodReady(pod)
  const isTerminating = pod.metadata.deletionTimestamp !== undefined
  const isPublished = service.spec.publishNotReadyAddresses === true
  const hasName = pod.spec.hostname && pod.spec.subdomain === service.metadata.name
  const facts: EndpointFacts[] = []
  for (const { ip } of pod.status?.podIPs ?? []) {
    const family = ip?.includes(':') ? 'IPv6' : 'IPv4'
    if (!ip || !families.includes(family) || facts.some((known) => known.family === family)) continue
    facts.push({
      pod,
      address: ip,
      family,
      ports: offeredPorts(service, pod),
      isReady: isPublished || (isServing && !isTerminating),
      isServing,
      isTerminating,
      hostname: hasName ? pod.spec.hostname : undefined,
      zone: node?.metadata.labels?.['topology.kubernetes.io/zone'],
    })
  }
  return facts
}

/** The service's ports at this pod; a named port the pod does not have is left out. */
function offeredPorts(service: Service, pod: Pod): readonly OfferedPort[] {
  const offered: OfferedPort[] = []
  for (const wanted of service.spec.ports ?? []) {
    const port = portNumber(wanted, pod)
    if (port === undefined) continue
    offered.push({
      name: wanted.name ?? '',
      port,
      protocol: wanted.protocol ?? 'TCP',
      ...(wanted.appProtocol !== undefined && { appProtocol: wanted.appProtocol }),
    })
  }
  return offered
}

function portNumber(wanted: ServicePort, pod: Pod): number | undefined {
  const target = wanted.targetPort ?? wanted.port
  if (typeof target === 'number') return target === 0 ? wanted.port : target
  if (target === '') return wanted.port
  const protocol = wanted.protocol ?? 'TCP'
  const isWanted = ({ name, protocol: own = 'TCP' }: ContainerPort) => name === target && own === protocol
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  for (const container of [...pod.spec.containers, ...sidecars]) {
    const found = container.ports?.find(isWanted)
    if (found !== undefined) return found.containerPort
  }
  return undefined
}

/** Names the set of ports: endpoints that offer the same can share a slice. */
export function portsKey(ports: readonly OfferedPort[]): string {
  return JSON.stringify(
    ports.map(({ name, port, protocol, appProtocol = '' }) => [name, port, protocol, appProtocol]).sort(),
  )
}

/** How a slice or an endpoints object names a pod. */
export function podReference({ metadata }: Pod): ObjectReference {
  return {
    kind: 'Pod',
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    ...(metadata.uid !== undefined && { uid: metadata.uid }),
  }
}

/** Labels of a service that its slices and endpoints carry too. */
export function passedLabels({ metadata, spec }: Service): Record<string, string> {
  const { [headlessLabel]: _, ...labels } = metadata.labels ?? {}
  return spec.clusterIP === 'None' ? { ...labels, [headlessLabel]: '' } : labels
}

const headlessLabel = 'service.kubernetes.io/headless'
