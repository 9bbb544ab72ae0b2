import type { SidecarSet } from '@outrigger/api'
import { parseRecords } from '@outrigger/injection'
import { compileLabelSelector, type IntOrString, type Pod, SelectorError } from '@outrigger/kube'
import { isConsistent, stateOf } from '../sidecar-set-status/pod-state.ts'

const hashWithoutImage = 'kruise.io/sidecarset-hash-without-image'

/** What a round of a rollout does. */
export interface RolloutRound {
  /** Pods to change now, in this order. */
  readonly selected: readonly Pod[]
  /** Pods that would need more than another image, and so wait for their replacement. */
  readonly notUpgradable: readonly Pod[]
}

interface Judged {
  readonly pod: Pod
  readonly isReady: boolean
}

/**
 * Chooses, among the pods that carry a SidecarSet, those whose images change now: within the partition
 * and within maxUnavailable. Pods that are not ready cost no budget, and a ready one that finds none does
 * not keep others from moving. Priorities and scattering are not looked at.
 */
export function selectPods(sidecarSet: SidecarSet, pods: readonly Pod[]): RolloutRound {
  const strategy = sidecarSet.spec.updateStrategy ?? {}
  const isChosen = choice(strategy.selector)
  const waiting: Judged[] = []
  const notUpgradable: Pod[] = []
  let unavailable = 0
  let matched = 0
  for (const pod of pods) {
    const state = stateOf(pod, sidecarSet, true)
    if (state === undefined) continue
    matched++
    if (state.isUpdated) {
      if (!state.isReady) unavailable++
    } else if (isChosen(pod.metadata.labels)) {
      if (!differsInImagesOnly(pod, sidecarSet)) notUpgradable.push(pod)
      else if (!isInFlight(pod, sidecarSet)) waiting.push({ pod, isReady: state.isReady })
    }
  }
  const movable = waiting
    .sort(inOrder)
    .slice(0, Math.max(0, waiting.length - partitionOf(strategy.partition, matched)))
  const budget = amountOf(strategy.maxUnavailable ?? 1, matched)
  const selected: Pod[] = []
  for (const { pod, isReady } of movable) {
    if (isReady && unavailable >= budget) continue
    if (isReady) unavailable++
    selected.push(pod)
  }
  return { selected, notUpgradable }
}

function choice(selector: NonNullable<SidecarSet['spec']['updateStrategy']>['selector']) {
  if (selector === undefined || selector === null) return () => true
  try {
    const matcher = compileLabelSelector(selector)
    return (labels: Pod['metadata']['labels']) => matcher.matches(labels)
  } catch (error) {
    if (error instanceof SelectorError) return () => false
    throw error
  }
}

function differsInImagesOnly(pod: Pod, { metadata }: SidecarSet): boolean {
  const recorded = parseRecords(pod.metadata.annotations?.[hashWithoutImage])?.get(metadata.name)
  return recorded !== undefined && recorded.hash === metadata.annotations?.[hashWithoutImage]
}

/** An earlier change is still on its way through the node. A container that is not ready holds nothing up. */
function isInFlight(pod: Pod, sidecarSet: SidecarSet): boolean {
  const names = new Set((sidecarSet.spec.containers ?? []).map(({ name }) => name))
  const isServing =
    pod.status?.containerStatuses?.some(({ name, ready }) => ready && names.has(name)) ?? false
  return isServing && !isConsistent(pod, sidecarSet)
}

/** How many pods keep the old content. A percentage other than 100% leaves one pod to move. */
function partitionOf(partition: IntOrString | undefined, matched: number): number {
  const amount = amountOf(partition ?? 0, matched)
  const isPartial = typeof partition === 'string' && partition !== '100%'
  return isPartial && amount >= matched && matched > 1 ? matched - 1 : Math.min(amount, matched)
}

function amountOf(value: IntOrString, whole: number): number {
  if (typeof value === 'number') return Math.max(0, value)
  const percent = /^(\d+)%$/.exec(value)?.[1]
  return percent === undefined ? 0 : Math.ceil((Number(percent) * whole) / 100)
}

const phases = ['Pending', 'Unknown', 'Running']

/** Those that lose least go first: unscheduled, pending, not ready, ready for the shortest time, restarted often, young. */
function inOrder(left: Judged, right: Judged): number {
  return (
    Number(Boolean(left.pod.spec.nodeName)) - Number(Boolean(right.pod.spec.nodeName)) ||
    phases.indexOf(left.pod.status?.phase ?? '') - phases.indexOf(right.pod.status?.phase ?? '') ||
    Number(left.isReady) - Number(right.isReady) ||
    compareTimes(readySince(right.pod), readySince(left.pod)) ||
    restarts(right.pod) - restarts(left.pod) ||
    compareTimes(right.pod.metadata.creationTimestamp, left.pod.metadata.creationTimestamp)
  )
}

function readySince({ status }: Pod): string | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime
}

function restarts({ status }: Pod): number {
  return Math.max(0, ...(status?.containerStatuses ?? []).map(({ restartCount }) => restartCount))
}

/** Times of one form compare as texts; a missing one counts as the latest. */
function compareTimes(left: string | undefined, right: string | undefined): number {
  const [one, two] = [left ?? '~', right ?? '~']
  return one < two ? -1 : one > two ? 1 : 0
}
