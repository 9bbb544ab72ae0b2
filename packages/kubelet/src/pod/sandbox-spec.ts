import type { Pod } from '@outrigger/kube'
import type { PodFiles, SandboxSpec } from '../runtime.ts'
import { identityOf, podLabels } from './container-record.ts'
import { qosClassOf } from './qos-class.ts'

export interface ClusterDns {
  readonly servers: readonly string[]
  /** `cluster.local`. */
  readonly domain: string
}

/** What the runtime is asked to make for a pod. */
export function sandboxSpec(pod: Pod, attempt: number, files: PodFiles, dns: ClusterDns): SandboxSpec {
  const identity = identityOf(pod)
  const context = pod.spec.securityContext
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  const resolved = dnsOf(pod, dns)
  return {
    pod: identity,
    attempt,
    hostname: hostnameOf(pod),
    labels: { ...pod.metadata.labels, ...podLabels(identity) },
    annotations: { ...pod.metadata.annotations },
    logDirectory: files.logDirectory(identity),
    ...(resolved !== undefined && { dns: resolved }),
    portMappings: containers
      .flatMap((container) => container.ports ?? [])
      .filter((port) => port.hostPort !== undefined && port.hostPort > 0)
      .map((port) => ({
        protocol: port.protocol ?? 'TCP',
        containerPort: port.containerPort,
        hostPort: port.hostPort!,
        hostIp: port.hostIP ?? '',
      })),
    usesHostNetwork: pod.spec.hostNetwork === true,
    usesHostPid: pod.spec.hostPID === true,
    usesHostIpc: pod.spec.hostIPC === true,
    sharesProcessNamespace: pod.spec.shareProcessNamespace === true,
    isPrivileged: containers.some((container) => container.securityContext?.privileged === true),
    sysctls: Object.fromEntries((context?.sysctls ?? []).map(({ name, value }) => [name, value])),
    qosClass: pod.status?.qosClass ?? qosClassOf(pod),
    ...(context?.runAsUser !== undefined && { runAsUser: context.runAsUser }),
    ...(context?.runAsGroup !== undefined && { runAsGroup: context.runAsGroup }),
    supplementalGroups: [
      ...(context?.supplementalGroups ?? []),
      ...(context?.fsGroup === undefined ? [] : [context.fsGroup]),
    ],
  }
}

/** A host name has at most 63 characters; longer pod names are cut. */
export function hostnameOf(pod: Pod): string {
  if (pod.spec.hostnameOverride) return pod.spec.hostnameOverride
  const name = pod.spec.hostname || pod.metadata.name
  return name.length > 63 ? name.slice(0, 63).replace(/[-.]+$/, '') : name
}

/** The text of /etc/hosts, as kubelet writes it. */
export function hostsFile(pod: Pod, ips: readonly string[], domain: string): string {
  const hostname = hostnameOf(pod)
  const { subdomain } = pod.spec
  const qualified = subdomain ? `${hostname}.${subdomain}.${pod.metadata.namespace}.svc.${domain}` : undefined
  const lines = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...ips.map((ip) => [ip, ...(qualified === undefined ? [] : [qualified]), hostname].join('\t')),
  ]
  const aliases = pod.spec.hostAliases ?? []
  if (aliases.length > 0) {
    lines.push('', '# Entries added by HostAliases.')
    for (const alias of aliases) lines.push([alias.ip, ...(alias.hostnames ?? [])].join('\t'))
  }
  return `${lines.join('\n')}\n`
}

/** Undefined leaves the machine's own resolver in place. */
function dnsOf(pod: Pod, dns: ClusterDns): SandboxSpec['dns'] {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst'
  const own = pod.spec.dnsConfig
  const usesCluster =
    dns.servers.length > 0 &&
    (policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && pod.spec.hostNetwork !== true))
  if (!usesCluster && policy !== 'None' && own === undefined) return undefined
  const namespace = pod.metadata.namespace ?? 'default'
  const searches = usesCluster ? [`${namespace}.svc.${dns.domain}`, `svc.${dns.domain}`, dns.domain] : []
  const ownOptions = (own?.options ?? []).map(({ name, value }) =>
    value ? `${name}:${value}` : (name ?? ''),
  )
  return {
    servers: [...(usesCluster ? dns.servers : []), ...(own?.nameservers ?? [])],
    searches: [...searches, ...(own?.searches ?? [])],
    options: [...(usesCluster ? ['ndots:5'] : []), ...ownOptions],
  }
}
