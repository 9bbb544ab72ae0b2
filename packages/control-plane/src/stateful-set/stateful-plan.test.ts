import type { Pod, StatefulSet, StatefulSetSpec } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { planStatefulSet, type StatefulStep, statefulSetStatus } from './stateful-plan.ts'

const now = Date.parse('2026-01-01T00:10:00Z')
const revisions = { current: 'old', update: 'new' }

describe('an ordered set', () => {
  test('starts a pod only when all before it are ready', () => {
    const set = aSet({ replicas: 3 })
    expect(told(set, [])).toEqual(['create 0 update'])
    expect(told(set, [aPod(0, { ready: false })])).toEqual([])
    expect(told(set, [aPod(0)])).toEqual(['create 1 update'])
  })

  test('waits for minReadySeconds', () => {
    const set = aSet({ replicas: 2, minReadySeconds: 30 })
    expect(told(set, [aPod(0, { since: '2026-01-01T00:09:45Z' })])).toEqual([])
    expect(told(set, [aPod(0, { since: '2026-01-01T00:09:30Z' })])).toEqual(['create 1 update'])
  })

  test('shrinks from the top, one at a time', () => {
    const set = aSet({ replicas: 1 })
    expect(told(set, [aPod(0), aPod(1), aPod(2)])).toEqual(['delete db-2 surplus'])
    expect(told(set, [aPod(0), aPod(1), aPod(2, { isGoing: true })])).toEqual([])
  })

  test('makes room for a fresh pod where one has failed', () => {
    expect(told(aSet({ replicas: 2 }), [aPod(0, { phase: 'Failed' }), aPod(1)])).toEqual([
      'delete db-0 failed',
    ])
  })
})

test('a parallel set starts and stops all at once', () => {
  const set = aSet({ replicas: 3, podManagementPolicy: 'Parallel', ordinals: { start: 5 } })
  expect(told(set, [aPod(0), aPod(6, { ready: false })])).toEqual([
    'create 5 update',
    'create 7 update',
    'delete db-0 surplus',
  ])
})

describe('an update', () => {
  test('goes from the highest number down and waits for each pod', () => {
    const set = aSet({ replicas: 3 })
    expect(told(set, [aPod(0), aPod(1), aPod(2)])).toEqual(['delete db-2 outdated'])
    const ready = [aPod(0), aPod(1), aPod(2, { revision: 'new' })]
    expect(told(set, ready)).toEqual(['delete db-1 outdated'])
    const parallel = aSet({ replicas: 3, podManagementPolicy: 'Parallel' })
    expect(told(parallel, [aPod(0), aPod(1), aPod(2, { revision: 'new', ready: false })])).toEqual([])
  })

  test('stops at the partition, below which pods come back as they were', () => {
    const set = aSet({
      replicas: 3,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } },
    })
    expect(told(set, [aPod(0), aPod(1), aPod(2, { revision: 'new' })])).toEqual([])
    expect(told(set, [])).toEqual(['create 0 current'])
  })

  test('leaves pods alone with OnDelete', () => {
    const set = aSet({ replicas: 1, updateStrategy: { type: 'OnDelete' } })
    expect(told(set, [aPod(0)])).toEqual([])
    expect(told(set, [])).toEqual(['create 0 update'])
  })

  test('is complete when every pod is new and ready', () => {
    const set = aSet({ replicas: 2 })
    const partly = statefulSetStatus(set, [aPod(0), aPod(1, { revision: 'new' })], revisions, now)
    expect(partly).toMatchObject({ currentRevision: 'old', currentReplicas: 1, updatedReplicas: 1 })
    const done = statefulSetStatus(
      set,
      [0, 1].map((at) => aPod(at, { revision: 'new' })),
      revisions,
      now,
    )
    expect(done).toMatchObject({ currentRevision: 'new', currentReplicas: 2, updatedReplicas: 2 })
  })
})

function told(set: StatefulSet, pods: readonly Pod[]): readonly string[] {
  const tell = (step: StatefulStep) =>
    step.kind === 'create'
      ? `create ${step.ordinal} ${step.revision}`
      : `delete ${step.pod.metadata.name} ${step.why}`
  return planStatefulSet(set, pods, revisions, now).map(tell)
}

function aSet(spec: Partial<StatefulSetSpec>): StatefulSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default', uid: 'db' },
    spec: { selector: {}, template: { spec: { containers: [] } }, ...spec },
  }
}

interface PodFacts {
  readonly ready?: boolean
  readonly phase?: 'Failed'
  readonly revision?: string
  readonly since?: string
  readonly isGoing?: boolean
}

function aPod(ordinal: number, facts: PodFacts = {}): Pod {
  const status = facts.ready === false || facts.phase !== undefined ? 'False' : 'True'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `db-${ordinal}`,
      namespace: 'default',
      uid: `db-${ordinal}`,
      labels: { 'controller-revision-hash': facts.revision ?? 'old' },
      ...(facts.isGoing && { deletionTimestamp: '2026-01-01T00:09:59Z' }),
    },
    spec: { containers: [] },
    status: {
      phase: facts.phase ?? 'Running',
      conditions: [{ type: 'Ready', status, lastTransitionTime: facts.since ?? '2026-01-01T00:00:00Z' }],
    },
  }
}
