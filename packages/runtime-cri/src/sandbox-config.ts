import type { SandboxSpec } from '@outrigger/kubelet/runtime'
import type { NamespaceOption, PodSandboxConfig } from './generated/cri-messages.ts'

/** Says which node a sandbox or container belongs to: several nodes may share one runtime. */
export const nodeLabel = 'outrigger.io/node'
export const podUidLabel = 'io.kubernetes.pod.uid'
const factsAnnotation = 'outrigger.io/sandbox-facts'

/**
 * What making a container needs to know about its sandbox. Stored with the sandbox, so that a node that was
 * restarted can go on with the pods it finds.
 */
export interface SandboxFacts {
  readonly logDirectory: string
  readonly cgroupParent: string
  readonly hostname: string
  readonly namespaces: NamespaceOption
}

/** The labels by which runtime tools know a pod. */
export function podLabels(nodeName: string, pod: SandboxSpec['pod']): Record<string, string> {
  return {
    'io.kubernetes.pod.name': pod.name,
    'io.kubernetes.pod.namespace': pod.namespace,
    [podUidLabel]: pod.uid,
    [nodeLabel]: nodeName,
  }
}

/** A sandbox in the words of the runtime interface. */
export function sandboxConfig(spec: SandboxSpec, nodeName: string, cgroupParent: string): PodSandboxConfig {
  const namespaces = namespacesOf(spec)
  const hostname = spec.usesHostNetwork ? '' : spec.hostname
  const facts: SandboxFacts = { logDirectory: spec.logDirectory, cgroupParent, hostname, namespaces }
  return {
    metadata: { ...spec.pod, attempt: spec.attempt },
    hostname,
    logDirectory: spec.logDirectory,
    dnsConfig: spec.dns && {
      servers: [...spec.dns.servers],
      searches: [...spec.dns.searches],
      options: [...spec.dns.options],
    },
    portMappings: spec.portMappings.map((mapping) => ({ ...mapping })),
    labels: { ...spec.labels, ...podLabels(nodeName, spec.pod) },
    annotations: { ...spec.annotations, [factsAnnotation]: JSON.stringify(facts) },
    linux: {
      cgroupParent,
      sysctls: { ...spec.sysctls },
      securityContext: {
        namespaceOptions: namespaces,
        privileged: spec.isPrivileged,
        supplementalGroups: [...spec.supplementalGroups],
        runAsUser: spec.runAsUser === undefined ? undefined : { value: spec.runAsUser },
        runAsGroup: spec.runAsGroup === undefined ? undefined : { value: spec.runAsGroup },
        seccomp: { profileType: spec.isPrivileged ? 'Unconfined' : 'RuntimeDefault' },
      },
    },
  }
}

function namespacesOf(spec: SandboxSpec): NamespaceOption {
  return {
    network: spec.usesHostNetwork ? 'NODE' : 'POD',
    pid: spec.usesHostPid ? 'NODE' : spec.sharesProcessNamespace ? 'POD' : 'CONTAINER',
    ipc: spec.usesHostIpc ? 'NODE' : 'POD',
  }
}

/** Reads the facts back; undefined when the sandbox was not made by us. */
export function sandboxFacts(annotations: Readonly<Record<string, string>>): SandboxFacts | undefined {
  const text = annotations[factsAnnotation]
  if (text === undefined) return undefined
  try {
    const facts: unknown = JSON.parse(text)
    return isFacts(facts) ? facts : undefined
  } catch {
    return undefined
  }
}

function isFacts(value: unknown): value is SandboxFacts {
  if (typeof value !== 'object' || value === null) return false
  const { logDirectory, cgroupParent, hostname, namespaces } = value as Partial<SandboxFacts>
  return (
    typeof logDirectory === 'string' &&
    typeof cgroupParent === 'string' &&
    typeof hostname === 'string' &&
    typeof namespaces === 'object'
  )
}

/** The annotations as the caller gave them. */
export function withoutFacts(
  annotations: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { [factsAnnotation]: _, ...rest } = annotations
  return rest
}
