import type { Node, NodeCondition } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { silentConditions, untilEviction, wantedTaints } from './node-health.ts'

const now = Date.parse('2026-01-01T00:01:00Z')

describe('a silent node', () => {
  test('gets all its conditions Unknown, once', () => {
    const conditions = silentConditions(aNode([{ type: 'Ready', status: 'True' }]), now)

    expect(conditions?.map((condition) => [condition.type, condition.status, condition.reason])).toEqual([
      ['MemoryPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['DiskPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['PIDPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['Ready', 'Unknown', 'NodeStatusUnknown'],
    ])
    expect(silentConditions(aNode(conditions ?? []), now)).toBeUndefined()
  })

  test('is tainted unreachable', () => {
    expect(
      wantedTaints(aNode([{ type: 'Ready', status: 'Unknown' }]), now)?.map(
        (taint) => `${taint.key}:${taint.effect}`,
      ),
    ).toEqual(['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'])
  })
})

test('a node that is ready again loses our taints and keeps those of others', () => {
  const node = aNode([{ type: 'Ready', status: 'True' }])
  node.spec.taints = [
    { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' },
    { key: 'mine', effect: 'NoSchedule' },
  ]

  expect(wantedTaints(node, now)).toEqual([{ key: 'mine', effect: 'NoSchedule' }])
})

describe('eviction', () => {
  const taint = {
    key: 'node.kubernetes.io/unreachable',
    effect: 'NoExecute' as const,
    timeAdded: '2026-01-01T00:00:00Z',
  }

  test('is immediate without a toleration', () => {
    expect(untilEviction([taint], () => undefined, now)).toBe(0)
  })

  test('waits for the tolerated seconds since the taint came', () => {
    expect(untilEviction([taint], () => ({ seconds: 300 }), now)).toBe(240_000)
  })

  test('never comes with an unlimited toleration', () => {
    expect(untilEviction([taint], () => ({ seconds: undefined }), now)).toBeUndefined()
  })
})

function aNode(conditions: NodeCondition[]): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: 'one' }, spec: {}, status: { conditions } }
}
