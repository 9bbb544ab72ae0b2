import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Clock, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import { deepEqual, type EndpointSlice, type Endpoints, resources, type Service } from '@outrigger/kube'
import { apiServiceIp } from './kinds/core/service-addresses.ts'
import type { Objects } from './registry/objects.ts'

export interface KubernetesServiceOptions {
  readonly objects: Objects
  readonly clock: Clock
  readonly logger: Logger
  /** Where the server listens or says it does. */
  readonly host: string
  readonly port: number
  /** IPv4 range of cluster IPs; the Service has its first address. */
  readonly serviceCidr?: string
}

const key = { namespace: 'default', name: 'kubernetes' }
/** As kube-apiserver's endpoint reconciler has it. */
const period = 10_000

/**
 * Keeps the Service `default/kubernetes`, its Endpoints and its EndpointSlice, again when somebody removes or
 * changes them. A server that can be reached from this machine only has no endpoint: addresses of
 * that sort are not allowed there.
 */
export function createKubernetesService(
  options: KubernetesServiceOptions,
): Runnable & { ensure(): Promise<void> } {
  const { clock, logger } = options
  const ensure = () => ensureService(options)
  return {
    name: 'kubernetes-service',
    ensure,
    async run(signal) {
      while (!signal.aborted) {
        try {
          await clock.sleep(period, signal)
        } catch {
          return
        }
        await ensure().catch((error: unknown) =>
          logger.warn('The Service default/kubernetes could not be kept.', { error: messageOf(error) }),
        )
      }
    },
  }
}

async function ensureService({ objects, host, port, serviceCidr }: KubernetesServiceOptions): Promise<void> {
  const address = advertisedAddress(host, () =>
    Object.values(networkInterfaces()).flatMap((list) => list ?? []),
  )
  const service = serviceObject(apiServiceIp(serviceCidr), port)
  await objects.write<Service>(resources.services, key, (current) => {
    if (current === undefined) return service
    if (deepEqual(current.spec?.ports, service.spec?.ports)) return undefined
    return { ...current, spec: { ...current.spec, ports: service.spec?.ports ?? [] } }
  })
  const endpoints = endpointsObject(address, port)
  await objects.write<Endpoints>(resources.endpoints, key, (current) => {
    if (current === undefined) return endpoints
    if (deepEqual(current.subsets ?? [], endpoints.subsets ?? [])) return undefined
    return { ...current, subsets: endpoints.subsets ?? [] }
  })
  const slice = sliceObject(address, port)
  await objects.write<EndpointSlice>(resources.endpointSlices, key, (current) => {
    if (current === undefined) return slice
    if (deepEqual(current.endpoints ?? [], slice.endpoints) && deepEqual(current.ports, slice.ports))
      return undefined
    return { ...current, endpoints: slice.endpoints, ports: slice.ports ?? [] }
  })
}

/**
 * The address to publish for a server on `host`: `host` itself, the first outward IPv4 address of the machine
 * for one that listens everywhere, none for a name or one that listens to its own machine only.
 */
export function advertisedAddress(
  host: string,
  addresses: () => readonly {
    readonly address: string
    readonly family: string
    readonly internal: boolean
  }[],
): string | undefined {
  if (host === '0.0.0.0' || host === '::')
    return addresses().find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  return isIP(host) === 0 || host.startsWith('127.') || host === '::1' ? undefined : host
}

function serviceObject(clusterIP: string, targetPort: number): Service {
  return {
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { ...key, labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort }],
      clusterIP,
      clusterIPs: [clusterIP],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
    },
    status: { loadBalancer: {} },
  }
}

function endpointsObject(address: string | undefined, port: number): Endpoints {
  return {
    kind: 'Endpoints',
    apiVersion: 'v1',
    metadata: { ...key, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    ...(address !== undefined && {
      subsets: [{ addresses: [{ ip: address }], ports: [{ name: 'https', port, protocol: 'TCP' }] }],
    }),
  }
}

function sliceObject(address: string | undefined, port: number): EndpointSlice {
  return {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { ...key, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: address?.includes(':') ? 'IPv6' : 'IPv4',
    endpoints: address === undefined ? [] : [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: 'https', protocol: 'TCP', port }],
  }
}
