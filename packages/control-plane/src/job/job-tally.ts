import { parseTime } from '@outrigger/foundation'
import type { Job, Pod } from '@outrigger/kube'
import { isPodActive, isPodFinished, isPodReady } from '../pods/pod-state.ts'
import { formatIndexes, parseIndexes } from './index-set.ts'
import { completionIndex, indexFailuresBefore, isTracked } from './job-pods.ts'
import { judgeFailure } from './pod-failure-policy.ts'

/** What a job's pods amount to. */
export interface JobTally {
  readonly active: readonly Pod[]
  readonly ready: number
  /** Pods on their way out that have not ended yet. */
  readonly terminating: number
  /** Completions, counted or not. */
  readonly succeeded: number
  /** Failures that count, recorded or not. */
  readonly failed: number
  /** Indexes done; empty unless Indexed. */
  readonly completedIndexes: ReadonlySet<number>
  /** Indexes given up; empty without `backoffLimitPerIndex`. */
  readonly failedIndexes: ReadonlySet<number>
  /** How often each index has failed. */
  readonly indexFailures: ReadonlyMap<number, number>
  /** Why the pod failure policy ends the job. */
  readonly fatal: string | undefined
  /** Pods that still have to be counted and let go, with what they count as. */
  readonly toCount: readonly { readonly pod: Pod; readonly as: 'succeeded' | 'failed' | 'nothing' }[]
  /** Counters already settled in the status: uncounted pods that were let go are in. */
  readonly settled: { readonly succeeded: number; readonly failed: number }
}

export const isIndexed = (job: Job): boolean => job.spec.completionMode === 'Indexed'

/** A deleted pod counts as failed at once, unless the job waits for its end. Source: job controller `isPodFailed`. */
function hasFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true
  if (job.spec.podReplacementPolicy === 'Failed') return false
  return pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== 'Succeeded'
}

/**
 * Counts a job's pods. `letGo` are uids of pods whose finalizer was removed although the cache does not
 * show it yet. `isEnding` says that the job has failed: then every pod that has not succeeded has failed.
 */
export function tallyJob(
  job: Job,
  pods: readonly Pod[],
  letGo: ReadonlySet<string>,
  isEnding: boolean,
): JobTally {
  const tracked = new Map<string, Pod>()
  for (const pod of pods) {
    const uid = pod.metadata.uid ?? ''
    if (isTracked(pod) && !letGo.has(uid)) tracked.set(uid, pod)
  }
  const uncounted = job.status?.uncountedTerminatedPods ?? {}
  const settle = (counter: number | undefined, uids: readonly string[] | undefined) =>
    (counter ?? 0) + (uids ?? []).filter((uid) => !tracked.has(uid)).length
  const settled = {
    succeeded: settle(job.status?.succeeded, uncounted.succeeded),
    failed: settle(job.status?.failed, uncounted.failed),
  }
  const completedIndexes = isIndexed(job) ? completed(job) : new Set<number>()
  const failedIndexes = new Set(parseIndexes(job.status?.failedIndexes))
  const toCount: { pod: Pod; as: 'succeeded' | 'failed' | 'nothing' }[] = []
  const failedPods: Pod[] = []
  let fatal: string | undefined
  for (const pod of tracked.values()) {
    const isGoing = job.metadata.deletionTimestamp !== undefined
    if (pod.status?.phase === 'Succeeded') {
      const index = completionIndex(pod)
      if (!isIndexed(job)) toCount.push({ pod, as: 'succeeded' })
      else {
        const isNew = index !== undefined && index < (job.spec.completions ?? 0)
        if (isNew) completedIndexes.add(index)
        toCount.push({ pod, as: 'nothing' })
      }
    } else if (hasFailed(job, pod) || isEnding) {
      const verdict = pod.status?.phase === 'Failed' ? judgeFailure(job, pod) : undefined
      if (verdict?.action === 'FailJob') fatal ??= verdict.message
      const index = completionIndex(pod)
      if (verdict?.action === 'FailIndex' && index !== undefined) failedIndexes.add(index)
      if (verdict?.action !== 'Ignore') failedPods.push(pod)
      toCount.push({ pod, as: verdict?.action === 'Ignore' ? 'nothing' : 'failed' })
    } else if (isGoing) toCount.push({ pod, as: 'nothing' })
  }
  const indexFailures = failuresByIndex(job, pods)
  const limit = job.spec.backoffLimitPerIndex
  if (limit !== undefined)
    for (const [index, failures] of indexFailures)
      if (failures > limit && !completedIndexes.has(index)) failedIndexes.add(index)
  const count = (as: string) => toCount.filter((entry) => entry.as === as).length
  const active = pods.filter(isPodActive)
  return {
    active,
    ready: active.filter(isPodReady).length,
    terminating: pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isPodFinished(pod))
      .length,
    succeeded: isIndexed(job) ? completedIndexes.size : settled.succeeded + count('succeeded'),
    failed: settled.failed + count('failed'),
    completedIndexes,
    failedIndexes,
    indexFailures,
    fatal,
    toCount,
    settled,
  }
}

/** Indexes beyond `completions` (a job that was made smaller) no longer count. */
function completed(job: Job): Set<number> {
  const completions = job.spec.completions ?? 0
  return new Set([...parseIndexes(job.status?.completedIndexes)].filter((index) => index < completions))
}

function failuresByIndex(job: Job, pods: readonly Pod[]): Map<number, number> {
  const failures = new Map<number, number>()
  if (job.spec.backoffLimitPerIndex === undefined) return failures
  for (const pod of pods) {
    const index = completionIndex(pod)
    if (index === undefined) continue
    const isCounted = hasFailed(job, pod) && judgeFailure(job, pod).action !== 'Ignore'
    const count = indexFailuresBefore(pod) + (isCounted ? 1 : 0)
    failures.set(index, Math.max(failures.get(index) ?? 0, count))
  }
  return failures
}

/** When a finished pod ended, in milliseconds; `fallback` when it does not say. */
export function finishTime(pod: Pod, fallback: number): number {
  const ends = (pod.status?.containerStatuses ?? []).map(
    ({ state }) => parseTime(state?.terminated?.finishedAt ?? '') || 0,
  )
  return Math.max(0, ...ends) || parseTime(pod.metadata.deletionTimestamp ?? '') || fallback
}

/** `status.completedIndexes` and `status.failedIndexes`; a field that says nothing is left out. */
export function indexFields(
  job: Job,
  tally: JobTally,
): { completedIndexes?: string; failedIndexes?: string } {
  if (!isIndexed(job)) return {}
  const completedIndexes = formatIndexes(tally.completedIndexes)
  return {
    ...(completedIndexes !== '' && { completedIndexes }),
    ...(job.spec.backoffLimitPerIndex !== undefined && { failedIndexes: formatIndexes(tally.failedIndexes) }),
  }
}
