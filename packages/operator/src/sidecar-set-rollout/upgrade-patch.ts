import { podAnnotations, type SidecarSet } from '@outrigger/api'
import { injectionAnnotations } from '@outrigger/injection'
import { isRecord, type Pod } from '@outrigger/kube'

/**
 * The strategic merge patch that brings a pod's sidecars to the SidecarSet's images, with the records that go
 * with it. Refused by the API server if the pod is another one or has changed since.
 */
export function upgradePatch(pod: Pod, sidecarSet: SidecarSet, time: string): unknown {
  const containers = (sidecarSet.spec.containers ?? []).flatMap(({ name, image }) => {
    const current = pod.spec.containers.find((container) => container.name === name)
    return current !== undefined && current.image !== image ? [{ name, image }] : []
  })
  const annotations = pod.metadata.annotations ?? {}
  const { [podAnnotations.hash]: hash } = injectionAnnotations(annotations, [sidecarSet], time)
  const changed = containers.map(({ name }) => name)
  return {
    metadata: {
      uid: pod.metadata.uid,
      resourceVersion: pod.metadata.resourceVersion,
      annotations: {
        [podAnnotations.hash]: hash,
        [podAnnotations.inPlaceUpdateState]: inPlaceState(pod, sidecarSet, changed, time),
      },
    },
    ...(containers.length > 0 && { spec: { containers } }),
  }
}

/** What each changed container ran before: how the node is later known to have acted. */
function inPlaceState(pod: Pod, sidecarSet: SidecarSet, changed: readonly string[], time: string): string {
  const { name } = sidecarSet.metadata
  const states = parseStates(pod.metadata.annotations?.[podAnnotations.inPlaceUpdateState])
  const before = states[name]
  const recorded =
    isRecord(before) && isRecord(before['lastContainerStatuses']) ? before['lastContainerStatuses'] : {}
  const now = changed.map((container) => {
    const imageID = pod.status?.containerStatuses?.find((status) => status.name === container)?.imageID
    return [container, imageID ? { imageID } : {}] as const
  })
  const state = {
    ...(isRecord(before) && before),
    revision: sidecarSet.metadata.annotations?.[podAnnotations.hash] ?? '',
    updateTimestamp: time,
    lastContainerStatuses: { ...recorded, ...Object.fromEntries(now) },
  }
  const all: Record<string, unknown> = { ...states, [name]: state }
  const sorted = Object.keys(all).sort()
  return JSON.stringify(Object.fromEntries(sorted.map((key) => [key, all[key]])))
}

function parseStates(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}
