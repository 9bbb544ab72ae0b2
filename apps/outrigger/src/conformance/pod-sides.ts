import type { SidecarSet } from '@outrigger/api'
import { podAnnotations } from '@outrigger/api'
import { type ContainerStatus, isRecord, type Pod } from '@outrigger/kube'
import { judged, pendingContainers, viewOf } from '@outrigger/operator'

/** One of the two containers of a sidecar. */
export interface PodSide {
  readonly name: string
  readonly image: string
  readonly isReady: boolean
  /** Whether it runs, and the image that the pod names for it. */
  readonly isRunning: boolean
  readonly restarts: number
  /** Empty before its first start. */
  readonly containerId: string
  /** RFC 3339; empty while it does not run. */
  readonly startedAt: string
  readonly lastEnd: { readonly exitCode: number; readonly finishedAt: string } | undefined
}

/** A pod of a trial, as the manager judges it. */
export interface PodSides {
  readonly pod: Pod
  readonly working: PodSide
  /** The other one. */
  readonly idle: PodSide
  /** Has the SidecarSet's present content, runs it, is ready, and nothing is half done. */
  readonly isSettled: boolean
}

/** Undefined where the pod does not have both containers. */
export function sidesOf(pod: Pod, sidecarSet: SidecarSet, container: string): PodSides | undefined {
  const names = [`${container}-1`, `${container}-2`] as const
  const view = viewOf(pod, judged(sidecarSet))
  const pending = new Set(view === undefined ? names : pendingContainers(view))
  const [first, second] = names.map((name) => sideOf(pod, name, !pending.has(name)))
  if (first === undefined || second === undefined) return undefined
  const [working, idle] = workingSide(pod, container) === names[0] ? [first, second] : [second, first]
  return { pod, working, idle, isSettled: view?.kind === 'updated' && view.isReady }
}

function sideOf({ spec, status }: Pod, name: string, isConsistent: boolean): PodSide | undefined {
  const container = [...(spec.initContainers ?? []), ...spec.containers].find((one) => one.name === name)
  if (container === undefined) return undefined
  const told = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].find(
    (one) => one.name === name,
  )
  const ended = told?.lastState?.terminated
  return {
    name,
    image: container.image ?? '',
    isReady: told?.ready ?? false,
    isRunning: isConsistent && isRunning(told),
    restarts: told?.restartCount ?? 0,
    containerId: told?.containerID ?? '',
    startedAt: told?.state?.running?.startedAt ?? '',
    lastEnd: ended && { exitCode: ended.exitCode, finishedAt: ended.finishedAt ?? '' },
  }
}

function isRunning(status: ContainerStatus | undefined): boolean {
  return status?.state?.running !== undefined
}

function workingSide({ metadata }: Pod, container: string): unknown {
  const text = metadata.annotations?.[podAnnotations.workingHotUpgradeContainer] ?? '{}'
  try {
    const map: unknown = JSON.parse(text)
    return isRecord(map) ? map[container] : undefined
  } catch {
    return undefined
  }
}
