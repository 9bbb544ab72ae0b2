import { podAnnotations, type SidecarSet } from '@outrigger/api'
import { isRecord, type Pod } from '@outrigger/kube'

/** Whether the pod serves: running, ready and not on its way out. */
export function isPodReady({ metadata, status }: Pod): boolean {
  return (
    status?.phase === 'Running' &&
    metadata.deletionTimestamp === undefined &&
    (status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false)
  )
}

/**
 * The sidecars whose new image the node has not taken yet: their status still shows the image ID recorded
 * before the change.
 */
export function pendingImages(pod: Pod, { metadata }: SidecarSet): string[] {
  const recorded = lastImages(pod, metadata.name)
  return pod.spec.containers.flatMap(({ name, image }) => {
    const status = pod.status?.containerStatuses?.find((entry) => entry.name === name)
    const before = recorded[name]
    if (status === undefined || !isRecord(before)) return []
    return status.imageID === before['imageID'] && status.image !== image ? [name] : []
  })
}

function lastImages(pod: Pod, sidecarSet: string): Record<string, unknown> {
  try {
    const states: unknown = JSON.parse(pod.metadata.annotations?.[podAnnotations.inPlaceUpdateState] ?? '{}')
    const state = isRecord(states) ? states[sidecarSet] : undefined
    const last = isRecord(state) ? state['lastContainerStatuses'] : undefined
    return isRecord(last) ? last : {}
  } catch {
    return {}
  }
}
