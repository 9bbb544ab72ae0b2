import type { Pod, PodStatus } from '@outrigger/kube'
import type { ObservedPod } from '../pod/observed-pod.ts'

/** The pods a server tells about. */
export interface ServedPods {
  get(
    namespace: string,
    name: string,
  ): { readonly pod: Pod; readonly observed: ObservedPod; readonly status: PodStatus } | undefined
  list(): readonly Pod[]
  readonly nodeName: string
}
