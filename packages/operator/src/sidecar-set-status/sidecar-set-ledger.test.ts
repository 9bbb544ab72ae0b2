import { injectionAnnotations } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { filebeat, type PodDraft, pod } from '../testdata/objects.ts'
import { injectedSidecarSets } from './pod-annotations.ts'
import { SidecarSetLedger } from './sidecar-set-ledger.ts'

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

function ledgerWith(pods: readonly Pod[]): SidecarSetLedger {
  const ledger = new SidecarSetLedger({
    podsOf: (name) => pods.filter((one) => injectedSidecarSets(one).includes(name)),
    namespaceLabels: () => ({}),
    now: () => time,
  })
  ledger.setSidecarSet(set)
  return ledger
}

let time = 0

const counts = (ledger: SidecarSetLedger) => {
  const tally = ledger.tallyOf('filebeat')
  return [tally?.matched, tally?.kinds.updated, tally?.ready, tally?.updatedReady]
}

/** Everything but the order in which pods came. */
const summary = (ledger: SidecarSetLedger) => {
  const tally = ledger.tallyOf('filebeat')
  return {
    kinds: tally?.kinds,
    ready: tally?.ready,
    waiting: [...(tally?.waiting ?? [])],
    waitingUnavailable: tally?.waitingUnavailable,
    unsettled: [...(tally?.unsettled ?? [])].sort(),
    revisions: [...(tally?.revisions ?? [])].sort(),
  }
}

describe('the ledger of a SidecarSet', () => {
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
        expect(summary(ledger)).toEqual(summary(ledgerWith([...present.values()])))
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

  it('believes what it wrote until an event as new as that comes', () => {
    const versioned = (pod: Pod, resourceVersion: string): Pod => ({
      ...pod,
      metadata: { ...pod.metadata, resourceVersion },
    })
    const old = versioned(carrier('a', { updated: false }), '5')
    const ledger = ledgerWith([old])
    ledger.setWritten(versioned(carrier('a'), '9'), old)
    expect(counts(ledger)).toEqual([1, 1, 1, 1])
    expect(ledger.setPod(versioned(old, '7'), old)).toEqual([])
    ledger.setSidecarSet(set)
    expect(counts(ledger)).toEqual([1, 1, 1, 1])
    expect(ledger.setPod(versioned(old, '11'), old)).toEqual(['filebeat'])
    expect(counts(ledger)).toEqual([1, 0, 1, 0])
  })

  it('stops believing a write that no event shows in time', () => {
    const old = { ...carrier('a', { updated: false }) }
    const ledger = ledgerWith([old])
    const written = carrier('a')
    ledger.setWritten({ ...written, metadata: { ...written.metadata, resourceVersion: '9' } }, old)
    time += 30_001
    ledger.setPod({ ...old, metadata: { ...old.metadata, resourceVersion: '8' } }, old)
    expect(counts(ledger)).toEqual([1, 0, 1, 0])
  })

  it('counts a pod of another uid under the same name at once', () => {
    const old = carrier('a', { updated: false })
    const ledger = ledgerWith([old])
    ledger.setWritten({ ...old, metadata: { ...old.metadata, resourceVersion: '9' } }, old)
    const successor = carrier('a')
    ledger.setPod(
      { ...successor, metadata: { ...successor.metadata, uid: 'other', resourceVersion: '3' } },
      old,
    )
    expect(counts(ledger)).toEqual([1, 1, 1, 1])
  })
})
