import type { NodeAddress, Taint } from '@outrigger/kube'
import type { Amount } from '../pod/amount.ts'

/** Host name or address, without brackets, and port. */
export interface ApiServerPlace {
  readonly host: string
  readonly port: number
}

/**
 * The place of an API server that the node reaches under `url`, for its containers. `none` where that leads to the
 * machine itself, or nowhere: inside a container it would be the container. @throws TypeError when it is no URL
 */
export function apiServerPlace(url: string): ApiServerPlace | 'none' {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (host === 'localhost' || host.startsWith('127.') || ['0.0.0.0', '::', '::1'].includes(host))
    return 'none'
  return { host, port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port) }
}

/** What a node says of itself. */
export interface NodeOptions {
  readonly name: string
  /** A virtual node runs no DaemonSets, refuses what needs a machine, and starts a pod only once its sidecars are decided. */
  readonly isVirtual: boolean
  readonly capacity: Readonly<Record<string, Amount>>
  /** Defaults to `capacity`. */
  readonly allocatable?: Readonly<Record<string, Amount>>
  /** Added to those that every node of its sort has; these win. */
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** Defaults to the provider taint on a virtual node and to none on another. */
  readonly taints?: readonly Taint[]
  readonly addresses: readonly NodeAddress[]
  /** Defaults to `v1.36.2-outrigger`. */
  readonly kubeletVersion?: string
  readonly architecture?: string
  readonly operatingSystem?: string
  readonly osImage?: string
  readonly kernelVersion?: string
  readonly machineId?: string
  readonly bootId?: string
  /**
   * Where containers find the API server, for nodes on which nothing routes cluster IPs: named in the place of the
   * cluster IP of `default/kubernetes` in their environment. `none` leaves those variables out, for an API server that
   * containers cannot reach. Defaults to the cluster IP, as on any node.
   */
  readonly apiServer?: ApiServerPlace | 'none'
  /** Taken for a pod's environment and hosts file. Defaults to `cluster.local` and no servers. */
  readonly dns?: { readonly servers: readonly string[]; readonly domain: string }
}

/** A capacity that a virtual node offers where nobody says otherwise: the back end refuses what it cannot place. */
export const virtualCapacity: Readonly<Record<string, Amount>> = {
  cpu: '10000',
  memory: '64Ti',
  'ephemeral-storage': '100Ti',
  pods: '5000',
}

/** The taint that keeps ordinary pods off a virtual node. */
export const providerTaint: Taint = {
  key: 'virtual-kubelet.io/provider',
  value: 'alibabacloud',
  effect: 'NoSchedule',
}

/** What `kubectl get nodes` shows under ROLES. */
export const roleLabel = 'kubernetes.io/role'

/** The labels a node of this sort carries. */
export function nodeLabels(options: NodeOptions): Record<string, string> {
  const architecture = options.architecture ?? 'amd64'
  const system = options.operatingSystem ?? 'linux'
  return {
    'beta.kubernetes.io/arch': architecture,
    'beta.kubernetes.io/os': system,
    'kubernetes.io/arch': architecture,
    'kubernetes.io/hostname': options.name,
    'kubernetes.io/os': system,
    ...(options.isVirtual && { type: 'virtual-kubelet', [roleLabel]: 'agent' }),
    ...options.labels,
  }
}

export function nodeTaints(options: NodeOptions): readonly Taint[] {
  return options.taints ?? (options.isVirtual ? [providerTaint] : [])
}
