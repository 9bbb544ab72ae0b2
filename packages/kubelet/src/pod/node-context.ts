import type { Client } from '@outrigger/client'
import type { Clock, Logger, Random } from '@outrigger/foundation'
import type { Pod, Service } from '@outrigger/kube'
import type { Dial } from '../probe/connection.ts'
import type { PodRuntime } from '../runtime.ts'
import type { PodVolumes } from '../volume/pod-volumes.ts'
import type { PodPlace } from './field-ref.ts'
import type { ClusterDns } from './sandbox-spec.ts'

/** What all pods of a node share. */
export interface NodeContext {
  readonly client: Client
  readonly runtime: PodRuntime
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly volumes: PodVolumes
  readonly nodeName: string
  readonly isVirtual: boolean
  readonly hostIps: readonly string[]
  /** The first part of container ids: `containerd`. */
  readonly runtimeName: () => string
  readonly allocatable: PodPlace['allocatable']
  readonly dns: ClusterDns
  /** Milliseconds between two looks at volumes that nobody said had changed. */
  readonly volumeSyncPeriod: number
  /** Services that a pod's environment names. Resolves once they are known. */
  readonly services: (namespace: string) => Promise<readonly Service[]>
  readonly record: (
    pod: Pod,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    fieldPath?: string,
  ) => void
  readonly dialTo: (sandboxId: string) => Dial
}

/** `name_namespace(uid)`, as kubelet's messages name a pod. */
export function formatPod(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`
}
