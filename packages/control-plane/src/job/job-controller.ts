import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  earliest,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  backoffDelay,
  type Clock,
  formatTime,
  type Logger,
  parseTime,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import {
  compileLabelSelector,
  deepEqual,
  isConditionTrue,
  type Job,
  type JobCondition,
  type JobStatus,
  keyOf,
  type Pod,
  parseKey,
  resources,
} from '@outrigger/kube'
import { claimObjects } from '../pods/claim.ts'
import { PodControl } from '../pods/pod-control.ts'
import { isPodActive } from '../pods/pod-state.ts'
import { balanceJob } from './job-balance.ts'
import { letPodGo } from './job-orphan-controller.ts'
import { indexedJobPod, isTracked, jobPod } from './job-pods.ts'
import { finishTime, indexFields, isIndexed, type JobTally, tallyJob } from './job-tally.ts'
import { formerVerdict, isJobFinished, type JobVerdict, judgeJob, untilDeadline } from './job-verdict.ts'

export interface JobControllerOptions {
  readonly client: Client
  readonly jobs: Informer<Job>
  /** Needs the indexes `owner` and `orphans`. */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Pause before a failed pod is replaced. Source: job controller, `DefaultJobPodFailureBackOff`. */
const replacementPause = { initial: 10_000, max: 600_000 }
/** At most so many finished pods are counted in one pass, so that the status stays small. */
const countedAtOnce = 500
const ownManager = 'kubernetes.io/job-controller'

/**
 * Runs Jobs: makes pods up to `parallelism`, counts each finished pod exactly once (with the help of a
 * finalizer), and says how the job ended. Source: kubernetes/pkg/controller/job and .../ttlafterfinished.
 */
export function createJobController(options: JobControllerOptions): Runnable {
  const { jobs, pods } = options
  const control = new PodControl({ ...options, ownerKind: 'Job' })
  const memory: Memory = { letGo: new Set(), failures: new Map() }
  return createController({
    ...options,
    name: 'job',
    concurrency: 5,
    informers: [jobs, pods],
    sources: [
      (enqueue) => {
        const look = (job: Job) => {
          const { uid = '', resourceVersion = '' } = job.metadata
          control.expectations.observeVersion(keyOf(job), uid, resourceVersion)
          enqueue(keyOf(job))
        }
        return jobs.onChange({
          onAdd: look,
          onUpdate: look,
          onDelete: (job) => {
            control.expectations.forget(keyOf(job))
            memory.failures.delete(job.metadata.uid ?? '')
          },
        })
      },
      (enqueue) => control.connect(enqueue),
      () => {
        const forget = (pod: Pod) => void memory.letGo.delete(pod.metadata.uid ?? '')
        return pods.onChange({
          onUpdate: (pod) => {
            if (!isTracked(pod)) forget(pod)
          },
          onDelete: forget,
        })
      },
    ],
    reconcile: (key, signal) => new JobPass(options, control, memory, key, signal).run(),
  })
}

/** What outlives a pass. All of it may be lost: the API has the truth. */
interface Memory {
  /** Uids of pods whose finalizer was removed although the cache does not show it yet. */
  readonly letGo: Set<string>
  /** Failures in a row by uid of the job, and when the last one was, for the pause before a replacement. */
  readonly failures: Map<string, { readonly inARow: number; readonly lastAt: number }>
}

/** One look at one Job. */
class JobPass {
  readonly #options: JobControllerOptions
  readonly #control: PodControl
  readonly #memory: Memory
  readonly #key: string
  readonly #signal: AbortSignal

  constructor(
    options: JobControllerOptions,
    control: PodControl,
    memory: Memory,
    key: string,
    signal: AbortSignal,
  ) {
    this.#options = options
    this.#control = control
    this.#memory = memory
    this.#key = key
    this.#signal = signal
  }

  async run(): Promise<Outcome> {
    const job = this.#options.jobs.store.get(this.#key)
    if (job === undefined) return waitForChange
    if ((job.spec.managedBy ?? ownManager) !== ownManager) return waitForChange
    if (isJobFinished(job)) return this.#expire(job)
    // Counting on a cache that is behind our own writes would count twice or replace what is done.
    const waiting = this.#control.expectations.remaining(this.#key)
    if (waiting > 0) return lookAgain(waiting + 1)
    const pods = await this.#claim(job)
    const now = this.#options.clock.now()
    const tally = tallyJob(job, pods, this.#memory.letGo, formerVerdict(job)?.outcome === 'Failed')
    this.#rememberFailures(job, tally, now)
    const verdict = judgeJob(job, tally, now)
    let failure: unknown
    const { created, outcome } = await this.#steer(job, tally, verdict, now).catch((error: unknown) => {
      failure = error
      return { created: 0, outcome: waitForChange }
    })
    await this.#record(job, tally, verdict, created)
    if (failure !== undefined) throw failure
    return outcome
  }

