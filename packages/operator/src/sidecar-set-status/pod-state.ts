import { podAnnotations, type SidecarContainer, type SidecarSet } from '@outrigger/api'
import { isActive, parseRecords } from '@outrigger/injection'
import { isRecord, type Pod } from '@outrigger/kube'

/** How one pod counts for one SidecarSet; `undefined` where it does not belong to it at all. */
export interface PodState {
  readonly isUpdated: boolean
  readonly isReady: boolean
}

/** Names of the SidecarSets a pod says it carries. */
export function injectedSidecarSets(pod: Pod): readonly string[] {
  const list = pod.metadata.annotations?.[podAnnotations.injectedList]
  return list ? list.split(',') : []
}

/**
 * How a pod that lists this SidecarSet counts for it. `isSelected`: selector and namespace match.
 * A pod that lacks one of its containers does not count.
 */
export function stateOf(pod: Pod, sidecarSet: SidecarSet, isSelected: boolean): PodState | undefined {
  if (!isSelected || !isActive(pod) || !hasAllContainers(pod, sidecarSet)) return undefined
  const recorded = parseRecords(pod.metadata.annotations?.[podAnnotations.hash])?.get(
    sidecarSet.metadata.name,
  )
  const current = sidecarSet.metadata.annotations?.[podAnnotations.hash] ?? ''
  return {
    isUpdated: (recorded?.hash ?? '') === current,
    isReady: isPodReady(pod) && !hasHalfDoneHotUpgrade(pod, sidecarSet) && isConsistent(pod, sidecarSet),
  }
}

const isHot = ({ upgradeStrategy }: SidecarContainer) => upgradeStrategy?.upgradeType === 'HotUpgrade'

/** The names a container goes by in pods. */
function podContainerNames(sidecar: SidecarContainer): readonly string[] {
  return isHot(sidecar) ? [`${sidecar.name}-1`, `${sidecar.name}-2`] : [sidecar.name]
}

function hasAllContainers(pod: Pod, { spec }: SidecarSet): boolean {
  const present = new Set(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name),
  )
  const working = workingContainers(pod)
  return (spec.containers ?? []).every(
    (sidecar) =>
      podContainerNames(sidecar).every((name) => present.has(name)) &&
      (!isHot(sidecar) || Object.hasOwn(working, sidecar.name)),
  )
}

function workingContainers(pod: Pod): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(
      pod.metadata.annotations?.[podAnnotations.workingHotUpgradeContainer] ?? '{}',
    )
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}

function isPodReady(pod: Pod): boolean {
  return (
    pod.status?.phase === 'Running' &&
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false)
  )
}

/** Whether the container that should be empty still runs something. */
function hasHalfDoneHotUpgrade(pod: Pod, { spec }: SidecarSet): boolean {
  const working = workingContainers(pod)
  return (spec.containers ?? []).filter(isHot).some((sidecar) => {
    const other = working[sidecar.name] === `${sidecar.name}-1` ? `${sidecar.name}-2` : `${sidecar.name}-1`
    const container = pod.spec.containers.find(({ name }) => name === other)
    return container !== undefined && container.image !== sidecar.upgradeStrategy?.hotUpgradeEmptyImage
  })
}

/** Whether the node runs the images the spec names, as far as can be told. */
export function isConsistent(pod: Pod, sidecarSet: SidecarSet): boolean {
  const statuses = new Map((pod.status?.containerStatuses ?? []).map((status) => [status.name, status]))
  if (statuses.size !== pod.spec.containers.length) return false
  const names = new Set((sidecarSet.spec.containers ?? []).flatMap(podContainerNames))
  const sidecars = pod.spec.containers.filter(({ name }) => names.has(name))
  for (const { name, image = '' } of sidecars) {
    const wanted = digestOf(image)
    if (wanted === undefined) return hasTakenImages(pod, sidecarSet.metadata.name, sidecars, statuses)
    if (digestOf(statuses.get(name)?.imageID ?? '') !== wanted) return false
  }
  return true
}

function digestOf(image: string): string | undefined {
  const at = image.lastIndexOf('@')
  return at < 0 ? undefined : image.slice(at + 1)
}

/** After a change in place: every container has another image ID than before, or the very image that is wanted. */
function hasTakenImages(
  pod: Pod,
  sidecarSet: string,
  sidecars: readonly { readonly name: string; readonly image?: string }[],
  statuses: ReadonlyMap<string, { readonly image: string; readonly imageID: string }>,
): boolean {
  const text = pod.metadata.annotations?.[podAnnotations.inPlaceUpdateState]
  if (!text) return true
  let before: Record<string, unknown>
  try {
    const state: unknown = JSON.parse(text)
    const entry = isRecord(state) ? state[sidecarSet] : undefined
    const recorded = isRecord(entry) ? entry['lastContainerStatuses'] : undefined
    before = isRecord(recorded) ? recorded : {}
  } catch {
    return false
  }
  return sidecars.every(({ name, image }) => {
    const recorded = before[name]
    if (!isRecord(recorded)) return true
    const status = statuses.get(name)
    return !(status?.imageID === recorded['imageID'] && status?.image !== image)
  })
}
