import { SeededRandom } from '@outrigger/foundation'
import type { DaemonSet, Node, Pod, Taint } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { daemonSetStatus, planDaemonSet } from './daemon-plan.ts'
import { daemonPod, targetNode } from './daemon-pod.ts'

const now = Date.parse('2026-01-01T00:10:00Z')
const virtual: Taint = { key: 'virtual-kubelet.io/provider', value: 'alibabacloud', effect: 'NoSchedule' }
const unreachable: Taint = { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }

describe('a daemon', () => {
  test('goes to nodes in trouble and not to virtual ones', () => {
    const nodes = [aNode('one'), aNode('two', [unreachable]), aNode('virtual', [virtual])]
    expect(plan(aSet(), nodes, [])).toEqual({ create: ['one', 'two'], remove: [] })
    expect(daemonSetStatus(aSet(), nodes, [], 'new', now)).toMatchObject({
      desiredNumberScheduled: 2,
      numberUnavailable: 2,
    })
  })

  test('leaves a node that no longer wants it, is alone on its node, and starts again where it ended', () => {
    const dedicated: Taint = { key: 'mine', effect: 'NoExecute' }
    const nodes = [aNode('one', [dedicated]), aNode('two'), aNode('three')]
    const pods = [
      aPod('a', 'one'),
      aPod('b', 'two'),
      aPod('c', 'two'),
      aPod('d', 'three', { phase: 'Failed' }),
    ]
    expect(plan(aSet(), nodes, pods)).toEqual({ create: [], remove: ['a', 'c', 'd'] })
  })

  test('is meant for its node before it is bound', () => {
    const draft = daemonPod(aSet(), 'one', 'new', new SeededRandom())
    expect(targetNode({ ...draft, metadata: { ...draft.metadata, name: 'a' } })).toBe('one')
  })
})

describe('an update', () => {
  const nodes = ['one', 'two', 'three'].map((name) => aNode(name))
  const old = (ready: readonly boolean[]) =>
    nodes.map(({ metadata: { name } }, at) => aPod(name, name, { hash: 'old', ready: ready[at] ?? true }))

  test('takes down as many as may be unavailable', () => {
    expect(plan(aSet(), nodes, old([true, true, true])).remove).toEqual(['one'])
    expect(plan(aSet({ maxUnavailable: 2 }), nodes, old([true, true, true])).remove).toEqual(['one', 'two'])
  })

  test('replaces what does not work for free', () => {
    expect(plan(aSet(), nodes, old([true, false, false])).remove).toEqual(['two', 'three'])
  })

  test('starts the new pod beside the old one when it may surge', () => {
    const set = aSet({ maxSurge: 1, maxUnavailable: 0 })
    const pods = old([true, true, true])
    expect(plan(set, nodes, pods)).toEqual({ create: ['one'], remove: [] })
    const fresh = aPod('fresh', 'one', { ready: false })
    expect(plan(set, nodes, [...pods, fresh])).toEqual({ create: [], remove: [] })
    expect(plan(set, nodes, [...pods, aPod('fresh', 'one')]).remove).toEqual(['one'])
  })

  test('waits for somebody to delete pods with OnDelete', () => {
    const set = aSet()
    set.spec.updateStrategy = { type: 'OnDelete' }
    expect(plan(set, nodes, old([true, true, true]))).toEqual({ create: [], remove: [] })
  })
})

function plan(set: DaemonSet, nodes: readonly Node[], pods: readonly Pod[]) {
  const { create, remove } = planDaemonSet(set, nodes, pods, 'new', now)
  return { create, remove: remove.map((pod) => pod.metadata.name) }
}

function aSet(rollingUpdate: { maxUnavailable?: number; maxSurge?: number } = {}): DaemonSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace: 'default', uid: 'agent' },
    spec: {
      selector: {},
      template: { spec: { containers: [] } },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate },
    },
  }
}

function aNode(name: string, taints: Taint[] = []): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { taints } }
}

function aPod(
  name: string,
  nodeName: string,
  facts: { hash?: string; ready?: boolean; phase?: 'Failed' } = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      labels: { 'controller-revision-hash': facts.hash ?? 'new' },
    },
    spec: { containers: [], nodeName },
    status: {
      phase: facts.phase ?? 'Running',
      conditions: [{ type: 'Ready', status: facts.ready === false ? 'False' : 'True' }],
    },
  }
}
