import { podAnnotations, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import {
  compileSidecarSet,
  coversPod,
  isActive,
  type NamespaceFacts,
  parseRecords,
  revisionNameOf,
} from '@outrigger/injection'
import {
  compileLabelSelector,
  type IntOrString,
  keyOf,
  type LabelSelector,
  type Pod,
  SelectorError,
  scaledValue,
} from '@outrigger/kube'
import { describeGap } from '../explanation/sidecar-set-verdict.ts'
import { countOf } from '../rendering/count.ts'
import { isPodReady, pendingImages } from './image-state.ts'

/** How far one pod is in the rollout of one SidecarSet. */
export interface PodProgress {
  /** `namespace/name`. */
  readonly pod: string
  readonly standing: 'current' | 'changing' | 'waiting' | 'held back' | 'recreate'
  readonly isReady: boolean
  /** Name of the revision it carries; empty where none is recorded. */
  readonly revision: string
  /** Why it stands where it stands. */
  readonly reason: string
}

/** How many pods may be unavailable at once, and which ones are. */
export interface RolloutBudget {
  readonly maxUnavailable: IntOrString
  /** The same in pods. */
  readonly allowed: number
  /** Pods that have the new content and are not ready, by name. */
  readonly unavailable: readonly string[]
  /** Pods that may still be changed now. */
  readonly left: number
}

/** Where a rollout stands and what keeps it from going on. */
export interface RolloutState {
  readonly sidecarSet: string
  readonly revision: string
  readonly strategy: string
  readonly isPaused: boolean
  /** Pods that carry the SidecarSet and are selected by it still. */
  readonly matched: number
  readonly updated: number
  readonly updatedReady: number
  readonly ready: number
  readonly budget: RolloutBudget
  readonly partition: { readonly written: IntOrString; readonly kept: number }
  readonly pods: readonly PodProgress[]
  /** A sentence for each thing that keeps pods on older content; empty when nothing is left to do. */
  readonly blockers: readonly string[]
}

/**
 * Judges a rollout from the pods as they are. `pods` may be all pods of the cluster. Orders of updating
 * are not looked at: of the pods that wait it says how many may move, not which.
 */
export function judgeRollout(
  sidecarSet: SidecarSet,
  pods: readonly Pod[],
  namespaceOf: (name: string) => NamespaceFacts,
): RolloutState {
  const compiled = compileSidecarSet(sidecarSet)
  const carriers = pods.filter(
    (pod) =>
      isActive(pod) &&
      carriedSets(pod).includes(sidecarSet.metadata.name) &&
      hasAllContainers(pod, sidecarSet) &&
      coversPod(compiled, pod.metadata.labels ?? {}, namespaceOf(pod.metadata.namespace ?? 'default')),
  )
  const judged = carriers.map((pod) => firstJudgement(pod, sidecarSet))
  const strategy = sidecarSet.spec.updateStrategy ?? {}
  const unavailable = judged.filter(({ isUpdated, isReady }) => isUpdated && !isReady)
  const allowed = amountOf(strategy.maxUnavailable ?? 1, carriers.length)
  const budget: RolloutBudget = {
    maxUnavailable: strategy.maxUnavailable ?? 1,
    allowed,
    unavailable: unavailable.map(({ progress }) => progress.pod),
    left: Math.max(0, allowed - unavailable.length),
  }
  const partition = {
    written: strategy.partition ?? 0,
    kept: partitionOf(strategy.partition ?? 0, carriers.length),
  }
  const waiting = judged.filter(({ progress }) => progress.standing === 'waiting').length
  // Pods on older content that cannot move anyway are the first that a partition keeps.
  const updated = judged.filter(({ isUpdated }) => isUpdated).length
  const keptWaiting = Math.max(0, partition.kept - (carriers.length - updated - waiting))
  const hold = holdOf(sidecarSet, { budget, kept: keptWaiting, waiting })
  const progress = judged.map((one) => withHold(one, hold))
  return {
    sidecarSet: sidecarSet.metadata.name,
    revision: revisionNameOf(sidecarSet),
    strategy: strategy.type ?? 'RollingUpdate',
    isPaused: strategy.paused === true,
    matched: carriers.length,
    updated,
    updatedReady: judged.filter(({ isUpdated, isReady }) => isUpdated && isReady).length,
    ready: judged.filter(({ isReady }) => isReady).length,
    budget,
    partition,
    pods: progress,
    blockers: blockersOf(progress, hold),
  }
}

/** Whether the pod has what the SidecarSet puts into pods now; one that lacks a container counts for nothing. */
function hasAllContainers(pod: Pod, { spec }: SidecarSet): boolean {
  const present = new Set(pod.spec.containers.map(({ name }) => name))
  return (spec.containers ?? []).every(({ name, upgradeStrategy }) =>
    upgradeStrategy?.upgradeType === 'HotUpgrade'
      ? present.has(`${name}-1`) && present.has(`${name}-2`)
      : present.has(name),
  )
}

/** Names of the SidecarSets a pod says it carries. */
export function carriedSets(pod: Pod): readonly string[] {
  return pod.metadata.annotations?.[podAnnotations.injectedList]?.split(',').filter(Boolean) ?? []
}

/** Whether all that changed since the pod was injected are images. */
export function differsInImagesOnly(pod: Pod, { metadata }: SidecarSet): boolean {
  const recorded = parseRecords(pod.metadata.annotations?.[podAnnotations.hashWithoutImage])?.get(
    metadata.name,
  )
  return (
    recorded !== undefined && recorded.hash === metadata.annotations?.[sidecarSetAnnotations.hashWithoutImage]
  )
}

/** Whether the pod carries exactly the present content. */
export function isUpToDate(pod: Pod, { metadata }: SidecarSet): boolean {
  const recorded = parseRecords(pod.metadata.annotations?.[podAnnotations.hash])?.get(metadata.name)
  return (recorded?.hash ?? '') === (metadata.annotations?.[sidecarSetAnnotations.hash] ?? '')
}

interface Judgement {
  readonly progress: PodProgress
  readonly isUpdated: boolean
  readonly isReady: boolean
}

function firstJudgement(pod: Pod, sidecarSet: SidecarSet): Judgement {
  const pending = pendingImages(pod, sidecarSet)
  const isReady = isPodReady(pod) && pending.length === 0
  const isUpdated = isUpToDate(pod, sidecarSet)
  const records = parseRecords(pod.metadata.annotations?.[podAnnotations.hash])
  const base = {
    pod: keyOf(pod),
    isReady,
    revision: records?.get(sidecarSet.metadata.name)?.controllerRevision ?? '',
  }
  return {
    isUpdated,
    isReady,
    progress: { ...base, ...standingOf(pod, sidecarSet, { isUpdated, isReady, pending }) },
  }
}

function standingOf(
  pod: Pod,
  sidecarSet: SidecarSet,
  { isUpdated, isReady, pending }: { isUpdated: boolean; isReady: boolean; pending: readonly string[] },
): Pick<PodProgress, 'standing' | 'reason'> {
  if (isUpdated && isReady) return { standing: 'current', reason: 'up to date and ready' }
  if (isUpdated && pending.length > 0)
    return {
      standing: 'changing',
      reason: `its node has not started the new image of ${pending.join(', ')} yet`,
    }
  if (isUpdated) return { standing: 'changing', reason: 'up to date, but not ready' }
  if (sidecarSet.spec.updateStrategy?.type === 'NotUpdate')
    return { standing: 'recreate', reason: 'updateStrategy.type is NotUpdate: recreate the pod' }
  const gap = choiceGap(sidecarSet.spec.updateStrategy?.selector, pod)
  if (gap !== undefined)
    return { standing: 'held back', reason: `updateStrategy.selector leaves it out: ${gap}` }
  if (!differsInImagesOnly(pod, sidecarSet))
    return {
      standing: 'recreate',
      reason: 'more than images changed, which no running pod can take: recreate the pod',
    }
  if (pending.length > 0)
    return { standing: 'changing', reason: `an earlier image of ${pending.join(', ')} is still on its way` }
  return { standing: 'waiting', reason: 'its turn comes next' }
}

function choiceGap(selector: LabelSelector | null | undefined, pod: Pod): string | undefined {
  if (selector === undefined || selector === null) return undefined
  try {
    return describeGap(compileLabelSelector(selector), pod.metadata.labels ?? {}, 'the pod')
  } catch (error) {
    if (error instanceof SelectorError) return error.message
    throw error
  }
}

/** What keeps pods that could be changed in place from being changed now. */
interface Hold {
  readonly kind: 'paused' | 'partition' | 'budget' | 'none'
  readonly reason: string
}

function holdOf(
  { spec }: SidecarSet,
  { budget, kept, waiting }: { budget: RolloutBudget; kept: number; waiting: number },
): Hold {
  if (spec.updateStrategy?.paused)
    return { kind: 'paused', reason: 'updateStrategy.paused is set; outrigger rollout resume goes on' }
  if (waiting > 0 && kept >= waiting)
    return {
      kind: 'partition',
      reason: `updateStrategy.partition ${spec.updateStrategy?.partition} keeps ${countOf(kept, 'pod')} on older content`,
    }
  if (budget.left === 0) return { kind: 'budget', reason: budgetText(budget) }
  const partition = kept > 0 ? `partition ${spec.updateStrategy?.partition} keeps ${kept} of them; ` : ''
  return { kind: 'none', reason: `${partition}the budget allows ${budget.left} more now` }
}

function budgetText({ maxUnavailable, allowed, unavailable }: RolloutBudget): string {
  if (allowed === 0) return `updateStrategy.maxUnavailable ${maxUnavailable} allows no pod to be unavailable`
  const names = unavailable.slice(0, 5).join(', ')
  const more = unavailable.length > 5 ? ` and ${unavailable.length - 5} more` : ''
  return `maxUnavailable ${maxUnavailable} allows ${allowed} unavailable, and ${countOf(unavailable.length, 'updated pod')} ${unavailable.length === 1 ? 'is' : 'are'} not ready: ${names}${more}`
}

function withHold({ progress }: Judgement, hold: Hold): PodProgress {
  if (progress.standing !== 'waiting') return progress
  // A pod that is not ready costs no budget.
  if (hold.kind === 'none' || (hold.kind === 'budget' && !progress.isReady)) return progress
  return { ...progress, standing: 'held back', reason: hold.reason }
}

function blockersOf(progress: readonly PodProgress[], hold: Hold): string[] {
  const count = (standing: PodProgress['standing']) =>
    progress.filter((one) => one.standing === standing).length
  const reasons = new Map<string, number>()
  for (const { standing, reason } of progress)
    if (standing === 'held back' || standing === 'recreate')
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  const blockers = [...reasons].map(([reason, pods]) => `${countOf(pods, 'pod')}: ${reason}`)
  const waiting = count('waiting')
  if (waiting > 0) blockers.push(`${waiting} ${waiting === 1 ? 'pod waits' : 'pods wait'}: ${hold.reason}`)
  return blockers
}

/** A percentage is of all pods that carry the SidecarSet, rounded up. */
function amountOf(value: IntOrString, whole: number): number {
  const amount = scaledValue(value, whole, 'up')
  return Number.isNaN(amount) ? 0 : Math.max(0, amount)
}

/** How many of the pods keep older content. A percentage other than 100% leaves one pod to move. */
export function partitionOf(partition: IntOrString, matched: number): number {
  const amount = amountOf(partition, matched)
  const isPartial = typeof partition === 'string' && partition !== '100%'
  return isPartial && amount >= matched && matched > 1 ? matched - 1 : Math.min(amount, matched)
}
