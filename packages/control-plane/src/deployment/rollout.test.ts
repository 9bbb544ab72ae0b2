import type { Deployment, ReplicaSet } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boundsOf, planProportionalScale, planRollingStep, sizeOf } from './rollout.ts'

describe('a rolling update', () => {
  test('first grows the new set by the surge', () => {
    const deployment = aDeployment({ replicas: 4 })
    const old = aSet('old', { size: 4, available: 4 })
    const current = aSet('new', { size: 0 })

    expect(planRollingStep(deployment, current, [old])).toEqual([{ replicaSet: current, to: 1 }])
  })

  test('shrinks the old set only as far as availability allows', () => {
    const deployment = aDeployment({ replicas: 4 })
    const old = aSet('old', { size: 4, available: 4 })
    const current = aSet('new', { size: 1, available: 0 })

    expect(planRollingStep(deployment, current, [old])).toEqual([{ replicaSet: old, to: 3 }])
  })

  test('removes unhealthy old pods before healthy ones', () => {
    const deployment = aDeployment({ replicas: 4, maxSurge: 0, maxUnavailable: 2 })
    const sick = aSet('a-sick', { size: 2, available: 0 })
    const healthy = aSet('b-healthy', { size: 2, available: 2 })
    const current = aSet('new', { size: 0 })

    expect(planRollingStep(deployment, current, [healthy, sick])).toEqual([{ replicaSet: sick, to: 0 }])
  })

  test('always allows one pod to move', () => {
    expect(boundsOf(aDeployment({ replicas: 1, maxSurge: 0, maxUnavailable: 0 }))).toEqual({
      maxSurge: 0,
      maxUnavailable: 1,
    })
  })

  test('rounds percentages up for surge and down for unavailability', () => {
    expect(boundsOf(aDeployment({ replicas: 3 }))).toEqual({ maxSurge: 1, maxUnavailable: 0 })
  })

  test('never leaves its bounds and always arrives, whatever the sizes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 0, max: 5 }),
        (replicas, maxSurge, maxUnavailable) => {
          const deployment = aDeployment({ replicas, maxSurge, maxUnavailable })
          const bounds = boundsOf(deployment)
          let sizes = { old: replicas, new: 0 }
          for (let round = 0; round < 200; round++) {
            const old = aSet('old', { size: sizes.old, available: sizes.old })
            const current = aSet('new', { size: sizes.new, available: sizes.new })
            const steps = planRollingStep(deployment, current, [old])
            if (steps.length === 0) break
            for (const step of steps) sizes = { ...sizes, [step.replicaSet === old ? 'old' : 'new']: step.to }
            expect(sizes.old + sizes.new).toBeLessThanOrEqual(replicas + bounds.maxSurge)
            expect(sizes.old + sizes.new).toBeGreaterThanOrEqual(replicas - bounds.maxUnavailable)
          }
          expect(sizes).toEqual({ old: 0, new: replicas })
        },
      ),
    )
  })
})

describe('scaling in mid-rollout', () => {
  test('gives every living set its share', () => {
    const deployment = aDeployment({ replicas: 20, maxSurge: 0 })
    const old = aSet('old', { size: 6 })
    const current = aSet('new', { size: 4 })

    const resized = planProportionalScale(deployment, [old, current], 10)

    expect(resized.map(({ replicaSet, to }) => [replicaSet.metadata.name, to])).toEqual([
      ['old', 12],
      ['new', 8],
    ])
  })

  test('hands out exactly the new ceiling', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 60 }),
        (counts, replicas) => {
          const sets = counts.map((size, index) => aSet(`set-${index}`, { size }))
          const deployment = aDeployment({ replicas, maxSurge: 0 })
          const before = counts.reduce((sum, count) => sum + count, 0)
          const resized = new Map(
            planProportionalScale(deployment, sets, before).map(({ replicaSet, to }) => [replicaSet, to]),
          )
          const total = sets.reduce((sum, set) => sum + (resized.get(set) ?? sizeOf(set)), 0)

          expect(total).toBe(replicas)
          for (const to of resized.values()) expect(to).toBeGreaterThanOrEqual(0)
        },
      ),
    )
  })
})

function aDeployment(options: { replicas: number; maxSurge?: number; maxUnavailable?: number }): Deployment {
  const { maxSurge, maxUnavailable } = options
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: options.replicas,
      selector: {},
      template: { spec: { containers: [] } },
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: {
          ...(maxSurge !== undefined && { maxSurge }),
          ...(maxUnavailable !== undefined && { maxUnavailable }),
        },
      },
    },
  }
}

function aSet(name: string, options: { size: number; available?: number }): ReplicaSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace: 'default' },
    spec: { replicas: options.size, selector: {} },
    status: { replicas: options.size, availableReplicas: options.available ?? 0 },
  }
}
