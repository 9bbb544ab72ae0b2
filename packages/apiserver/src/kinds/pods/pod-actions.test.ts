import { SeededRandom } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import type { KubeObject, Pod, PodDisruptionBudget } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { MemoryObjects } from '../../auth/memory-objects.ts'
import type { Subresource } from '../../registry/resource.ts'
import type { StatusError } from '../../registry/status-error.ts'
import { createBinding } from './binding.ts'
import { createEviction } from './eviction.ts'

const pods = { group: '', resource: 'pods' }
const budgets = { group: 'policy', resource: 'poddisruptionbudgets' }

describe('A binding', () => {
  test('places the pod, and carries its labels and annotations over in the same write', async () => {
    const { objects, perform } = aServer()
    objects.put(pods, aPod({ labels: { a: 'pod' } }))
    const before = objects.changes(pods)

    await perform('binding', {
      metadata: { name: 'p', labels: { zone: 'z' }, annotations: { y: '1' } },
      target: { name: 'n' },
    })

    const pod = objects.get<Pod>(pods, { namespace: 'ns', name: 'p' })
    expect(pod?.spec?.nodeName).toBe('n')
    expect(pod?.metadata.labels).toEqual({ a: 'pod', zone: 'z' })
    expect(pod?.metadata.annotations).toEqual({ y: '1' })
    expect(pod?.status?.conditions).toEqual([
      {
        type: 'PodScheduled',
        status: 'True',
        lastProbeTime: null,
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ])
    expect(objects.changes(pods) - before).toBe(1)
  })

  test('comes once, and not to a gated or leaving pod', async () => {
    const { objects, perform } = aServer()
    const target = { metadata: { name: 'p' }, target: { name: 'n' } }

    objects.put(pods, aPod({ nodeName: 'other' }))
    expect(await refusal(perform('binding', target))).toBe('pod p is already assigned to node "other"')
    objects.put(pods, aPod({ schedulingGates: [{ name: 'g' }] }))
    expect(await refusal(perform('binding', target))).toBe('pod p has non-empty .spec.schedulingGates')
    objects.put(pods, aPod({ deletionTimestamp: '2026-01-01T00:00:00Z' }))
    expect(await refusal(perform('binding', target))).toBe(
      'pod p is being deleted, cannot be assigned to a host',
    )
  })
})

describe('An eviction', () => {
  test('deletes a pod no budget covers', async () => {
    const { objects, perform, deleted } = aServer()
    objects.put(pods, aPod({ phase: 'Running' }))

    await perform('eviction', { metadata: { name: 'p' } })

    expect(deleted).toEqual(['p'])
  })

  test('spends one disruption of the budget', async () => {
    const { objects, perform, deleted } = aServer()
    objects.put(pods, aPod({ phase: 'Running', isReady: true, labels: { app: 'a' } }))
    objects.put(budgets, aBudget({ disruptionsAllowed: 2 }))

    await perform('eviction', { metadata: { name: 'p' } })

    const budget = objects.get<PodDisruptionBudget>(budgets, { namespace: 'ns', name: 'b' })
    expect(budget?.status?.disruptionsAllowed).toBe(1)
    expect(budget?.status?.disruptedPods).toEqual({ p: '2026-01-01T00:00:00Z' })
    expect(deleted).toEqual(['p'])
  })

  test('is put off while the budget allows none', async () => {
    const { objects, perform, deleted } = aServer()
    objects.put(pods, aPod({ phase: 'Running', isReady: true, labels: { app: 'a' } }))
    objects.put(budgets, aBudget({ disruptionsAllowed: 0, desiredHealthy: 2, currentHealthy: 2 }))

    const error = await perform('eviction', { metadata: { name: 'p' } }).catch(
      (thrown: StatusError) => thrown,
    )

    expect(error).toMatchObject({
      code: 429,
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
    })
    expect((error as StatusError).status.details?.causes).toEqual([
      {
        reason: 'DisruptionBudget',
        message: 'The disruption budget b needs 2 healthy pods and has 2 currently',
      },
    ])
    expect(deleted).toEqual([])
  })

  test('takes a pod that was never ready when enough others are', async () => {
    const { objects, perform, deleted } = aServer()
    objects.put(pods, aPod({ phase: 'Running', labels: { app: 'a' } }))
    objects.put(budgets, aBudget({ disruptionsAllowed: 0, desiredHealthy: 1, currentHealthy: 1 }))

    await perform('eviction', { metadata: { name: 'p' } })

    expect(deleted).toEqual(['p'])
  })

  test('only rehearses under dry run', async () => {
    const { objects, perform } = aServer()
    objects.put(pods, aPod({ phase: 'Running', isReady: true, labels: { app: 'a' } }))
    objects.put(budgets, aBudget({ disruptionsAllowed: 1 }))

    await perform('eviction', { metadata: { name: 'p' } }, true)

    expect(
      objects.get<PodDisruptionBudget>(budgets, { namespace: 'ns', name: 'b' })?.status?.disruptionsAllowed,
    ).toBe(1)
  })
})

async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => new Error('it was accepted'),
    (thrown: Error) => thrown,
  )
  return error.message.replace(/^.*?": /, '')
}

function aServer() {
  const objects = new MemoryObjects()
  const deleted: string[] = []
  const clock = new ManualClock()
  const environment = {
    objects,
    clock,
    random: new SeededRandom(),
    isEnabled: () => false,
    deletePod: async ({ name }: { name: string }) => void deleted.push(name),
  }
  const actions: Record<string, Subresource> = {
    binding: createBinding(environment),
    eviction: createEviction(environment),
  }
  const user = { name: 'u', groups: [] }
  const perform = async (name: string, body: object, isDryRun = false) => {
    const action = actions[name]
    if (action?.type !== 'action') throw new Error(`no action ${name}`)
    return action.perform({
      key: { namespace: 'ns', name: 'p' },
      body: body as KubeObject,
      user,
      isDryRun,
      context: { user, now: clock.now(), namespace: 'ns', isEnabled: () => false },
      signal: new AbortController().signal,
    })
  }
  return { objects, perform, deleted }
}

interface PodParts {
  readonly labels?: Record<string, string>
  readonly nodeName?: string
  readonly schedulingGates?: { name: string }[]
  readonly deletionTimestamp?: string
  readonly phase?: string
  readonly isReady?: boolean
}

function aPod({
  labels = {},
  deletionTimestamp,
  phase = 'Pending',
  isReady = false,
  ...spec
}: PodParts): KubeObject {
  const conditions = isReady ? [{ type: 'Ready', status: 'True' }] : []
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      namespace: 'ns',
      uid: 'u',
      labels,
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
    spec: { containers: [], ...spec },
    status: { phase, conditions },
  } as unknown as KubeObject
}

function aBudget(status: object): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'b', namespace: 'ns', generation: 1 },
    spec: { selector: { matchLabels: { app: 'a' } } },
    status: { observedGeneration: 1, ...status },
  } as unknown as KubeObject
}
