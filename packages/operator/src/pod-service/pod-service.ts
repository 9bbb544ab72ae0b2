import { inServiceGate } from '@outrigger/api'
import { formatTime, parseTime } from '@outrigger/foundation'
import { isRecord, type Pod, type PodCondition } from '@outrigger/kube'
import { ConsistencyJudge } from '../sidecar-set-status/consistency.ts'
import { inPlaceStates } from '../sidecar-set-status/pod-annotations.ts'

/** What the condition of the gate `outrigger.dev/in-service` says of a pod that it keeps out of its Services. */
export interface OutOfService {
  /** For which SidecarSet; empty where nobody can tell. */
  readonly sidecarSet: string
  /** Hash of the content it is to get. */
  readonly hash: string
  /** When it was taken out, in milliseconds since 1970; 0 where that cannot be read. */
  readonly since: number
  /** From when on no endpoints sent it anything any more; absent until that has been seen. */
  readonly drainedAt?: number
  /** Names of the EndpointSlices that were last seen to send it traffic. */
  readonly listedIn: readonly string[]
}

/** How a pod stands with its Services, as far as the gate is concerned. */
export type PodService =
  /** It has no such gate: it was made before its SidecarSets asked for one. */
  | 'without gate'
  /** The gate has never been opened. */
  | 'not opened'
  | 'in service'
  | OutOfService

/** Why a condition of the gate is as it is. */
const reasons = { open: 'InService', draining: 'Draining', drained: 'Drained' } as const

/** Reads the gate of a pod. A condition that we cannot have written counts as one that nobody stands for. */
export function serviceOf({ spec, status }: Pod): PodService {
  if (!spec.readinessGates?.some(({ conditionType }) => conditionType === inServiceGate))
    return 'without gate'
  const condition = status?.conditions?.find(({ type }) => type === inServiceGate)
  if (condition === undefined) return 'not opened'
  return condition.status === 'True' ? 'in service' : outOfService(condition)
}

/** Whether the gate keeps the pod out of its Services, deliberately. */
export function isOutOfService(service: PodService): service is OutOfService {
  return typeof service === 'object'
}

const wording = /^SidecarSet (\S+) restarts containers for content (\S+?)(?:; still in EndpointSlices (.+))?$/

function outOfService({
  reason,
  message = '',
  lastTransitionTime,
  lastProbeTime,
}: PodCondition): OutOfService {
  const [, sidecarSet = '', hash = '', slices] = wording.exec(message) ?? []
  const drainedAt = reason === reasons.drained ? parseTime(lastProbeTime ?? '') : Number.NaN
  return {
    sidecarSet,
    hash,
    since: parseTime(lastTransitionTime ?? '') || 0,
    ...(!Number.isNaN(drainedAt) && { drainedAt }),
    listedIn: slices?.split(', ') ?? [],
  }
}

/** The condition that lets traffic in. */
export function openCondition(now: number): PodCondition {
  return {
    type: inServiceGate,
    status: 'True',
    reason: reasons.open,
    message: '',
    lastTransitionTime: formatTime(now),
    // A merge patch takes it away by null.
    lastProbeTime: null as unknown as string,
  }
}

/** The condition that keeps traffic out. Which step it is at, and since when, lies in it: any manager goes on from there. */
export function closedCondition({
  sidecarSet,
  hash,
  since,
  drainedAt,
  listedIn,
}: OutOfService): PodCondition {
  const tail = listedIn.length > 0 ? `; still in EndpointSlices ${listedIn.join(', ')}` : ''
  return {
    type: inServiceGate,
    status: 'False',
    reason: drainedAt === undefined ? reasons.draining : reasons.drained,
    message: `SidecarSet ${sidecarSet} restarts containers for content ${hash || 'unknown'}${tail}`,
    lastTransitionTime: formatTime(since),
    // Rounded up: the time is written in whole seconds, and a wait must not become shorter by that.
    lastProbeTime: drainedAt === undefined ? (null as unknown as string) : formatTime(drainedAt + 999),
  }
}

/**
 * Whether the node has acted on every change of images that was ever written to the pod, and so restarts nothing more.
 * Asked of the pod alone: SidecarSets may be gone by then.
 */
export function isSettled(pod: Pod): boolean {
  const { observedGeneration } = pod.status ?? {}
  const { generation } = pod.metadata
  if (observedGeneration && generation !== undefined && observedGeneration < generation) return false
  return Object.entries(inPlaceStates(pod) ?? {}).every(([sidecarSet, state]) => {
    const changed = isRecord(state) && state['lastContainerStatuses']
    const containers = isRecord(changed) ? Object.keys(changed) : []
    return containers.length === 0 || new ConsistencyJudge(pod, sidecarSet).areConsistent(containers)
  })
}

/** Whether all containers serve, whatever gates say. */
export function areContainersReady({ status }: Pod): boolean {
  const condition = status?.conditions?.find(({ type }) => type === 'ContainersReady')
  if (condition !== undefined) return condition.status === 'True'
  const statuses = status?.containerStatuses ?? []
  return statuses.length > 0 && statuses.every(({ ready }) => ready)
}
