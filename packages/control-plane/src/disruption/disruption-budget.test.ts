import type { Pod, PodDisruptionBudget, PodDisruptionBudgetSpec } from '@outrigger/kube'
import { expect, test } from 'vitest'
import { budgetStatus } from './disruption-budget.ts'

const now = Date.parse('2026-01-01T00:10:00Z')
const time = '2026-01-01T00:10:00Z'

test.each([
  [{ maxUnavailable: 1 }, 4, 4, 1],
  [{ maxUnavailable: 1 }, 3, 4, 0],
  [{ maxUnavailable: '50%' }, 5, 5, 3],
  [{ minAvailable: 2 }, 3, undefined, 1],
  [{ minAvailable: '50%' }, 3, 5, 0],
  [{ minAvailable: '50%' }, 3, undefined, 0],
])('%j lets go of %i healthy pods of %s wanted: %i', (spec, healthy, wanted, allowed) => {
  const pods = Array.from({ length: healthy }, (_, at) => aPod(`p${at}`))
  expect(budgetStatus(aBudget(spec), { pods, wanted, time, now }).disruptionsAllowed).toBe(allowed)
})

test('an eviction under way counts until the pod goes or two minutes have passed', () => {
  const budget = aBudget({ maxUnavailable: 1 })
  const pods = [aPod('a'), aPod('b')]
  budget.status = { disruptedPods: { a: '2026-01-01T00:09:00Z' } }
  const during = budgetStatus(budget, { pods, wanted: 2, time, now })
  expect(during).toMatchObject({
    currentHealthy: 1,
    disruptionsAllowed: 0,
    disruptedPods: { a: '2026-01-01T00:09:00Z' },
  })
  const later = budgetStatus(budget, { pods, wanted: 2, time, now: now + 120_000 })
  expect(later).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1 })
  expect(later.disruptedPods).toBeUndefined()
})

function aBudget(spec: PodDisruptionBudgetSpec): PodDisruptionBudget {
  return { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'web' }, spec }
}

function aPod(name: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [] },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  }
}
