import { formatTime } from '@outrigger/foundation'
import type { Container, ContainerStatus, PodStatus } from '@outrigger/kube'
import type { ContainerState } from '../runtime.ts'
import { restartCountOf } from './container-record.ts'
import { latestRun } from './observed-pod.ts'
import type { ContainerLife } from './pod-life.ts'
import type { StatusInput } from './status-input.ts'

type ApiState = NonNullable<ContainerStatus['state']>

const lostMessage = 'The container could not be located when the pod was terminated'

/** The status entry of one container. */
export function containerStatus(life: ContainerLife, input: StatusInput): ContainerStatus {
  const before = statusBefore(life, input.previous)
  const runs = input.observed.runs.get(life.name) ?? []
  // A run that was made but never started says nothing yet; a run of a sandbox that is gone ended with it.
  const run = runs[0]?.state === 'created' && runs.length > 1 ? runs[1] : runs[0]
  const base =
    run === undefined ? unseenStatus(life, before, input) : seenStatus(life, run, runs, before, input)
  return { ...base, ...startedField(life, base, input), ...mountsField(life) }
}

function statusBefore(life: ContainerLife, previous: PodStatus): ContainerStatus | undefined {
  const list =
    life.kind === 'main'
      ? previous.containerStatuses
      : life.kind === 'ephemeral'
        ? previous.ephemeralContainerStatuses
        : previous.initContainerStatuses
  return list?.find((status) => status.name === life.name)
}

/** The runtime knows of no run. */
function unseenStatus(
  life: ContainerLife,
  before: ContainerStatus | undefined,
  input: StatusInput,
): ContainerStatus {
  const base = {
    name: life.name,
    lastState: before?.lastState ?? {},
    ready: false,
    restartCount: before?.restartCount ?? 0,
    image: before?.containerID === undefined ? (life.spec.image ?? '') : before.image,
    imageID: before?.imageID ?? '',
    ...(before?.containerID !== undefined && { containerID: before.containerID }),
  }
  if (before?.state?.terminated !== undefined) return { ...base, state: before.state }
  if (before?.state?.running !== undefined) {
    const message = `${lostMessage}.  The container used to be Running`
    return { ...base, state: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message } } }
  }
  if (input.isEnded) {
    const terminated = { exitCode: 137, reason: 'ContainerStatusUnknown', message: lostMessage }
    const isUnneeded = life.kind !== 'main' || isBeforeMain(input)
    return isUnneeded ? { ...base, state: waitingState(life, input) } : { ...base, state: { terminated } }
  }
  return { ...base, state: waitingState(life, input) }
}

/** Initialization was not over when the pod ended: main containers never had a turn. */
function isBeforeMain(input: StatusInput): boolean {
  return input.life.initOrder.length > 0 && !input.isInitialized
}

function waitingState(life: ContainerLife, input: StatusInput): ApiState {
  const known = input.waiting.get(life.name)
  if (known !== undefined)
    return { waiting: { reason: known.reason, ...(known.message && { message: known.message }) } }
  const hasInit = input.life.initOrder.length > 0 && life.kind !== 'ephemeral'
  return { waiting: { reason: hasInit ? 'PodInitializing' : 'ContainerCreating' } }
}

function seenStatus(
  life: ContainerLife,
  run: ContainerState,
  runs: readonly ContainerState[],
  before: ContainerStatus | undefined,
  input: StatusInput,
): ContainerStatus {
  const older = runs[runs.indexOf(run) + 1]
  const olderState = older === undefined ? undefined : endedState(life, older, before, input, false)
  const waiting = input.isEnded ? undefined : input.waiting.get(life.name)
  const isSet = run.state === 'exited' && waiting !== undefined
  const id = containerId(run, input)
  const base = {
    name: life.name,
    ready: isContainerReady(life, run, input),
    restartCount: restartCountOf(run),
    image: run.image,
    imageID: run.imageRef,
    containerID: id,
    ...resourceFields(life.spec, run, input),
  }
  if (isSet) {
    const state: ApiState = {
      waiting: { reason: waiting.reason, ...(waiting.message && { message: waiting.message }) },
    }
    return { ...base, ready: false, state, lastState: endedState(life, run, before, input, false) }
  }
  const lastState = olderState ?? (older === undefined ? keptLastState(before, id) : {})
  if (run.state === 'exited') {
    const isFinal = input.isEnded || !input.restarts(life, run)
    return { ...base, state: endedState(life, run, before, input, isFinal), lastState }
  }
  if (run.state === 'created') return { ...base, ready: false, state: waitingState(life, input), lastState }
  return { ...base, state: { running: { startedAt: formatTime(run.startedAt) } }, lastState }
}

