import { goJson, type JsonValue, podAnnotations } from '@outrigger/api'
import { isRecord, type Pod } from '@outrigger/kube'

/** Names of the SidecarSets a pod says it carries. */
export function injectedSidecarSets(pod: Pod): readonly string[] {
  const list = pod.metadata.annotations?.[podAnnotations.injectedList]
  return list ? list.split(',') : []
}

/** By the name of a hot-upgrade sidecar, which of its two containers works; a pod may have none. */
export function workingContainers(pod: Pod): Record<string, unknown> {
  return parseMap(pod.metadata.annotations?.[podAnnotations.workingHotUpgradeContainer]) ?? {}
}

/** What was written when a SidecarSet last changed images of a pod. */
export interface InPlaceState {
  readonly [field: string]: unknown
  readonly revision?: unknown
  readonly updateTimestamp?: unknown
  readonly lastContainerStatuses?: unknown
}

/** The in-place states of a pod by SidecarSet; `undefined` when the annotation cannot be read. */
export function inPlaceStates(pod: Pod): Record<string, unknown> | undefined {
  return parseMap(pod.metadata.annotations?.[podAnnotations.inPlaceUpdateState])
}

/** A JSON object; empty for an absent text, `undefined` for anything else. */
export function parseMap(text: string | undefined): Record<string, unknown> | undefined {
  if (!text) return {}
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** A map as Go prints it: its keys in bytewise order, what is inside as it stands. */
export function formatMap(map: Readonly<Record<string, unknown>>): string {
  return goJson(
    Object.fromEntries(
      Object.keys(map)
        .sort()
        .map((key) => [key, map[key] as JsonValue]),
    ),
  )
}
