import { join } from 'node:path'
import type { Container, Pod } from '@outrigger/kube'
import type {
  ContainerResources,
  ContainerSecurity,
  ContainerSpec,
  ImageState,
  Mount,
  PodFiles,
} from '../runtime.ts'
import type { PreparedVolume } from '../volume/pod-volumes.ts'
import { amountOf, millisOf } from './amount.ts'
import { containerAnnotations, identityOf, podLabels } from './container-record.ts'
import { ContainerConfigError, expandVariables, type Variable } from './environment.ts'
import { qosClassOf } from './qos-class.ts'

export interface ContainerSpecInput {
  readonly pod: Pod
  readonly container: Container
  readonly attempt: number
  readonly image: ImageState
  readonly environment: readonly Variable[]
  readonly volumes: ReadonlyMap<string, PreparedVolume>
  readonly files: PodFiles
  /** The runtime's ID of the container whose processes this one is to see. */
  readonly target: string | undefined
  /** Bytes of memory of the node, for the OOM score. */
  readonly nodeMemory: number
}

/** What the runtime is asked to make. @throws ContainerConfigError */
export async function containerSpec(input: ContainerSpecInput): Promise<ContainerSpec> {
  const { pod, container, attempt, image, environment } = input
  const values = new Map(environment.map((each) => [each.name, each.value]))
  const expand = (text: string) => expandVariables(text, (name) => values.get(name))
  const identity = identityOf(pod)
  return {
    name: container.name,
    attempt,
    image: container.image ?? '',
    imageId: image.id,
    command: (container.command ?? []).map(expand),
    args: (container.args ?? []).map(expand),
    ...(container.workingDir && { workingDirectory: container.workingDir }),
    environment,
    mounts: await mounts(input),
    labels: { ...podLabels(identity), 'io.kubernetes.container.name': container.name },
    annotations: containerAnnotations(pod, container, attempt),
    logPath: `${container.name}/${attempt}.log`,
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty: container.tty === true,
    resources: containerResources(pod, container, input.nodeMemory),
    security: security(pod, container, image),
    ...(input.target !== undefined && { sharesProcessesOf: input.target }),
  }
}

/** What the kernel is told of a container's limits. */
export function containerResources(pod: Pod, container: Container, nodeMemory: number): ContainerResources {
  const { limits, requests } = container.resources ?? {}
  return {
    cpuRequestMillis: millisOf(requests?.['cpu'] ?? limits?.['cpu']),
    cpuLimitMillis: millisOf(limits?.['cpu']),
    memoryLimit: Math.floor(amountOf(limits?.['memory'])),
    oomScoreAdjust: oomScoreAdjust(pod, container, nodeMemory),
  }
}

/** Where the end message of a run is written, on the node. */
export function terminationLogPath(files: PodFiles, podUid: string, name: string, attempt: number): string {
  return join(files.podDirectory(podUid), 'containers', name, `${attempt}.termination-log`)
}

export function hostsPath(files: PodFiles, podUid: string): string {
  return join(files.podDirectory(podUid), 'etc-hosts')
}

async function mounts(input: ContainerSpecInput): Promise<Mount[]> {
  const { pod, container, attempt, environment, volumes, files } = input
  const uid = pod.metadata.uid ?? ''
  const values = new Map(environment.map((each) => [each.name, each.value]))
  const result: Mount[] = []
  for (const mount of container.volumeMounts ?? []) {
    const volume = volumes.get(mount.name)
    if (volume === undefined) throw new ContainerConfigError(`volume "${mount.name}" is not mounted`)
    const subPath = mount.subPathExpr
      ? expandVariables(mount.subPathExpr, (name) => values.get(name))
      : (mount.subPath ?? '')
    result.push({
      source: subPath === '' ? volume.source : await below(files, volume.source, subPath, mount.name),
      target: mount.mountPath,
      isReadOnly: volume.isReadOnly || mount.readOnly === true,
      propagation: (mount.mountPropagation as Mount['propagation'] | undefined) ?? 'None',
    })
  }
  const targets = new Set(result.map((mount) => mount.target))
  const add = (source: string, target: string) => {
    if (!targets.has(target)) result.push({ source, target, isReadOnly: false, propagation: 'None' })
  }
  if (pod.spec.hostNetwork !== true) add(hostsPath(files, uid), '/etc/hosts')
  const messagePath = container.terminationMessagePath || '/dev/termination-log'
  add(terminationLogPath(files, uid, container.name, attempt), messagePath)
  return result
}

async function below(files: PodFiles, directory: string, subPath: string, volume: string): Promise<string> {
  try {
    return await files.resolveBelow(directory, subPath)
  } catch {
    throw new ContainerConfigError(`failed to prepare subPath for volumeMount "${volume}"`)
  }
}

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

function security(pod: Pod, container: Container, image: ImageState): ContainerSecurity {
  const own = container.securityContext
  const ofPod = pod.spec.securityContext
  const isPrivileged = own?.privileged === true
  const runAsUser = own?.runAsUser ?? ofPod?.runAsUser
  const runAsGroup = own?.runAsGroup ?? ofPod?.runAsGroup
  if (own?.runAsNonRoot ?? ofPod?.runAsNonRoot) checkNotRoot(runAsUser, image)
  const seccomp = own?.seccompProfile ?? ofPod?.seccompProfile
  const groups = new Set(ofPod?.supplementalGroups ?? [])
  if (ofPod?.fsGroup !== undefined) groups.add(ofPod.fsGroup)
  const unmasked = isPrivileged || own?.procMount === 'Unmasked'
  return {
    isPrivileged,
    ...(runAsUser !== undefined && { runAsUser }),
    ...(runAsGroup !== undefined && { runAsGroup }),
    ...(runAsUser === undefined && image.username !== '' && { runAsUserName: image.username }),
    ...(runAsUser === undefined && image.uid !== undefined && image.uid !== 0 && { runAsUser: image.uid }),
    supplementalGroups: [...groups],
    isReadOnlyRoot: own?.readOnlyRootFilesystem === true,
    addCapabilities: own?.capabilities?.add ?? [],
    dropCapabilities: own?.capabilities?.drop ?? [],
    forbidsNewPrivileges: own?.allowPrivilegeEscalation === false,
    maskedPaths: unmasked ? [] : maskedPaths,
    readonlyPaths: unmasked ? [] : readonlyPaths,
    seccomp:
      seccomp?.type === 'RuntimeDefault'
        ? 'RuntimeDefault'
        : seccomp?.type === 'Localhost'
          ? { localhostProfile: seccomp.localhostProfile ?? '' }
          : 'Unconfined',
  }
}

function checkNotRoot(runAsUser: number | undefined, image: ImageState): void {
  if (runAsUser === 0) {
    throw new ContainerConfigError("container's runAsUser breaks non-root policy")
  }
  if (runAsUser !== undefined) return
  if (image.uid === 0 || (image.uid === undefined && image.username === '')) {
    throw new ContainerConfigError('container has runAsNonRoot and image will run as root')
  }
  if (image.uid === undefined) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root`,
    )
  }
}

/** As kubelet computes it: guaranteed pods die last, best-effort pods first. */
function oomScoreAdjust(pod: Pod, container: Container, nodeMemory: number): number {
  const qos = qosClassOf(pod)
  if (qos === 'Guaranteed') return -997
  if (qos === 'BestEffort') return 1000
  const request = amountOf(container.resources?.requests?.['memory'])
  if (nodeMemory <= 0) return 999
  return Math.min(999, Math.max(2, Math.floor(1000 - (1000 * request) / nodeMemory)))
}
