import {
  type ChangeWay,
  isHotUpgrade,
  isNativeSidecar,
  podAnnotations,
  type SidecarSet,
} from '@outrigger/api'
import {
  type CompiledSidecarSet,
  compileSidecarSet,
  isActive,
  isGivenRecorded,
  parseRecords,
} from '@outrigger/injection'
import { keyOf, type Labels, type Pod } from '@outrigger/kube'
import { isOutOfService, type OutOfService, serviceOf } from '../pod-service/pod-service.ts'
import {
  compareRanks,
  matcher,
  type Priority,
  priorityOf,
  rankOf,
  type UpdateRank,
} from '../sidecar-set-rollout/update-order.ts'
import { ChangeJudge, type ChangeSources, type PodWay } from './change-judge.ts'
import { ConsistencyJudge, podContainerNames } from './consistency.ts'
import { workingContainers } from './pod-annotations.ts'
import { type PodTarget, type PodTargets, podTargets } from './pod-target.ts'
import { resizeMarkOf } from './resize-mark.ts'

/** A SidecarSet with everything ready that judging a pod needs. */
export interface JudgedSidecarSet {
  readonly compiled: CompiledSidecarSet
  readonly sidecarSet: SidecarSet
  /** What pods that it covers should have. */
  readonly targets: PodTargets
  /** What updateStrategy.selector picks; everything without. */
  readonly picks: (labels: Labels) => boolean
  readonly priority: Priority
  /** Whether a partition leaves a pod as it is rather than others. */
  readonly isKept: (pod: Pod) => boolean
  /** Tells what changes of its pods take. */
  readonly changes: ChangeJudge
}

/** What a rollout can do with a pod. */
export type PodKind =
  /** Has the content it should have. */
  | 'updated'
  /** Has other content, and may come to what it should have, in the way its view tells. */
  | 'waiting'
  /** Its containers are being resized; images and records have yet to follow. */
  | 'resizing'
  /** An earlier change is still on its way through the node. */
  | 'in-flight'
  /** Needs more than may be done with it while it runs. */
  | 'not-upgradable'
  /** Left out by updateStrategy.selector. */
  | 'not-selected'
  /** Is on a track whose revision is not recorded, and stays as it is. */
  | 'unrecorded'

/** How one pod counts for one SidecarSet. */
export interface PodView {
  readonly key: string
  readonly pod: Pod
  /** What it should have: all else is judged against that. */
  readonly target: PodTarget
  readonly kind: PodKind
  /** How it comes to what it should have; `wait` where it has it. */
  readonly way: ChangeWay
  /** Why it waits, although its SidecarSet wants something else. */
  readonly obstacle: string | undefined
  /** Running and ready, with no hot upgrade half done, and not taken out of its Services. */
  readonly isAvailable: boolean
  /** For which SidecarSet it was taken out of its Services, and how far that is; absent while it is not. */
  readonly outOfService: OutOfService | undefined
  /** Available, and the node runs the images of the spec. */
  readonly isReady: boolean
  /** The side that a hot upgrade left still runs. */
  readonly isHalfDone: boolean
  /** And can be emptied, because the new one serves. */
  readonly isResettable: boolean
  /** Name of the ControllerRevision the pod says it carries. */
  readonly revision: string | undefined
  /** Only while waiting. */
  readonly rank: UpdateRank | undefined
}

/** Makes a SidecarSet ready for judging. Without `sources` what it says of classes of changes counts by hashes alone, and nothing but images moves. */
export function judged(sidecarSet: SidecarSet, sources?: ChangeSources): JudgedSidecarSet {
  const { selector, priorityStrategy } = sidecarSet.spec.updateStrategy ?? {}
  const targets = podTargets(sidecarSet, sources?.history)
  return {
    compiled: compileSidecarSet(sidecarSet),
    sidecarSet,
    targets,
    picks: selector ? matcher(selector) : () => true,
    priority: priorityOf(priorityStrategy),
    isKept: (pod) => isGivenRecorded(sidecarSet, pod) && targets.of(pod).track === undefined,
    changes: new ChangeJudge(sidecarSet, sources),
  }
}

/**
 * How a pod that lists this SidecarSet, and is covered by its selectors, counts for it. `undefined` where it does not:
 * it has ended or is going, or lacks one of the containers and is not to be made anew for it.
 */
export function viewOf(pod: Pod, set: JudgedSidecarSet): PodView | undefined {
  if (!isActive(pod)) return undefined
  const target = set.targets.of(pod)
  const isWhole = hasAllContainers(pod, target)
  const isResizing =
    target.missing === undefined && resizeMarkOf(pod, set.sidecarSet.metadata.name) !== undefined
  if (!isWhole && !isResizing && !set.changes.recreates) return undefined
  const { name } = set.sidecarSet.metadata
  const recorded = parseRecords(pod.metadata.annotations?.[podAnnotations.hash])?.get(name)
  const judge = new ConsistencyJudge(pod, name)
  const isHalfDone = hasHalfDoneHotUpgrade(pod, target)
  const service = serviceOf(pod)
  const outOfService = isOutOfService(service) ? service : undefined
  const isAvailable = !isHalfDone && isRunningAndReady(pod) && outOfService === undefined
  const revision = recorded?.controllerRevision
  const isUpdated =
    target.missing === undefined &&
    (recorded?.hash ?? '') === target.hash &&
    !set.changes.hasHiddenChange(revision, target)
  const { way, obstacle } = isUpdated ? nothingToDo : wayOfOutdated(pod, set, target, revision)
  const kind = isResizing ? 'resizing' : isUpdated ? 'updated' : kindOfOutdated(pod, set, target, judge, way)
  if (!isWhole && !isResizing && (kind !== 'waiting' || way !== 'recreate')) return undefined
  const key = keyOf(pod)
  return {
    key,
    pod,
    target,
    kind,
    way,
    obstacle,
    isAvailable,
    outOfService,
    isReady: isAvailable && judge.areConsistent(target.containerNames),
    isHalfDone,
    isResettable: isHalfDone && canReset(pod, target, judge),
    revision,
    rank: kind === 'waiting' ? rankOf(pod, key, isAvailable, set) : undefined,
  }
}

