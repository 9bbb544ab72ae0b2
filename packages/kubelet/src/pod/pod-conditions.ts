import { formatTime } from '@outrigger/foundation'
import type { ContainerStatus, PodCondition, PodStatus } from '@outrigger/kube'
import type { StatusInput } from './status-input.ts'

type Draft = Pick<PodCondition, 'status' | 'reason' | 'message'>

const ownTypes = [
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
] as const

/** Says on a virtual node that the pod waits until its sidecars are decided. */
export const sidecarConditionType = 'SidecarsInjected'

/**
 * The conditions the kubelet owns, in its order, after those of others, which it leaves as they are. A time
 * moves only with the condition's status.
 */
export function podConditions(
  input: StatusInput,
  statuses: ReadonlyMap<string, ContainerStatus>,
  phase: PodStatus['phase'],
): PodCondition[] {
  const previous = input.previous.conditions ?? []
  const containersReady = containersReadyCondition(input, statuses, phase)
  const drafts: Record<(typeof ownTypes)[number], Draft> = {
    PodReadyToStartContainers: {
      status: input.observed.sandbox !== undefined && !input.isEnded ? 'True' : 'False',
    },
    Initialized: initializedCondition(input, statuses, phase),
    Ready: readyCondition(input, containersReady),
    ContainersReady: containersReady,
    PodScheduled: { status: 'True' },
  }
  const own = ownTypes.map((type) => stamped(type, drafts[type], previous, input))
  return [
    ...previous.filter((condition) => !isOwnCondition(condition.type)),
    ...resizeConditions(input, previous),
    ...sidecarCondition(input, previous),
    ...own,
  ]
}

/** Whether this kubelet writes conditions of this type. */
export function isOwnCondition(type: string): boolean {
  return (
    (ownTypes as readonly string[]).includes(type) ||
    type === sidecarConditionType ||
    isPassingCondition(type)
  )
}

/** Whether conditions of this type are there only while they hold. */
export function isPassingCondition(type: string): boolean {
  return type === 'PodResizePending' || type === 'PodResizeInProgress'
}

/** Only pods that have waited carry the condition: the others need no line for it. */
function sidecarCondition(input: StatusInput, previous: readonly PodCondition[]): PodCondition[] {
  if (input.hold !== undefined) {
    return [stamped(sidecarConditionType, { status: 'False', ...input.hold }, previous, input)]
  }
  if (!previous.some((condition) => condition.type === sidecarConditionType)) return []
  return [stamped(sidecarConditionType, { status: 'True' }, previous, input)]
}

/** Conditions that are there only while a resize waits or is under way. */
function resizeConditions(input: StatusInput, previous: readonly PodCondition[]): PodCondition[] {
  const { refusal, isInProgress, error } = input.resize
  const draft = (type: string, rest: Partial<Draft>) =>
    stamped(type, { status: 'True', ...rest }, previous, input)
  return [
    ...(refusal === undefined ? [] : [draft('PodResizePending', refusal)]),
    ...(isInProgress
      ? [draft('PodResizeInProgress', error === undefined ? {} : { reason: 'Error', message: error })]
      : []),
  ]
}

function stamped(
  type: string,
  draft: Draft,
  previous: readonly PodCondition[],
  input: StatusInput,
): PodCondition {
  const before = previous.find((condition) => condition.type === type)
  const time = before?.status === draft.status ? before.lastTransitionTime : undefined
  return {
    type,
    ...(input.pod.metadata.generation !== undefined && {
      observedGeneration: input.pod.metadata.generation,
    }),
    status: draft.status,
    lastProbeTime: null as unknown as string,
    lastTransitionTime: time ?? formatTime(input.now),
    ...(draft.reason !== undefined && { reason: draft.reason }),
    ...(draft.message !== undefined && { message: draft.message }),
  }
}

function initializedCondition(
  input: StatusInput,
  statuses: ReadonlyMap<string, ContainerStatus>,
  phase: PodStatus['phase'],
): Draft {
  if (input.life.initOrder.length === 0) {
    return phase === 'Succeeded' ? { status: 'True', reason: 'PodCompleted' } : { status: 'True' }
  }
  if (phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' }
  const hasStarted = input.life.startGroups
    .flat()
    .some((life) => statuses.get(life.name)?.containerID !== undefined)
  if (hasStarted) return { status: 'True' }
  const incomplete = input.life.initOrder.filter((life) => {
    const status = statuses.get(life.name)!
    return life.kind === 'sidecar' ? status.started !== true : !status.ready
  })
  if (incomplete.length === 0) return { status: 'True' }
  return {
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${incomplete.map((life) => life.name).join(' ')}]`,
  }
}

function containersReadyCondition(
  input: StatusInput,
  statuses: ReadonlyMap<string, ContainerStatus>,
  phase: PodStatus['phase'],
): Draft {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' }
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' }
  const counted = [...input.life.containers.values()].filter(
    (life) => life.kind === 'sidecar' || life.kind === 'main',
  )
  const unready = counted.filter((life) => statuses.get(life.name)?.ready !== true)
  if (unready.length === 0) return { status: 'True' }
  return {
    status: 'False',
    reason: 'ContainersNotReady',
    message: `containers with unready status: [${unready.map((life) => life.name).join(' ')}]`,
  }
}

function readyCondition(input: StatusInput, containersReady: Draft): Draft {
  if (containersReady.status !== 'True') return containersReady
  const complaints: string[] = []
  for (const { conditionType } of input.pod.spec.readinessGates ?? []) {
    // A gate is opened by others, perhaps since our last write: the pod as it came counts.
    const condition = (input.pod.status?.conditions ?? []).find((each) => each.type === conditionType)
    if (condition === undefined) {
      complaints.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`)
    } else if (condition.status !== 'True') {
      complaints.push(
        `the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`,
      )
    }
  }
  if (complaints.length === 0) return { status: 'True' }
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: complaints.join(', ') }
}
