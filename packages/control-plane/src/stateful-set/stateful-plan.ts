import { type Pod, type StatefulSet, type StatefulSetStatus, scaledValue } from '@outrigger/kube'
import { isPodFinished, isPodReady, untilAvailable } from '../pods/pod-state.ts'
import { revisionHashLabel } from '../revision/revision-history.ts'
import { ordinalOf } from './stateful-pod.ts'

/** Names of the two revisions a set moves between. */
export interface Revisions {
  readonly current: string
  readonly update: string
}

/** One thing to do to a set's pods. */
export type StatefulStep =
  | { readonly kind: 'create'; readonly ordinal: number; readonly revision: 'current' | 'update' }
  /** `failed`: it has ended and makes room for a fresh one; `surplus`: scaled away; `outdated`: of an old revision. */
  | { readonly kind: 'delete'; readonly pod: Pod; readonly why: 'failed' | 'surplus' | 'outdated' }

const isGoing = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined
const revisionOf = (pod: Pod): string => pod.metadata.labels?.[revisionHashLabel] ?? ''

/** Whether the pod runs, is ready and stays. */
export function isHealthy(pod: Pod): boolean {
  return !isGoing(pod) && pod.status?.phase === 'Running' && isPodReady(pod)
}

/** The ordinals a set wants. */
export function wantedOrdinals({ spec }: StatefulSet): readonly number[] {
  const start = spec.ordinals?.start ?? 0
  return Array.from({ length: spec.replicas ?? 1 }, (_, index) => start + index)
}

/**
 * What to do next. `OrderedReady` sets get at most one step, and none while an earlier pod is not
 * there, ready and (with `minReadySeconds`) available; `Parallel` sets scale all at once. Updates go
 * from the highest ordinal down, within `maxUnavailable`, and stop at the partition.
 *
 * Source: kubernetes/pkg/controller/statefulset/stateful_set_control.go `updateStatefulSet`.
 */
export function planStatefulSet(
  set: StatefulSet,
  pods: readonly Pod[],
  revisions: Revisions,
  now: number,
): readonly StatefulStep[] {
  const isOrdered = set.spec.podManagementPolicy !== 'Parallel'
  const byOrdinal = new Map<number, Pod>()
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod)
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod)
  }
  const wanted = wantedOrdinals(set)
  const isBlocking = (pod: Pod) =>
    !isHealthy(pod) || untilAvailable(pod, set.spec.minReadySeconds ?? 0, now) !== 0
  const filling: StatefulStep[] = []
  for (const ordinal of wanted) {
    const pod = byOrdinal.get(ordinal)
    if (pod === undefined) {
      filling.push({ kind: 'create', ordinal, revision: startRevision(set, ordinal) })
      if (isOrdered) return filling
    } else if (isPodFinished(pod)) {
      if (!isGoing(pod)) filling.push({ kind: 'delete', pod, why: 'failed' })
      if (isOrdered) return filling
    } else if (isOrdered && isBlocking(pod)) return filling
  }
  const surplus = planShrink(wanted, byOrdinal, isOrdered, isBlocking)
  if (isOrdered && (surplus.steps.length > 0 || surplus.isWaiting)) return surplus.steps
  const steps = [...filling, ...surplus.steps]
  return steps.length > 0 ? steps : planUpdate(set, wanted, byOrdinal, revisions, isBlocking)
}

/** Below the partition a pod comes back as it was. */
function startRevision({ spec }: StatefulSet, ordinal: number): 'current' | 'update' {
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0
  const isKept = spec.updateStrategy?.type !== 'OnDelete' && ordinal < (spec.ordinals?.start ?? 0) + partition
  return isKept ? 'current' : 'update'
}

/** Pods beyond the wanted ordinals, highest first; ordered sets take one at a time. */
function planShrink(
  wanted: readonly number[],
  byOrdinal: ReadonlyMap<number, Pod>,
  isOrdered: boolean,
  isBlocking: (pod: Pod) => boolean,
): { readonly steps: readonly StatefulStep[]; readonly isWaiting: boolean } {
  const kept = new Set(wanted)
  const condemned = [...byOrdinal].filter(([ordinal]) => !kept.has(ordinal)).sort(([a], [b]) => b - a)
  if (!isOrdered) {
    const steps = condemned
      .filter(([, pod]) => !isGoing(pod))
      .map(([, pod]): StatefulStep => ({ kind: 'delete', pod, why: 'surplus' }))
    return { steps, isWaiting: false }
  }
  const first = condemned[0]?.[1]
  if (first === undefined) return { steps: [], isWaiting: false }
  if (isGoing(first)) return { steps: [], isWaiting: true }
  // A condemned pod further down that is in trouble keeps healthy ones above it in place.
  const firstUnhealthy = condemned.findLast(([, pod]) => isBlocking(pod))?.[1]
  const mayGo = firstUnhealthy === undefined || firstUnhealthy === first || isBlocking(first)
  return { steps: mayGo ? [{ kind: 'delete', pod: first, why: 'surplus' }] : [], isWaiting: true }
}

function planUpdate(
  { spec }: StatefulSet,
  wanted: readonly number[],
  byOrdinal: ReadonlyMap<number, Pod>,
  revisions: Revisions,
  isBlocking: (pod: Pod) => boolean,
): readonly StatefulStep[] {
  if (spec.updateStrategy?.type === 'OnDelete') return []
  const rolling = spec.updateStrategy?.rollingUpdate
  let room = Math.max(1, scaledValue(rolling?.maxUnavailable ?? 1, wanted.length, 'up'))
  const steps: StatefulStep[] = []
  for (const ordinal of wanted.slice(rolling?.partition ?? 0).reverse()) {
    const pod = byOrdinal.get(ordinal)
    if (pod === undefined) continue
    const isOutdated = revisionOf(pod) !== revisions.update && !isGoing(pod)
    if (isOutdated) steps.push({ kind: 'delete', pod, why: 'outdated' })
    if ((isOutdated || isBlocking(pod)) && --room === 0) break
  }
  return steps
}

/** The status that follows from the pods. */
export function statefulSetStatus(
  set: StatefulSet,
  pods: readonly Pod[],
  revisions: Revisions,
  now: number,
): StatefulSetStatus {
  const alive = pods.filter((pod) => ordinalOf(set, pod) !== undefined && !isPodFinished(pod))
  const ready = alive.filter((pod) => pod.status?.phase === 'Running' && isPodReady(pod))
  const available = ready.filter((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, now) === 0)
  const ofRevision = (revision: string) =>
    alive.filter((pod) => !isGoing(pod) && revisionOf(pod) === revision).length
  const wanted = set.spec.replicas ?? 1
  const updated = ofRevision(revisions.update)
  const isDone =
    set.spec.updateStrategy?.type !== 'OnDelete' &&
    updated === wanted &&
    ready.length === wanted &&
    alive.length === wanted
  const current = isDone ? updated : ofRevision(revisions.current)
  return {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: alive.length,
    ...(ready.length > 0 && { readyReplicas: ready.length }),
    ...(current > 0 && { currentReplicas: current }),
    ...(updated > 0 && { updatedReplicas: updated }),
    currentRevision: isDone ? revisions.update : revisions.current,
    updateRevision: revisions.update,
    collisionCount: set.status?.collisionCount ?? 0,
    availableReplicas: available.length,
    ...(set.status?.conditions && { conditions: set.status.conditions }),
  }
}