/**
 * Names of the managed containers whose image the node has not taken yet, as far as can be told. Empty also while the node
 * has not reported on all containers, which keeps a pod from being ready as well.
 */
export function pendingContainers({ pod, target }: PodView): string[] {
  const judge = new ConsistencyJudge(pod, target.content.metadata.name)
  return target.containerNames.filter((name) => !judge.isConsistent(name))
}

/** Whether nothing that is counted, ordered or decided by differs between two views of a pod. */
export function countsTheSame(left: PodView | undefined, right: PodView | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  return (
    left.target === right.target &&
    left.kind === right.kind &&
    left.way === right.way &&
    left.obstacle === right.obstacle &&
    left.isAvailable === right.isAvailable &&
    drainsTheSame(left, right) &&
    left.isReady === right.isReady &&
    left.isHalfDone === right.isHalfDone &&
    left.isResettable === right.isResettable &&
    left.revision === right.revision &&
    (left.rank === right.rank ||
      (left.rank !== undefined && right.rank !== undefined && compareRanks(left.rank, right.rank) === 0))
  )
}

/** A drain goes on when the pod becomes unready, which changes nothing else: it counted as unavailable before. */
function drainsTheSame(left: PodView, right: PodView): boolean {
  if (left.outOfService === undefined && right.outOfService === undefined) return true
  return (
    left.outOfService?.sidecarSet === right.outOfService?.sidecarSet &&
    left.outOfService?.drainedAt === right.outOfService?.drainedAt &&
    isRunningAndReady(left.pod) === isRunningAndReady(right.pod)
  )
}

/** Phase Running, condition Ready, and not on its way out. */
export function isRunningAndReady({ status, metadata }: Pod): boolean {
  return (
    status?.phase === 'Running' &&
    metadata.deletionTimestamp === undefined &&
    (status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ??
      false)
  )
}

/** The container that should be empty: where neither is said to work, the second one does. */
export function otherContainer(pod: Pod, name: string): string {
  return workingContainers(pod)[name] === `${name}-1` ? `${name}-2` : `${name}-1`
}

const nothingToDo: PodWay = { way: 'wait' }

function wayOfOutdated(
  pod: Pod,
  { sidecarSet, changes }: JudgedSidecarSet,
  target: PodTarget,
  revision: string | undefined,
): PodWay {
  if (target.missing !== undefined) return nothingToDo
  const { name } = sidecarSet.metadata
  const recorded = parseRecords(pod.metadata.annotations?.[podAnnotations.hashWithoutImage])?.get(name)
  const isImageOnly = recorded !== undefined && recorded.hash === target.hashWithoutImage
  return changes.wayOf(pod, revision, target, isImageOnly)
}

function kindOfOutdated(
  pod: Pod,
  set: JudgedSidecarSet,
  target: PodTarget,
  judge: ConsistencyJudge,
  way: ChangeWay,
): PodKind {
  if (target.missing !== undefined) return 'unrecorded'
  if (!set.picks(pod.metadata.labels ?? {})) return 'not-selected'
  if (way === 'wait') return 'not-upgradable'
  // What is still on its way goes with the pod.
  if (way === 'recreate') return 'waiting'
  // A container that is not ready holds nothing up: a pod stuck on a bad image can be given the next one.
  const ready = new Set(
    [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
      .filter((status) => status.ready)
      .map((status) => status.name),
  )
  const isInFlight = target.containerNames.some(
    (container) => ready.has(container) && !judge.isConsistent(container),
  )
  return isInFlight ? 'in-flight' : 'waiting'
}

function hasAllContainers(pod: Pod, { content }: PodTarget): boolean {
  const present = new Set(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name),
  )
  return (content.spec.containers ?? []).every(
    (sidecar) =>
      podContainerNames({ list: 'containers', sidecar }).every((name) => present.has(name)) &&
      (!isHotUpgrade(sidecar) || Object.hasOwn(workingContainers(pod), sidecar.name)),
  )
}

/** Whether the container that should be empty still runs something. */
function hasHalfDoneHotUpgrade(pod: Pod, { hot }: PodTarget): boolean {
  return hot.some(({ list, sidecar }) => {
    const other = otherContainer(pod, sidecar.name)
    const container = pod.spec[list]?.find(({ name }) => name === other)
    return container !== undefined && container.image !== sidecar.upgradeStrategy?.hotUpgradeEmptyImage
  })
}

/**
 * Whether the new containers of a pod serve, so that the old ones can be emptied: everything but those is consistent,
 * and the pod is ready or everything but those is. A running postStart hook keeps a container from being ready, so a
 * migration that it does is waited for.
 */
function canReset(pod: Pod, { hot, containerNames }: PodTarget, judge: ConsistencyJudge): boolean {
  const others = new Set(hot.map(({ sidecar }) => otherContainer(pod, sidecar.name)))
  if (!judge.areConsistent(containerNames.filter((name) => !others.has(name)))) return false
  if (isRunningAndReady(pod)) return true
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
  const natives = new Set((pod.spec.initContainers ?? []).filter(isNativeSidecar).map(({ name }) => name))
  const running = [...containerStatuses, ...initContainerStatuses.filter(({ name }) => natives.has(name))]
  return containerStatuses.length > 0 && running.every(({ name, ready }) => ready || others.has(name))
}