  #claim(job: Job): Promise<readonly Pod[]> {
    return claimObjects<Pod>({
      client: this.#options.client,
      owner: job,
      ownerResource: resources.jobs,
      resource: resources.pods,
      selector: compileLabelSelector(job.spec.selector),
      owned: this.#control.ownedBy(job),
      orphans: this.#options.pods.store.byIndex('orphans', job.metadata.namespace ?? ''),
      mayAdopt: isPodActive,
    })
  }

  /** Makes and removes pods. Answers how many were made, and when to look again. */
  async #steer(
    job: Job,
    tally: JobTally,
    verdict: JobVerdict | undefined,
    now: number,
  ): Promise<{ readonly created: number; readonly outcome: Outcome }> {
    if (job.metadata.deletionTimestamp !== undefined) return { created: 0, outcome: waitForChange }
    if (verdict !== undefined || job.spec.suspend === true) {
      await this.#control.delete(job, tally.active)
      return { created: -tally.active.length, outcome: waitForChange }
    }
    const deadline = untilDeadline(job, now) ?? (job.spec.activeDeadlineSeconds ?? 0) * 1000
    const untilEnd = deadline > 0 ? lookAgain(deadline + 1) : waitForChange
    const { remove, create, indexes } = balanceJob(job, tally)
    if (remove.length > 0) {
      await this.#control.delete(job, remove)
      return { created: -remove.length, outcome: untilEnd }
    }
    if (create === 0) return { created: 0, outcome: untilEnd }
    const pause = this.#untilReplacement(job, now)
    if (pause > 0) return { created: 0, outcome: earliest(untilEnd, lookAgain(pause)) }
    const { random } = this.#options
    const drafts = isIndexed(job)
      ? indexes.map((index) => indexedJobPod(job, index, tally.indexFailures.get(index) ?? 0, random))
      : Array.from({ length: create }, () => jobPod(job, random))
    await this.#control.create(job, drafts)
    return { created: drafts.length, outcome: untilEnd }
  }

  /**
   * Writes the status, lets counted pods go and writes that down. A pod is named in the status before
   * its finalizer is removed, and added to a counter after, so that a crash in between loses nothing.
   */
  async #record(job: Job, tally: JobTally, verdict: JobVerdict | undefined, created: number): Promise<void> {
    const batch = tally.toCount.slice(0, countedAtOnce)
    const status = this.#statusOf(job, tally, verdict, created, batch)
    const isLast = tally.toCount.length === batch.length && tally.terminating === 0 && created >= 0
    if (batch.length === 0) {
      await this.#write(job, verdict !== undefined && isLast ? this.#closed(job, status, verdict) : status)
      if (verdict !== undefined && isLast) this.#announce(job, verdict)
      return
    }
    const named = await this.#write(job, status)
    await Promise.all(batch.map(({ pod }) => this.#letGo(pod)))
    const counted = (as: string) => batch.filter((entry) => entry.as === as).length
    const settled: JobStatus = { ...status, uncountedTerminatedPods: {} }
    setCount(settled, 'succeeded', (status.succeeded ?? 0) + counted('succeeded'))
    setCount(settled, 'failed', (status.failed ?? 0) + counted('failed'))
    await this.#write(named, verdict !== undefined && isLast ? this.#closed(job, settled, verdict) : settled)
    if (verdict !== undefined && isLast) this.#announce(job, verdict)
  }

  #statusOf(
    job: Job,
    tally: JobTally,
    verdict: JobVerdict | undefined,
    created: number,
    batch: JobTally['toCount'],
  ): JobStatus {
    const now = formatTime(this.#options.clock.now())
    const isSuspended = job.spec.suspend === true && verdict === undefined
    const uids = (as: string) =>
      batch.filter((entry) => entry.as === as).map(({ pod }) => pod.metadata.uid ?? '')
    const [succeeded, failed] = [uids('succeeded'), uids('failed')]
    const removed = Math.max(0, -created)
    const status: JobStatus = {
      ready: Math.max(0, tally.ready - removed),
      terminating: tally.terminating + removed,
      uncountedTerminatedPods: {
        ...(succeeded.length > 0 && { succeeded }),
        ...(failed.length > 0 && { failed }),
      },
      ...indexFields(job, tally),
    }
    if (!isSuspended) status.startTime = job.status?.startTime ?? now
    setCount(status, 'active', tally.active.length + created)
    setCount(status, 'succeeded', isIndexed(job) ? tally.succeeded : tally.settled.succeeded)
    setCount(status, 'failed', tally.settled.failed)
    const conditions = this.#conditions(job, verdict, isSuspended, now)
    if (conditions.length > 0) status.conditions = conditions
    return status
  }

  #conditions(job: Job, verdict: JobVerdict | undefined, isSuspended: boolean, now: string): JobCondition[] {
    const before = job.status?.conditions ?? []
    const conditions = [...before]
    const wasSuspended = isConditionTrue(before, 'Suspended')
    if (isSuspended !== wasSuspended && (isSuspended || verdict === undefined)) {
      const at = conditions.findIndex(({ type }) => type === 'Suspended')
      const condition = isSuspended
        ? conditionOf('Suspended', 'True', 'JobSuspended', 'Job suspended', now)
        : conditionOf('Suspended', 'False', 'JobResumed', 'Job resumed', now)
      if (at < 0) conditions.push(condition)
      else conditions[at] = condition
      this.#tell(job, 'Normal', isSuspended ? 'Suspended' : 'Resumed', condition.message ?? '')
    }
    if (verdict !== undefined) {
      const type = verdict.outcome === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget'
      if (!isConditionTrue(conditions, type))
        conditions.push(conditionOf(type, 'True', verdict.reason, verdict.message, now))
    }
    return conditions
  }

  /** The status with the condition nothing comes after. */
  #closed(job: Job, status: JobStatus, verdict: JobVerdict): JobStatus {
    const now = formatTime(this.#options.clock.now())
    const condition = conditionOf(verdict.outcome, 'True', verdict.reason, verdict.message, now)
    return {
      ...status,
      startTime: status.startTime ?? job.status?.startTime ?? now,
      conditions: [...(status.conditions ?? []), condition],
      ...(verdict.outcome === 'Complete' && { completionTime: now }),
    }
  }

  /** Answers the job as it is stored now. */
  async #write(job: Job, status: JobStatus): Promise<Job> {
    if (deepEqual(status, job.status ?? {})) return job
    const { client, jobs } = this.#options
    const written = await client.update<Job>(
      resources.jobs,
      { ...job, status },
      { subresource: 'status', signal: this.#signal },
    )
    const { uid = '', resourceVersion = '' } = written.metadata
    if (resourceVersion !== job.metadata.resourceVersion) {
      const { expectations } = this.#control
      expectations.expectVersion(this.#key, uid, resourceVersion)
      // The watch may have been quicker than the answer.
      const seen = jobs.store.get(this.#key)
      expectations.observeVersion(this.#key, uid, seen?.metadata.resourceVersion ?? '0')
    }
    return written
  }

  async #letGo(pod: Pod): Promise<void> {
    const { client, pods } = this.#options
    await letPodGo(client, pod, this.#signal)
    const cached = pods.store.get(keyOf(pod))
    const isStale = cached?.metadata.uid === pod.metadata.uid && cached !== undefined && isTracked(cached)
    if (isStale) this.#memory.letGo.add(pod.metadata.uid ?? '')
  }

  #announce(job: Job, { outcome, reason, message }: JobVerdict): void {
    if (outcome === 'Complete') this.#tell(job, 'Normal', 'Completed', 'Job completed')
    else this.#tell(job, 'Warning', reason, message)
  }

  #tell(job: Job, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#options.events.event(job, { type, reason, message })
  }

  #rememberFailures(job: Job, tally: JobTally, now: number): void {
    const uid = job.metadata.uid ?? ''
    const known = new Set(job.status?.uncountedTerminatedPods?.failed)
    const ended = tally.toCount
      .filter(({ pod, as }) => as !== 'nothing' && !known.has(pod.metadata.uid ?? ''))
      .map(({ pod, as }) => ({ as, at: finishTime(pod, now) }))
      .sort((left, right) => left.at - right.at)
    let { inARow, lastAt } = this.#memory.failures.get(uid) ?? { inARow: 0, lastAt: 0 }
    for (const { as, at } of ended) {
      inARow = as === 'failed' ? inARow + 1 : 0
      lastAt = at
    }
    if (inARow > 0) this.#memory.failures.set(uid, { inARow, lastAt })
    else this.#memory.failures.delete(uid)
  }

  /** Milliseconds until a pod may take the place of one that failed. */
  #untilReplacement(job: Job, now: number): number {
    const failures = this.#memory.failures.get(job.metadata.uid ?? '')
    if (failures === undefined) return 0
    return Math.max(0, failures.lastAt + backoffDelay(replacementPause, failures.inARow) - now)
  }

  /** Deletes a finished job when its time to live is over. */
  async #expire(job: Job): Promise<Outcome> {
    const { ttlSecondsAfterFinished } = job.spec
    if (ttlSecondsAfterFinished === undefined || job.metadata.deletionTimestamp !== undefined)
      return waitForChange
    const finished = job.status?.conditions?.find(
      ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
    )
    const finishedAt = parseTime(finished?.lastTransitionTime ?? '') || this.#options.clock.now()
    const left = finishedAt + ttlSecondsAfterFinished * 1000 - this.#options.clock.now()
    if (left > 0) return lookAgain(left)
    const { uid = '', resourceVersion = '' } = job.metadata
    await this.#options.client
      .delete(resources.jobs, parseKey(this.#key), {
        propagationPolicy: 'Foreground',
        preconditions: { uid, resourceVersion },
        signal: this.#signal,
      })
      .catch(ignoreRace)
    return waitForChange
  }
}

function conditionOf(
  type: string,
  status: 'True' | 'False',
  reason: string,
  message: string,
  now: string,
): JobCondition {
  return { type, status, lastProbeTime: now, lastTransitionTime: now, reason, message }
}

function setCount(status: JobStatus, field: 'active' | 'succeeded' | 'failed', count: number): void {
  if (count > 0) status[field] = count
  else delete status[field]
}

function ignoreRace(error: unknown): undefined {
  if (!isNotFound(error) && !isConflict(error)) throw error
  return undefined
}
