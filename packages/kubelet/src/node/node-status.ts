import { formatTime } from '@outrigger/foundation'
import type { ContainerImage, NodeCondition, NodeStatus } from '@outrigger/kube'
import type { MachineFacts, RuntimeHealth } from '../runtime.ts'
import type { NodeOptions } from './node-options.ts'

export interface NodeStatusInput {
  readonly options: NodeOptions
  readonly previous: NodeStatus | undefined
  readonly health: RuntimeHealth
  readonly runtimeVersion: string
  readonly machine: MachineFacts | undefined
  readonly port: number
  readonly images: readonly ContainerImage[]
  /** Milliseconds since 1970. */
  readonly now: number
}

const quietConditions = [
  ['MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
  ['DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
  ['PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
] as const

/** The status of a node, as its kubelet reports it. */
export function nodeStatus(input: NodeStatusInput): NodeStatus {
  const { options, health, machine, now } = input
  const ready = health.isReady
    ? (['Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'] as const)
    : (['Ready', 'False', 'KubeletNotReady', health.message] as const)
  return {
    capacity: { ...options.capacity },
    allocatable: { ...(options.allocatable ?? options.capacity) },
    conditions: [
      ...quietConditions.map(([type, reason, message]) =>
        condition(input, type, 'False', reason, message, now),
      ),
      condition(input, ready[0], ready[1], ready[2], ready[3], now),
    ],
    addresses: [...options.addresses],
    daemonEndpoints: { kubeletEndpoint: { Port: input.port } },
    nodeInfo: {
      machineID: options.machineId ?? machine?.machineId ?? '',
      systemUUID: options.machineId ?? machine?.systemUuid ?? '',
      bootID: options.bootId ?? machine?.bootId ?? '',
      kernelVersion: options.kernelVersion ?? machine?.kernelVersion ?? '',
      osImage: options.osImage ?? machine?.osImage ?? '',
      containerRuntimeVersion: input.runtimeVersion,
      kubeletVersion: options.kubeletVersion ?? 'v1.36.2-outrigger',
      kubeProxyVersion: '',
      operatingSystem: options.operatingSystem ?? 'linux',
      architecture: options.architecture ?? 'amd64',
    },
    images: [...input.images],
  }
}

function condition(
  input: NodeStatusInput,
  type: string,
  status: string,
  reason: string,
  message: string,
  now: number,
): NodeCondition {
  const before = input.previous?.conditions?.find((each) => each.type === type)
  return {
    type,
    status,
    lastHeartbeatTime: formatTime(now),
    lastTransitionTime:
      before?.status === status ? (before.lastTransitionTime ?? formatTime(now)) : formatTime(now),
    reason,
    message,
  }
}
