import type { EndpointSlice, Service } from '@outrigger/kube'
import type { Objects } from './registry/objects.ts'

export interface ResolvedEndpoint {
  readonly host: string
  readonly port: number
}

const services = { group: '', resource: 'services' } as const
const endpointSlices = { group: 'discovery.k8s.io', resource: 'endpointslices' } as const

/**
 * Where a port of a Service is served: a ready endpoint of it, or the external name. There is no kube-proxy
 * beside this server, so cluster IPs lead nowhere. Undefined when nobody serves it.
 */
export function resolveService(
  objects: Objects,
  namespace: string,
  name: string,
  port: number,
): ResolvedEndpoint | undefined {
  const service = objects.get<Service>(services, { namespace, name })
  if (service === undefined) return undefined
  const { spec } = service
  if (spec?.type === 'ExternalName' && spec.externalName !== undefined)
    return { host: spec.externalName, port }
  const servicePort = spec?.ports?.find((one) => one.port === port)
  if (servicePort === undefined) return undefined
  for (const slice of objects.list<EndpointSlice>(endpointSlices, namespace)) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== name) continue
    const target = slice.ports?.find((one) => (one.name ?? '') === (servicePort.name ?? ''))
    const ready = slice.endpoints?.find((endpoint) => endpoint.conditions?.ready !== false)
    const host = ready?.addresses[0]
    if (target?.port !== undefined && host !== undefined) return { host, port: target.port }
  }
  return undefined
}
