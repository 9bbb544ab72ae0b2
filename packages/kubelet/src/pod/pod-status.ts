import { formatTime } from '@outrigger/foundation'
import type { ContainerStatus, Pod, PodStatus } from '@outrigger/kube'
import { containerStatus } from './container-status.ts'
import { podConditions } from './pod-conditions.ts'
import { type ContainerLife, restartsAfter } from './pod-life.ts'
import { qosClassOf } from './qos-class.ts'
import type { PodVerdict, StatusInput } from './status-input.ts'

/** The status that is true now. The same input always gives the same answer. */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, life, previous } = input
  const statuses = new Map(
    [...life.containers.values()].map((each) => [each.name, containerStatus(each, input)]),
  )
  const ofKind = (...kinds: ContainerLife['kind'][]): ContainerStatus[] =>
    [...life.containers.values()]
      .filter((each) => kinds.includes(each.kind))
      .map((each) => statuses.get(each.name)!)
  const phase = podPhase(input, statuses)
  const init = ofKind('init', 'sidecar')
  const ephemeral = ofKind('ephemeral')
  const ips = podIps(input)
  return {
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    // A pod whose containers still end has neither the phase nor the reason of its end.
    ...(input.verdict !== undefined &&
      phase !== 'Running' && { reason: input.verdict.reason, message: input.verdict.message }),
    conditions: podConditions(input, statuses, conditionPhase(input, statuses, phase)),
    ...(input.hostIps.length > 0 && {
      hostIP: input.hostIps[0]!,
      hostIPs: input.hostIps.map((ip) => ({ ip })),
    }),
    ...(ips.length > 0 && { podIP: ips[0]!, podIPs: ips.map((ip) => ({ ip })) }),
    startTime: previous.startTime ?? formatTime(input.now),
    ...(init.length > 0 && { initContainerStatuses: init }),
    containerStatuses: ofKind('main').sort((a, b) => (a.name < b.name ? -1 : 1)),
    ...(ephemeral.length > 0 && { ephemeralContainerStatuses: ephemeral }),
    qosClass: previous.qosClass ?? qosClassOf(pod),
  }
}

/** The status of a pod that this node does not take: no containers, nothing but the refusal. */
export function refusedStatus(pod: Pod, verdict: PodVerdict, now: number): PodStatus {
  return {
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase: 'Failed',
    reason: verdict.reason,
    message: `Pod was rejected: ${verdict.message}`,
    startTime: pod.status?.startTime ?? formatTime(now),
    qosClass: pod.status?.qosClass ?? qosClassOf(pod),
  }
}

/** Whether a run that has ended counts as a success. */
export function endedWell(life: ContainerLife, run: { readonly exitCode: number }): boolean {
  return run.exitCode === 0 || life.forcesSuccess
}

function podIps(input: StatusInput): readonly string[] {
  if (input.pod.spec.hostNetwork === true) {
    return input.observed.sandbox === undefined
      ? (input.previous.podIPs ?? []).map((each) => each.ip)
      : input.hostIps
  }
  const ips = input.observed.sandbox?.ips ?? []
  return ips.length > 0 ? ips : (input.previous.podIPs ?? []).map((each) => each.ip)
}

/** Counts as kubelet's getPhase does. */
function podPhase(input: StatusInput, statuses: ReadonlyMap<string, ContainerStatus>): PodStatus['phase'] {
  if (input.verdict !== undefined && input.isEnded) return 'Failed'
  const before = input.previous.phase
  if (before === 'Failed' || before === 'Succeeded') return before
  const init = initTally(input, statuses)
  if (init.hasFailed && (input.isEnded || input.pod.spec.restartPolicy === 'Never')) {
    return input.isEnded ? 'Failed' : 'Pending'
  }
  const tally = mainTally(input, statuses)
  if (init.isPending && !tally.hasStarted) return input.isEnded ? 'Failed' : 'Pending'
  if (tally.waiting > 0) return input.isEnded ? 'Failed' : 'Pending'
  if (tally.running > 0) return 'Running'
  if (tally.stopped === 0) return 'Pending'
  if (!input.isEnded) return 'Running'
  return tally.failed === 0 ? 'Succeeded' : 'Failed'
}

/**
 * The phase that conditions speak of. It runs ahead of the pod's own: containers that have all ended make a
 * pod complete although it is not torn down yet. And it stays behind where a pod ends before its containers
 * have begun: they are still not ready, for the reason they had.
 */
function conditionPhase(
  input: StatusInput,
  statuses: ReadonlyMap<string, ContainerStatus>,
  phase: PodStatus['phase'],
): PodStatus['phase'] {
  if (input.verdict !== undefined) return 'Failed'
  const mains = input.life.startGroups.flat().map((life) => ({ life, status: statuses.get(life.name)! }))
  if (mains.some(({ status }) => status.containerID === undefined)) {
    const hasFailed = initTally(input, statuses).hasFailed && input.pod.spec.restartPolicy === 'Never'
    return hasFailed ? 'Failed' : 'Pending'
  }
  if (phase === 'Succeeded' || phase === 'Failed') return phase
  const isRunning = [...statuses.values()].some(({ state }) => state?.running !== undefined)
  const isDone = mains.every(({ life, status }) => {
    const ended = status.state?.terminated
    const run = input.observed.runs.get(life.name)?.[0]
    return ended !== undefined && run !== undefined && !input.restarts(life, run)
  })
  if (isRunning || !isDone) return phase
  const isWell = mains.every(({ life, status }) => endedWell(life, status.state!.terminated!))
  return isWell ? 'Succeeded' : 'Failed'
}

function initTally(
  input: StatusInput,
  statuses: ReadonlyMap<string, ContainerStatus>,
): { readonly isPending: boolean; readonly hasFailed: boolean } {
  let isPending = false
  let hasFailed = false
  for (const life of input.life.initOrder) {
    const status = statuses.get(life.name)!
    if (life.kind === 'sidecar') {
      if (status.started !== true) isPending = true
      continue
    }
    const exitCode = status.state?.terminated?.exitCode
    if (exitCode === 0) continue
    if (exitCode !== undefined && !restartsAfter(life, exitCode)) hasFailed = true
    else isPending = true
  }
  return { isPending, hasFailed }
}

interface MainTally {
  readonly running: number
  readonly waiting: number
  readonly stopped: number
  readonly failed: number
  readonly hasStarted: boolean
}

function mainTally(input: StatusInput, statuses: ReadonlyMap<string, ContainerStatus>): MainTally {
  let running = 0
  let waiting = 0
  let stopped = 0
  let failed = 0
  let hasStarted = false
  for (const life of input.life.startGroups.flat()) {
    const status = statuses.get(life.name)!
    if (status.containerID !== undefined) hasStarted = true
    if (status.state?.running !== undefined) running++
    else if (status.state?.terminated !== undefined) {
      stopped++
      if (!endedWell(life, status.state.terminated)) failed++
    } else if (status.lastState?.terminated !== undefined) stopped++
    else waiting++
  }
  return { running, waiting, stopped, failed, hasStarted }
}
