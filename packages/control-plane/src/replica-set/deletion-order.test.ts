import type { Pod } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { podsToDelete } from './deletion-order.ts'

describe('deletion order', () => {
  test('takes pods that are not placed, then not running, then not ready', () => {
    const pods = [
      aPod('ready', { ready: true }),
      aPod('unready', {}),
      aPod('pending', { phase: 'Pending' }),
      aPod('unplaced', { node: undefined, phase: 'Pending' }),
    ]

    expect(podsToDelete(pods, 4).map((pod) => pod.metadata.name)).toEqual([
      'unplaced',
      'pending',
      'unready',
      'ready',
    ])
  })

  test('respects the deletion cost among equals', () => {
    const pods = [aPod('dear', { ready: true, cost: '10' }), aPod('cheap', { ready: true, cost: '-5' })]

    expect(podsToDelete(pods, 1).map((pod) => pod.metadata.name)).toEqual(['cheap'])
  })

  test('takes from the node with more siblings', () => {
    const pods = [
      aPod('a', { ready: true, node: 'one' }),
      aPod('b', { ready: true, node: 'two' }),
      aPod('c', { ready: true, node: 'two' }),
    ]

    expect(podsToDelete(pods, 1)[0]?.spec.nodeName).toBe('two')
  })
})

function aPod(
  name: string,
  options: { node?: string | undefined; phase?: string; ready?: boolean; cost?: string },
): Pod {
  const nodeName = 'node' in options ? options.node : 'one'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      ...(options.cost && { annotations: { 'controller.kubernetes.io/pod-deletion-cost': options.cost } }),
    },
    spec: { containers: [], ...(nodeName && { nodeName }) },
    status: {
      phase: (options.phase ?? 'Running') as 'Running',
      conditions: [{ type: 'Ready', status: options.ready ? 'True' : 'False' }],
    },
  }
}
