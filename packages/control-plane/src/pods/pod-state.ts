import { parseTime } from '@outrigger/foundation'
import type { Pod, PodCondition } from '@outrigger/kube'

/** Whether the pod is neither finished nor being deleted. */
export function isPodActive(pod: Pod): boolean {
  return (
    pod.status?.phase !== 'Succeeded' &&
    pod.status?.phase !== 'Failed' &&
    pod.metadata.deletionTimestamp === undefined
  )
}

/** Whether the pod has ended for good and holds nothing any more. */
export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type)
}

export function isPodReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True'
}

/**
 * Milliseconds until the pod has been ready for `minReadySeconds`: 0 when it has, undefined when it is
 * not ready.
 */
export function untilAvailable(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const ready = podCondition(pod, 'Ready')
  if (ready?.status !== 'True') return undefined
  if (minReadySeconds === 0) return 0
  return Math.max(0, parseTime(ready.lastTransitionTime ?? '') + minReadySeconds * 1000 - now)
}

/** Whether the pod has ended for good. */
export function isPodFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}
