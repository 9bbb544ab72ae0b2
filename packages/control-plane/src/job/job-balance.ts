import type { Job, Pod } from '@outrigger/kube'
import { podsToDelete } from '../replica-set/deletion-order.ts'
import { completionIndex } from './job-pods.ts'
import { isIndexed, type JobTally } from './job-tally.ts'

/** Pods to make and to remove. */
export interface JobBalance {
  readonly remove: readonly Pod[]
  /** How many pods to make; for Indexed jobs as many as `indexes` has. */
  readonly create: number
  readonly indexes: readonly number[]
}

/** At most so many pods are made in one pass. */
const burst = 500

/** What brings a running job to the pods it wants. Source: job controller `manageJob`. */
export function balanceJob(job: Job, tally: JobTally): JobBalance {
  const wanted = wantedPods(job, tally)
  const surplus = isIndexed(job) ? strayPods(job, tally) : []
  const stray = new Set(surplus)
  const rest = tally.active.filter((pod) => !stray.has(pod))
  const remove = [...surplus, ...podsToDelete(rest, rest.length - wanted)]
  if (remove.length > 0) return { remove, create: 0, indexes: [] }
  const going = job.spec.podReplacementPolicy === 'Failed' ? tally.terminating : 0
  const create = Math.min(burst, Math.max(0, wanted - rest.length - going))
  if (!isIndexed(job)) return { remove, create, indexes: [] }
  const indexes = missingIndexes(job, tally, create)
  return { remove, create: indexes.length, indexes }
}

function wantedPods({ spec }: Job, tally: JobTally): number {
  const parallelism = spec.parallelism ?? 1
  if (spec.completions === undefined)
    return tally.succeeded > 0 ? Math.min(tally.active.length, parallelism) : parallelism
  return Math.max(0, Math.min(spec.completions - tally.succeeded - tally.failedIndexes.size, parallelism))
}

/** Pods without an index, beyond the last one, of an index that is done, or second of their index. */
function strayPods(job: Job, tally: JobTally): Pod[] {
  const seen = new Set<number>()
  return tally.active.filter((pod) => {
    const index = completionIndex(pod)
    if (index === undefined || index >= (job.spec.completions ?? 0)) return true
    if (seen.has(index) || tally.completedIndexes.has(index)) return true
    seen.add(index)
    return false
  })
}

function missingIndexes(job: Job, tally: JobTally, count: number): number[] {
  const taken = new Set(tally.active.map(completionIndex))
  const missing: number[] = []
  for (let index = 0; index < (job.spec.completions ?? 0) && missing.length < count; index++)
    if (!taken.has(index) && !tally.completedIndexes.has(index) && !tally.failedIndexes.has(index))
      missing.push(index)
  return missing
}
