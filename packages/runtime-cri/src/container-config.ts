import type {
  ContainerResources,
  ContainerSecurity,
  ContainerSpec,
  PodIdentity,
} from '@outrigger/kubelet/runtime'
import type {
  ContainerConfig,
  LinuxContainerResources,
  LinuxContainerSecurityContext,
  Mount,
  NamespaceOption,
} from './generated/cri-messages.ts'
import { podLabels } from './sandbox-config.ts'

const propagation = {
  None: 'PROPAGATION_PRIVATE',
  HostToContainer: 'PROPAGATION_HOST_TO_CONTAINER',
  Bidirectional: 'PROPAGATION_BIDIRECTIONAL',
} as const satisfies Record<ContainerSpec['mounts'][number]['propagation'], Mount['propagation']>

/** A container in the words of the runtime interface. */
export function containerConfig(
  spec: ContainerSpec,
  owner: { readonly nodeName: string; readonly pod: PodIdentity; readonly namespaces: NamespaceOption },
): ContainerConfig {
  return {
    metadata: { name: spec.name, attempt: spec.attempt },
    image: { image: spec.imageId === '' ? spec.image : spec.imageId },
    command: [...spec.command],
    args: [...spec.args],
    workingDir: spec.workingDirectory,
    envs: spec.environment.map(({ name, value }) => ({ key: name, value })),
    mounts: spec.mounts.map((mount) => ({
      containerPath: mount.target,
      hostPath: mount.source,
      readonly: mount.isReadOnly,
      propagation: propagation[mount.propagation],
    })),
    labels: {
      ...spec.labels,
      ...podLabels(owner.nodeName, owner.pod),
      'io.kubernetes.container.name': spec.name,
    },
    annotations: { ...spec.annotations },
    logPath: spec.logPath,
    stdin: spec.stdin,
    stdinOnce: spec.stdinOnce,
    tty: spec.tty,
    linux: {
      resources: linuxResources(spec.resources),
      securityContext: securityContext(spec.security, namespacesOf(spec, owner.namespaces)),
    },
  }
}

function namespacesOf(spec: ContainerSpec, ofPod: NamespaceOption): NamespaceOption {
  if (spec.sharesProcessesOf === undefined) return ofPod
  return { ...ofPod, pid: 'TARGET', targetId: spec.sharesProcessesOf }
}

/**
 * Limits as the kernel counts them: 1 CPU is 1024 shares (at least 2) and 100,000 microseconds of every
 * 100,000 (at least 1,000), as a kubelet converts them.
 */
export function linuxResources(resources: ContainerResources): LinuxContainerResources {
  const { cpuRequestMillis, cpuLimitMillis } = resources
  const weight = cpuRequestMillis > 0 ? cpuRequestMillis : cpuLimitMillis
  return {
    cpuShares: Math.min(262_144, Math.max(2, Math.floor((weight * 1024) / 1000))),
    ...(cpuLimitMillis > 0 && { cpuPeriod: 100_000, cpuQuota: Math.max(1000, cpuLimitMillis * 100) }),
    memoryLimitInBytes: resources.memoryLimit,
    oomScoreAdj: resources.oomScoreAdjust,
  }
}

function securityContext(
  security: ContainerSecurity,
  namespaces: NamespaceOption,
): LinuxContainerSecurityContext {
  const { runAsUser, runAsGroup, runAsUserName, seccomp } = security
  return {
    privileged: security.isPrivileged,
    namespaceOptions: namespaces,
    runAsUser: runAsUser === undefined ? undefined : { value: runAsUser },
    runAsGroup: runAsGroup === undefined ? undefined : { value: runAsGroup },
    runAsUsername: runAsUserName,
    supplementalGroups: [...security.supplementalGroups],
    readonlyRootfs: security.isReadOnlyRoot,
    capabilities: {
      addCapabilities: [...security.addCapabilities],
      dropCapabilities: [...security.dropCapabilities],
    },
    noNewPrivs: security.forbidsNewPrivileges,
    maskedPaths: [...security.maskedPaths],
    readonlyPaths: [...security.readonlyPaths],
    seccomp:
      typeof seccomp === 'string'
        ? { profileType: security.isPrivileged ? 'Unconfined' : seccomp }
        : { profileType: 'Localhost', localhostRef: seccomp.localhostProfile },
  }
}
