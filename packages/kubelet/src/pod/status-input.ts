import type { Pod, PodStatus, ResourceRequirements } from '@outrigger/kube'
import type { ContainerState } from '../runtime.ts'
import type { ObservedPod } from './observed-pod.ts'
import type { ContainerHealth } from './plan-pod.ts'
import type { ContainerLife, PodLife } from './pod-life.ts'
import type { ResizeState } from './resource-allocation.ts'

/** Everything a pod's status follows from. */
export interface StatusInput {
  readonly pod: Pod
  readonly life: PodLife
  readonly observed: ObservedPod
  /** The status written last, by whomever. */
  readonly previous: PodStatus
  /** Why containers are not running, where that is known. */
  readonly waiting: ReadonlyMap<string, WaitingReason>
  readonly health: (container: ContainerState) => ContainerHealth
  /** Whether an ended container will be started again. */
  readonly restarts: (life: ContainerLife, run: ContainerState) => boolean
  readonly isInitialized: boolean
  /** The pod was told to stop and everything in it has. */
  readonly isEnded: boolean
  /** Why the kubelet itself ended or refused the pod: phase becomes Failed. */
  readonly verdict: PodVerdict | undefined
  /** By container id. */
  readonly terminationMessages: ReadonlyMap<string, string>
  /** `containerd`, the first part of container ids. */
  readonly runtimeName: string
  readonly hostIps: readonly string[]
  /** Milliseconds since 1970. */
  readonly now: number
  /** A condition that only this kubelet writes, for pods it does not start yet. */
  readonly hold: WaitingReason | undefined
  readonly resize: ResizeState
  /** Limits and requests that are in force in a run. */
  readonly resourcesOf: (run: ContainerState) => ResourceRequirements
}

export interface WaitingReason {
  readonly reason: string
  readonly message: string
}

export interface PodVerdict {
  readonly reason: string
  readonly message: string
}