/** The runtime has forgotten older runs after a while; the status remembers the last of them. */
function keptLastState(before: ContainerStatus | undefined, id: string): ApiState {
  if (before === undefined) return {}
  if (before.containerID !== id && before.state?.terminated !== undefined) return before.state
  return before.lastState ?? {}
}

function endedState(
  life: ContainerLife,
  run: ContainerState,
  before: ContainerStatus | undefined,
  input: StatusInput,
  isFinal: boolean,
): ApiState {
  if (run.state !== 'exited') return {}
  const message =
    input.terminationMessages.get(run.id) ?? (run.message || recordedMessage(run, before, input))
  const reason = run.reason !== '' ? run.reason : run.exitCode === 0 ? 'Completed' : 'Error'
  const times = {
    startedAt: run.startedAt === 0 ? epoch : formatTime(run.startedAt),
    finishedAt: formatTime(run.finishedAt),
    containerID: containerId(run, input),
  }
  if (isFinal && life.forcesSuccess && run.exitCode !== 0) {
    const forced = `Force this container to be success(${run.exitCode}, ${reason}, ${message})`
    return { terminated: { exitCode: 0, reason: 'Completed', message: forced, ...times } }
  }
  return { terminated: { exitCode: run.exitCode, reason, ...(message && { message }), ...times } }
}

/** After a restart of the kubelet the file with the message may be gone; the status still has it. */
function recordedMessage(
  run: ContainerState,
  before: ContainerStatus | undefined,
  input: StatusInput,
): string {
  const recorded = [before?.state?.terminated, before?.lastState?.terminated].find(
    (ended) => ended?.containerID === containerId(run, input),
  )
  return recorded?.message?.startsWith('Force this container') === true ? '' : (recorded?.message ?? '')
}

const epoch = '1970-01-01T00:00:00Z'

function containerId(run: ContainerState, input: StatusInput): string {
  return `${input.runtimeName}://${run.id}`
}

function isContainerReady(life: ContainerLife, run: ContainerState, input: StatusInput): boolean {
  if (life.kind === 'ephemeral') return false
  if (life.kind === 'init') return run.state === 'exited' && run.exitCode === 0
  if (run.state !== 'running' || input.isEnded) return false
  const health = input.health(run)
  return health.isStarted && health.isReady
}

function startedField(
  life: ContainerLife,
  base: ContainerStatus,
  input: StatusInput,
): Pick<ContainerStatus, 'started'> {
  if (life.kind === 'ephemeral') return {}
  const run = latestRun(input.observed, life.name)
  const isRunning = base.state?.running !== undefined && run !== undefined
  if (life.kind === 'init') return { started: isRunning }
  return { started: isRunning && input.health(run).isStarted }
}

/** What was granted, and what is in force. */
function resourceFields(spec: Container, run: ContainerState, input: StatusInput): Partial<ContainerStatus> {
  if (run.startedAt === 0) return {}
  const requests = spec.resources?.requests
  const inForce = input.resourcesOf(run)
  return {
    ...(requests !== undefined && { allocatedResources: requests }),
    resources: {
      ...(inForce.limits !== undefined && { limits: inForce.limits }),
      ...(inForce.requests !== undefined && { requests: inForce.requests }),
    },
  }
}

function mountsField(life: ContainerLife): Partial<ContainerStatus> {
  const mounts = life.spec.volumeMounts ?? []
  if (mounts.length === 0) return {}
  return {
    volumeMounts: mounts.map((mount) => ({
      name: mount.name,
      mountPath: mount.mountPath,
      ...(mount.readOnly === true && { readOnly: true, recursiveReadOnly: 'Disabled' }),
    })),
  }
}
