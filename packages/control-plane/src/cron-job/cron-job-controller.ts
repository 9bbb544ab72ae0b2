import { type Client, isAlreadyExists, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  type Clock,
  formatTime,
  type Logger,
  messageOf,
  parseTime,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import {
  type CronJob,
  type CronJobStatus,
  deepEqual,
  isConditionTrue,
  type Job,
  keyOf,
  type ObjectReference,
  parseKey,
  resources,
} from '@outrigger/kube'
import { isJobFinished } from '../job/job-verdict.ts'
import { isNamespaceTerminating } from '../namespace/terminating.ts'
import { ownedBy } from '../ownership.ts'
import { dueRun, jobFor, surplusJobs } from './cron-plan.ts'
import { parseSchedule } from './schedule.ts'

export interface CronJobControllerOptions {
  readonly client: Client
  readonly cronJobs: Informer<CronJob>
  /** Needs the index `owner`. */
  readonly jobs: Informer<Job>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** No look is farther ahead than this, in milliseconds: wall clocks jump. */
const longestNap = 10 * 60_000

/** Makes Jobs by the clock. Source: kubernetes/pkg/controller/cronjob. */
export function createCronJobController(options: CronJobControllerOptions): Runnable {
  const { cronJobs, jobs } = options
  return createController({
    ...options,
    name: 'cronjob',
    concurrency: 5,
    informers: [cronJobs, jobs],
    sources: [
      (enqueue) =>
        cronJobs.onChange({
          onAdd: (cron) => enqueue(keyOf(cron)),
          onUpdate: (cron) => enqueue(keyOf(cron)),
        }),
      (enqueue) => {
        const look = (job: Job) => {
          const owner = ownedBy(job, 'CronJob')
          if (owner !== undefined) enqueue(`${job.metadata.namespace}/${owner.name}`)
        }
        return jobs.onChange({ onAdd: look, onUpdate: look, onDelete: look })
      },
    ],
    reconcile: (key, signal) => reconcileCronJob(options, key, signal),
  })
}

async function reconcileCronJob(
  options: CronJobControllerOptions,
  key: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const cron = options.cronJobs.store.get(key)
  if (cron === undefined || cron.metadata.deletionTimestamp !== undefined) return waitForChange
  const jobs = options.jobs.store.byIndex('owner', cron.metadata.uid ?? '')
  const status = settleActive(options, cron, jobs)
  for (const job of surplusJobs(cron, jobs)) await deleteJob(options, cron, job, signal)
  const schedule = parseSchedule(cron.spec.schedule, cron.spec.timeZone)
  let outcome = waitForChange
  if (schedule === undefined) {
    const message = `unparseable schedule: ${JSON.stringify(cron.spec.schedule)}`
    options.events.event(cron, { type: 'Warning', reason: 'UnparseableSchedule', message })
  } else if (cron.spec.suspend !== true) {
    const run = dueRun(cron, schedule, options.clock.now())
    if (run.isMissed)
      options.events.event(cron, {
        type: 'Warning',
        reason: 'MissSchedule',
        message: 'Missed scheduled time to start a job',
      })
    if (run.due !== undefined) await start(options, cron, jobs, status, run.due, signal)
    if (run.untilNext !== undefined) outcome = lookAgain(Math.min(longestNap, run.untilNext + 1))
  }
  await writeStatus(options, cron, status, signal)
  return outcome
}

/** The status without jobs that have ended, which are told of. */
function settleActive(
  { events }: CronJobControllerOptions,
  cron: CronJob,
  jobs: readonly Job[],
): CronJobStatus {
  const status: CronJobStatus = { ...cron.status }
  const active: ObjectReference[] = []
  const known = new Map((cron.status?.active ?? []).map((reference) => [reference.uid, reference]))
  for (const job of jobs) {
    if (!isJobFinished(job)) {
      // A reference stays as it was made; the job's version in it would change with every look.
      active.push(known.get(job.metadata.uid) ?? referenceTo(job))
      continue
    }
    const ended = job.status?.completionTime
    if (isConditionTrue(job.status?.conditions, 'Complete') && ended !== undefined) {
      const last = parseTime(status.lastSuccessfulTime ?? '') || 0
      if (parseTime(ended) > last) status.lastSuccessfulTime = ended
    }
    if (!known.has(job.metadata.uid)) continue
    const how = isConditionTrue(job.status?.conditions, 'Complete') ? 'Complete' : 'Failed'
    const message = `Saw completed job: ${job.metadata.name}, condition: ${how}`
    events.event(cron, { type: 'Normal', reason: 'SawCompletedJob', message })
  }
  active.sort((left, right) => ((left.name ?? '') < (right.name ?? '') ? -1 : 1))
  if (active.length > 0) status.active = active
  else delete status.active
  return status
}

/** Makes the job for a time, or does not because another one still runs. Changes `status` to match. */
async function start(
  options: CronJobControllerOptions,
  cron: CronJob,
  jobs: readonly Job[],
  status: CronJobStatus,
  due: number,
  signal: AbortSignal,
): Promise<void> {
  const { client, events } = options
  const draft = jobFor(cron, due)
  const isKnown = jobs.some(({ metadata }) => metadata.name === draft.metadata.name)
  const running = jobs.filter((job) => !isJobFinished(job))
  if (!isKnown && running.length > 0 && cron.spec.concurrencyPolicy === 'Forbid') {
    const message = 'Not starting job because prior execution is running and concurrency policy is Forbid'
    events.event(cron, { type: 'Normal', reason: 'JobAlreadyActive', message })
    return
  }
  if (!isKnown && cron.spec.concurrencyPolicy === 'Replace') {
    for (const job of running) await deleteJob(options, cron, job, signal)
    delete status.active
  }
  try {
    const made = isKnown ? undefined : await client.create<Job>(resources.jobs, draft, { signal })
    if (made !== undefined) {
      status.active = [...(status.active ?? []), referenceTo(made)]
      const message = `Created job ${made.metadata.name}`
      events.event(cron, { type: 'Normal', reason: 'SuccessfulCreate', message })
    }
  } catch (error) {
    if (isNamespaceTerminating(error)) return
    if (!isAlreadyExists(error)) {
      const message = `Error creating job: ${messageOf(error)}`
      events.event(cron, { type: 'Warning', reason: 'FailedCreate', message })
      throw error
    }
  }
  status.lastScheduleTime = formatTime(due)
}

async function deleteJob(
  { client, events }: CronJobControllerOptions,
  cron: CronJob,
  job: Job,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.delete(resources.jobs, parseKey(keyOf(job)), {
      propagationPolicy: 'Background',
      preconditions: { uid: job.metadata.uid ?? '' },
      signal,
    })
    const message = `Deleted job ${job.metadata.name}`
    events.event(cron, { type: 'Normal', reason: 'SuccessfulDelete', message })
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

async function writeStatus(
  { client }: CronJobControllerOptions,
  cron: CronJob,
  status: CronJobStatus,
  signal: AbortSignal,
): Promise<void> {
  if (deepEqual(status, cron.status ?? {})) return
  await client
    .update<CronJob>(resources.cronJobs, { ...cron, status }, { subresource: 'status', signal })
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
}

function referenceTo({ metadata }: Job): ObjectReference {
  return {
    kind: 'Job',
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    ...(metadata.uid !== undefined && { uid: metadata.uid }),
    apiVersion: 'batch/v1',
    ...(metadata.resourceVersion !== undefined && { resourceVersion: metadata.resourceVersion }),
  }
}
