import { injectionAnnotations } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { filebeat, type PodDraft, pod } from '../testdata/objects.ts'
import { injectedSidecarSets } from './pod-state.ts'
import { StatusLedger } from './status-ledger.ts'

const set = filebeat()
const label = { 'serverless.alibabacloud.com/virtual-node': 'true' }

function carrier(
  name: string,
  { ready = true, updated = true, phase = 'Running' } = {},
  draft: PodDraft = {},
): Pod {
  const annotations = injectionAnnotations(
    {},
    [updated ? set : { ...set, metadata: { name: 'filebeat' } }],
    '2026-01-01T00:00:00Z',
  )
  return pod({
    name,
    labels: label,
    annotations,
    spec: {
      containers: [
        { name: 'filebeat', image: 'filebeat:8' },
        { name: 'web', image: 'web:1' },
      ],
    },
    status: {
      phase: phase as 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: ['filebeat', 'web'].map((container) => ({
        name: container,
        image: `${container}:8`,
        imageID: 'id',
        ready,
        restartCount: 0,
      })),
    },
    ...draft,
  })
}

function ledgerWith(pods: readonly Pod[]): StatusLedger {
  const ledger = new StatusLedger({
    podsOf: (name) => pods.filter((one) => injectedSidecarSets(one).includes(name)),
    namespaceLabels: () => ({}),
  })
  ledger.setSidecarSet(set)
  return ledger
}

const counts = (ledger: StatusLedger) => {
  const status = ledger.statusOf('filebeat')
  return [status?.matchedPods, status?.updatedPods, status?.readyPods, status?.updatedReadyPods]
}

describe('the status of a SidecarSet', () => {
  it('counts pods that carry it, are up to date, are ready, and both', () => {
    const pods = [
      carrier('a'),
      carrier('b', { ready: false }),
      carrier('c', { updated: false }),
      carrier('d', { phase: 'Failed' }),
      pod({ name: 'e', labels: label }),
    ]
    expect(counts(ledgerWith(pods))).toEqual([3, 2, 2, 1])
  })

  it('has the generation and revision it was computed for', () => {
    expect(ledgerWith([]).statusOf('filebeat')).toMatchObject({
      observedGeneration: 1,
      latestRevision: expect.stringMatching(/^filebeat-[bcdf4-9]+$/),
      collisionCount: 0,
    })
  })

  it('does not count a pod that lacks one of its containers', () => {
    expect(counts(ledgerWith([carrier('a', {}, { spec: {} })]))).toEqual([0, 0, 0, 0])
  })

  it('counts a paused SidecarSet all the same', () => {
    const ledger = ledgerWith([carrier('a')])
    ledger.setSidecarSet({ ...set, spec: { ...set.spec, injectionStrategy: { paused: true } } })
    expect(counts(ledger)).toEqual([1, 1, 1, 1])
  })

  it('is the same counted change by change as counted at once', () => {
    const change = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      ready: fc.boolean(),
      updated: fc.boolean(),
      phase: fc.constantFrom('Running', 'Pending', 'Failed'),
      isDeleted: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        const ledger = ledgerWith([])
        const present = new Map<string, Pod>()
        for (const { name, isDeleted, ...state } of changes) {
          const before = present.get(name)
          const now = carrier(name, state)
          if (isDeleted) {
            if (before) ledger.deletePod(before)
            present.delete(name)
          } else {
            ledger.setPod(now, before)
            present.set(name, now)
          }
        }
        expect(counts(ledger)).toEqual(counts(ledgerWith([...present.values()])))
      }),
    )
  })

  it('is touched only by events that change its numbers', () => {
    const ledger = ledgerWith([])
    const first = carrier('a')
    expect(ledger.setPod(first)).toEqual(['filebeat'])
    const annotated = { ...first, metadata: { ...first.metadata, resourceVersion: '2' } }
    expect(ledger.setPod(annotated, first)).toEqual([])
    expect(ledger.setPod(pod({ name: 'other' }))).toEqual([])
  })
})
