import { ApiError } from '@outrigger/client'
import type { Lease } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { absenceIn, managerAbsence } from './manager-absence.ts'

const now = Date.parse('2026-01-01T00:10:00Z')
const lease = (renewTime?: string): Lease => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name: 'kruise-manager', namespace: 'kruise-system' },
  spec: { holderIdentity: 'a', leaseDurationSeconds: 15, ...(renewTime !== undefined && { renewTime }) },
})
const answering = (answers: Record<string, object | number>) => ({
  get: async <T>({ resource }: { readonly resource: string }): Promise<T> => {
    const answer = answers[resource] ?? 404
    if (typeof answer === 'number') throw new ApiError(answer, {})
    return answer as T
  },
})

describe('a lease', () => {
  it('tells of an absent manager once it is older than clocks may differ', () => {
    expect(absenceIn(lease('2026-01-01T00:09:58Z'), now)).toBeUndefined()
    expect(absenceIn(lease('2026-01-01T00:08:46Z'), now)).toBeUndefined()
    expect(absenceIn(lease('2026-01-01T00:08:44Z'), now)).toBe(
      'no manager leads: lease kruise-system/kruise-manager was last renewed at 2026-01-01T00:08:44Z; kubectl get pods -n kruise-system',
    )
    expect(absenceIn(lease(), now)).toBeUndefined()
  })
})

describe('a cluster', () => {
  const clock = { now: () => now }

  it('without lease and webhooks never had a manager', async () => {
    expect(await managerAbsence(answering({}), clock)).toBe(
      'no manager has registered webhooks here; outrigger install --apply',
    )
  })

  it('without a lease may have a manager that elects no leader', async () => {
    expect(await managerAbsence(answering({ mutatingwebhookconfigurations: {} }), clock)).toBeUndefined()
  })

  it('that does not let itself be looked at tells nothing', async () => {
    expect(await managerAbsence(answering({ leases: 403 }), clock)).toBeUndefined()
    expect(await managerAbsence(answering({ mutatingwebhookconfigurations: 403 }), clock)).toBeUndefined()
  })
})
