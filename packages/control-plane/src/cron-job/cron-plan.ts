import { parseTime } from '@outrigger/foundation'
import { type CronJob, controllerReference, type Draft, isConditionTrue, type Job } from '@outrigger/kube'
import { isJobFinished } from '../job/job-verdict.ts'
import type { Schedule } from './schedule.ts'

/** What the schedule says at a moment. */
export interface DueRun {
  /** The latest time that has passed without a run, if it is not too late for it. */
  readonly due: number | undefined
  /** Whether that time has passed but `startingDeadlineSeconds` too. */
  readonly isMissed: boolean
  /** Milliseconds until the next time; undefined when there is none. */
  readonly untilNext: number | undefined
}

/** Looking through more missed times than this would take too long; the answer is then the latest known. */
const mostMissed = 100_000

/** Source: cronjob/utils.go `mostRecentScheduleTime`. */
export function dueRun(job: CronJob, schedule: Schedule, now: number): DueRun {
  const last = parseTime(job.status?.lastScheduleTime ?? job.metadata.creationTimestamp ?? '') || now
  const deadline = job.spec.startingDeadlineSeconds
  const earliest = deadline === undefined ? last : Math.max(last, now - deadline * 1000)
  let due: number | undefined
  let next = schedule.next(earliest)
  for (let looked = 0; next !== undefined && next <= now && looked < mostMissed; looked++) {
    due = next
    next = schedule.next(next)
  }
  const passed = earliest > last ? schedule.next(last) : undefined
  return {
    due,
    isMissed: due === undefined && passed !== undefined && passed <= now,
    untilNext: next === undefined ? undefined : Math.max(0, next - now),
  }
}

/** The job for a time. Its name follows from the time, so that it can be made only once. */
export function jobFor(cron: CronJob, at: number): Draft<Job> {
  const { jobTemplate } = cron.spec
  const stamp = new Date(at).toISOString().slice(0, 19)
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${cron.metadata.name}-${Math.floor(at / 60_000)}`,
      namespace: cron.metadata.namespace ?? '',
      ...(jobTemplate.metadata?.labels && { labels: jobTemplate.metadata.labels }),
      annotations: {
        ...jobTemplate.metadata?.annotations,
        'batch.kubernetes.io/cronjob-scheduled-timestamp': `${stamp}Z`,
      },
      ownerReferences: [controllerReference(cron)],
    },
    // The server requires what the template has to have.
    spec: jobTemplate.spec as Job['spec'],
  }
}

/** Finished jobs beyond the history limits, oldest first. */
export function surplusJobs({ spec }: CronJob, jobs: readonly Job[]): readonly Job[] {
  const finished = jobs
    .filter((job) => isJobFinished(job) && job.metadata.deletionTimestamp === undefined)
    .sort((left, right) => startOf(left) - startOf(right))
  const isGood = (job: Job) => isConditionTrue(job.status?.conditions, 'Complete')
  const surplus = (list: readonly Job[], limit: number) => list.slice(0, Math.max(0, list.length - limit))
  return [
    ...surplus(finished.filter(isGood), spec.successfulJobsHistoryLimit ?? 3),
    ...surplus(
      finished.filter((job) => !isGood(job)),
      spec.failedJobsHistoryLimit ?? 1,
    ),
  ]
}

const startOf = (job: Job): number =>
  parseTime(job.status?.startTime ?? job.metadata.creationTimestamp ?? '') || 0
