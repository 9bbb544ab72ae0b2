import type { Job, JobSpec, JobStatus, Pod, PodStatus } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { balanceJob } from './job-balance.ts'
import { trackingFinalizer } from './job-pods.ts'
import { tallyJob } from './job-tally.ts'
import { judgeJob } from './job-verdict.ts'

const now = Date.parse('2026-01-01T00:10:00Z')
const nobody: ReadonlySet<string> = new Set()

describe('counting', () => {
  test('names a finished pod until it is let go, and adds it to the counter then', () => {
    const pod = aPod('a', { phase: 'Succeeded' })
    const before = tallyJob(aJob(), [pod], nobody, false)
    expect(before).toMatchObject({ succeeded: 1, settled: { succeeded: 0 } })
    expect(before.toCount).toEqual([{ pod, as: 'succeeded' }])

    const named = aJob({}, { uncountedTerminatedPods: { succeeded: ['a'] } })
    expect(tallyJob(named, [pod], nobody, false)).toMatchObject({ succeeded: 1, settled: { succeeded: 0 } })
    const letGo = { ...pod, metadata: { ...pod.metadata, finalizers: [] } }
    const after = tallyJob(named, [letGo], nobody, false)
    expect(after).toMatchObject({ succeeded: 1, settled: { succeeded: 1 }, toCount: [] })
  })

  test('does not count a pod again that the cache still shows with its finalizer', () => {
    const job = aJob({}, { succeeded: 1 })
    const tally = tallyJob(job, [aPod('a', { phase: 'Succeeded' })], new Set(['a']), false)
    expect(tally).toMatchObject({ succeeded: 1, toCount: [] })
  })

  test('a deleted pod has failed at once, or when it ends if the job waits for that', () => {
    const pod = aPod('a', { phase: 'Running' })
    pod.metadata.deletionTimestamp = '2026-01-01T00:09:00Z'
    expect(tallyJob(aJob(), [pod], nobody, false)).toMatchObject({ failed: 1, terminating: 1 })
    const patient = aJob({ podReplacementPolicy: 'Failed' })
    expect(tallyJob(patient, [pod], nobody, false)).toMatchObject({ failed: 0, terminating: 1 })
    expect(balanceJob(patient, tallyJob(patient, [pod], nobody, false)).create).toBe(0)
  })

  test('an ignored failure costs nothing', () => {
    const rules = [
      { action: 'Ignore' as const, onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
    ]
    const pod = aPod('a', { phase: 'Failed', conditions: [{ type: 'DisruptionTarget', status: 'True' }] })
    const tally = tallyJob(aJob({ podFailurePolicy: { rules } }), [pod], nobody, false)
    expect(tally.failed).toBe(0)
    expect(tally.toCount).toEqual([{ pod, as: 'nothing' }])
  })
})

describe('the verdict', () => {
  const judge = (job: Job, pods: readonly Pod[]) =>
    judgeJob(job, tallyJob(job, pods, nobody, false), now)?.reason

  test('is that completions are reached', () => {
    expect(judge(aJob({ completions: 2 }, { succeeded: 1 }), [aPod('a', { phase: 'Succeeded' })])).toBe(
      'CompletionsReached',
    )
    expect(judge(aJob({ completions: 2 }), [aPod('a', { phase: 'Succeeded' })])).toBeUndefined()
  })

  test('is that too many pods failed or restarted', () => {
    expect(judge(aJob({ backoffLimit: 1 }, { failed: 1 }), [aPod('a', { phase: 'Failed' })])).toBe(
      'BackoffLimitExceeded',
    )
    const job = aJob({ backoffLimit: 3 })
    job.spec.template.spec.restartPolicy = 'OnFailure'
    const status = { name: 'main', image: '', imageID: '', ready: false, restartCount: 3 }
    expect(judge(job, [aPod('a', { phase: 'Running', containerStatuses: [status] })])).toBe(
      'BackoffLimitExceeded',
    )
  })

  test('is that time is up', () => {
    const job = aJob({ activeDeadlineSeconds: 600 }, { startTime: '2026-01-01T00:00:00Z' })
    expect(judge(job, [aPod('a', { phase: 'Running' })])).toBe('DeadlineExceeded')
  })

  test('stands once it is written', () => {
    const conditions = [{ type: 'FailureTarget', status: 'True', reason: 'DeadlineExceeded' }]
    expect(judge(aJob({}, { conditions, succeeded: 1 }), [])).toBe('DeadlineExceeded')
  })

  test('of one index does not concern the others', () => {
    const job = aJob({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 0 })
    const failed = aPod('a', { phase: 'Failed' }, 0)
    const tally = tallyJob(job, [failed], nobody, false)
    expect([...tally.failedIndexes]).toEqual([0])
    expect(balanceJob(job, tally).indexes).toEqual([1])
    expect(judge(job, [failed, aPod('b', { phase: 'Succeeded' }, 1)])).toBe('FailedIndexes')
  })
})

describe('the balance', () => {
  test('never wants more pods than completions are missing', () => {
    const job = aJob({ completions: 5, parallelism: 3 }, { succeeded: 4 })
    expect(balanceJob(job, tallyJob(job, [], nobody, false)).create).toBe(1)
  })

  test('removes the second pod of an index and pods of indexes that are done', () => {
    const job = aJob({ completionMode: 'Indexed', completions: 3, parallelism: 3 }, { completedIndexes: '2' })
    const pods = [0, 0, 1, 2].map((index, at) => aPod(`p${at}`, { phase: 'Running' }, index))
    const { remove } = balanceJob(job, tallyJob(job, pods, nobody, false))
    expect(remove.map((pod) => pod.metadata.name)).toEqual(['p1', 'p3'])
  })
})

function aJob(spec: Partial<JobSpec> = {}, status: JobStatus = {}): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'sum', namespace: 'default', uid: 'sum' },
    spec: {
      completions: 1,
      parallelism: 1,
      backoffLimit: 6,
      template: { spec: { restartPolicy: 'Never', containers: [] } },
      ...spec,
    },
    status,
  }
}

function aPod(name: string, status: PodStatus, index?: number): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      finalizers: [trackingFinalizer],
      ...(index !== undefined && {
        annotations: { 'batch.kubernetes.io/job-completion-index': String(index) },
      }),
    },
    spec: { containers: [] },
    status,
  }
}
