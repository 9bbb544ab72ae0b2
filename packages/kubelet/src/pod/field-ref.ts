import type { Container, ObjectFieldSelector, Pod, ResourceFieldSelector } from '@outrigger/kube'
import { amountOf } from './amount.ts'

/** What a pod's own fields may be asked for, beyond its object. */
export interface PodPlace {
  readonly nodeName: string
  readonly podIps: readonly string[]
  readonly hostIps: readonly string[]
  /** What containers without limits may use. */
  readonly allocatable: Readonly<Record<string, string | number>>
}

/** The value of a field of the pod. @throws Error when there is no such field. */
export function readField(pod: Pod, ref: ObjectFieldSelector, place: PodPlace): string {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(ref.fieldPath)
  if (subscript !== null) {
    const map = subscript[1] === 'labels' ? pod.metadata.labels : pod.metadata.annotations
    return map?.[subscript[2]!] ?? ''
  }
  switch (ref.fieldPath) {
    case 'metadata.name':
      return pod.metadata.name
    case 'metadata.namespace':
      return pod.metadata.namespace ?? ''
    case 'metadata.uid':
      return pod.metadata.uid ?? ''
    case 'metadata.labels':
      return formatMap(pod.metadata.labels)
    case 'metadata.annotations':
      return formatMap(pod.metadata.annotations)
    case 'spec.nodeName':
      return place.nodeName
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? ''
    case 'status.hostIP':
      return place.hostIps[0] ?? ''
    case 'status.hostIPs':
      return place.hostIps.join(',')
    case 'status.podIP':
      return place.podIps[0] ?? ''
    case 'status.podIPs':
      return place.podIps.join(',')
    default:
      throw new Error(`unsupported fieldPath: ${ref.fieldPath}`)
  }
}

/** One `key="value"` a line, by key. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map((key) => `${key}=${JSON.stringify(map![key])}`)
    .join('\n')
}

/** A request or limit of a container, in units of the divisor, rounded up. @throws Error */
export function readResource(
  containers: readonly Container[],
  own: Container | undefined,
  ref: ResourceFieldSelector,
  place: PodPlace,
): string {
  const container =
    ref.containerName === undefined || ref.containerName === ''
      ? own
      : containers.find((each) => each.name === ref.containerName)
  if (container === undefined) throw new Error(`container ${ref.containerName ?? ''} not found`)
  const [list, ...rest] = ref.resource.split('.')
  const resource = rest.join('.')
  const { limits, requests } = container.resources ?? {}
  const limit = limits?.[resource]
  const quantity =
    list === 'requests'
      ? (requests?.[resource] ?? limit ?? 0)
      : list === 'limits'
        ? (limit ?? place.allocatable[resource] ?? 0)
        : undefined
  if (quantity === undefined) throw new Error(`unsupported container resource: ${ref.resource}`)
  const divisor = amountOf(ref.divisor) || 1
  // Twelve digits drop what binary fractions add, and keep the smallest part of a large divisor.
  return String(Math.ceil(Number((amountOf(quantity) / divisor).toPrecision(12))))
}
