import { parseTime } from '@outrigger/foundation'
import { isConditionTrue, type Job, type Pod } from '@outrigger/kube'
import { parseIndexes } from './index-set.ts'
import { isIndexed, type JobTally } from './job-tally.ts'

/** How a job ends, with reason and message of the conditions that say so. */
export interface JobVerdict {
  readonly outcome: 'Complete' | 'Failed'
  readonly reason: string
  readonly message: string
}

const complete = (reason: string, message: string): JobVerdict => ({ outcome: 'Complete', reason, message })
const failed = (reason: string, message: string): JobVerdict => ({ outcome: 'Failed', reason, message })

/** Whether the job has a final condition. */
export function isJobFinished(job: Job): boolean {
  return (
    isConditionTrue(job.status?.conditions, 'Complete') || isConditionTrue(job.status?.conditions, 'Failed')
  )
}

/** The verdict a former pass has written down; it stands whatever happens since. */
export function formerVerdict(job: Job): JobVerdict | undefined {
  for (const { type, status, reason = '', message = '' } of job.status?.conditions ?? []) {
    if (status !== 'True') continue
    if (type === 'FailureTarget') return failed(reason, message)
    if (type === 'SuccessCriteriaMet') return complete(reason, message)
  }
  return undefined
}

/** Whether and how the job is over. Source: job controller `syncJob`, in its order of reasons. */
export function judgeJob(job: Job, tally: JobTally, now: number): JobVerdict | undefined {
  const former = formerVerdict(job)
  if (former !== undefined) return former
  if (tally.fatal !== undefined) return failed('PodFailurePolicy', tally.fatal)
  const { spec } = job
  const limit = spec.backoffLimit ?? 6
  if (tally.failed > limit || hasRestartedTooOften(job, tally.active, limit))
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit')
  if (spec.suspend !== true && untilDeadline(job, now) === 0)
    return failed('DeadlineExceeded', 'Job was active longer than specified deadline')
  if (spec.backoffLimitPerIndex !== undefined) {
    if (spec.maxFailedIndexes !== undefined && tally.failedIndexes.size > spec.maxFailedIndexes)
      return failed(
        'MaxFailedIndexesExceeded',
        'Job has exceeded the specified maximal number of failed indexes',
      )
    if (
      tally.failedIndexes.size > 0 &&
      tally.failedIndexes.size + tally.completedIndexes.size >= (spec.completions ?? 0)
    )
      return failed('FailedIndexes', 'Job has failed indexes')
  }
  const rule = matchedSuccessRule(job, tally)
  if (rule !== undefined) return complete('SuccessPolicy', `Matched rules at index ${rule}`)
  return isComplete(job, tally)
    ? complete('CompletionsReached', 'Reached expected number of succeeded pods')
    : undefined
}

function isComplete({ spec }: Job, tally: JobTally): boolean {
  // Without a number of completions the job is done when one pod has succeeded and all others have ended.
  if (spec.completions === undefined) return tally.succeeded > 0 && tally.active.length === 0
  return tally.succeeded >= spec.completions
}

/** With `OnFailure` pods stay and restart; their restarts count against the limit. */
function hasRestartedTooOften(job: Job, active: readonly Pod[], limit: number): boolean {
  if (job.spec.template.spec.restartPolicy !== 'OnFailure') return false
  let restarts = 0
  for (const { status } of active)
    for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
      restarts += container.restartCount
  return limit === 0 ? restarts > 0 : restarts >= limit
}

/** Milliseconds until `activeDeadlineSeconds` have passed; undefined when there is no deadline or no start. */
export function untilDeadline({ spec, status }: Job, now: number): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || status?.startTime === undefined) return undefined
  return Math.max(0, parseTime(status.startTime) + spec.activeDeadlineSeconds * 1000 - now)
}

function matchedSuccessRule(job: Job, tally: JobTally): number | undefined {
  if (!isIndexed(job)) return undefined
  const index = (job.spec.successPolicy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount }) => {
    const concerned = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes)
    const done = [...tally.completedIndexes].filter((each) => concerned?.has(each) ?? true).length
    return done >= (succeededCount ?? concerned?.size ?? Number.POSITIVE_INFINITY)
  })
  return index < 0 ? undefined : index
}
