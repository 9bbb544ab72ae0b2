import { podAnnotations, type SidecarSet } from '@outrigger/api'
import { parseTime } from '@outrigger/foundation'
import { type ContainerStatus, isRecord, type Pod } from '@outrigger/kube'

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
 * before the change, and no start since.
 */
export function pendingImages(pod: Pod, { metadata }: SidecarSet): string[] {
  const { lastImages, changedAt } = inPlaceState(pod, metadata.name)
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
  const statuses = new Map(
    [...initContainerStatuses, ...containerStatuses].map((status) => [status.name, status]),
  )
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].flatMap(({ name, image }) => {
    const status = statuses.get(name)
    const before = lastImages[name]
    if (status === undefined || !isRecord(before) || status.imageID !== (before['imageID'] ?? '')) return []
    return status.image === image || hasStartedSince(status, changedAt) ? [] : [name]
  })
}

/** Two names of one image: the node may go on reporting the old one. What cannot be read is later than nothing. */
function hasStartedSince({ state }: ContainerStatus, time: string): boolean {
  return parseTime(state?.running?.startedAt ?? '') > parseTime(time)
}

function inPlaceState(
  pod: Pod,
  sidecarSet: string,
): { readonly lastImages: Record<string, unknown>; readonly changedAt: string } {
  const state = parseStates(pod.metadata.annotations?.[podAnnotations.inPlaceUpdateState])[sidecarSet]
  const last = isRecord(state) ? state['lastContainerStatuses'] : undefined
  const changed = isRecord(state) ? state['updateTimestamp'] : undefined
  return { lastImages: isRecord(last) ? last : {}, changedAt: typeof changed === 'string' ? changed : '' }
}

function parseStates(text: string | undefined): Record<string, unknown> {
  try {
    const states: unknown = JSON.parse(text ?? '{}')
    return isRecord(states) ? states : {}
  } catch {
    return {}
  }
}
