import type { Node, Pod, PodSpec } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { ClusterView } from './cluster-view.ts'
import { planPlacement } from './placement.ts'

describe('placement', () => {
  test('keeps a pod off a tainted node it does not tolerate', () => {
    const cluster = aCluster([aNode('regular'), aVirtualNode()])

    expect(planPlacement(aPod(), cluster)).toEqual({ kind: 'placed', nodeName: 'regular' })
  })

  test('sends a pod with selector and toleration to the virtual node', () => {
    const pod = aPod({
      nodeSelector: { type: 'virtual-kubelet' },
      tolerations: [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }],
    })

    expect(planPlacement(pod, aCluster([aNode('regular'), aVirtualNode()]))).toEqual({
      kind: 'placed',
      nodeName: 'virtual',
    })
  })

  test('counts the reasons as kube-scheduler words them', () => {
    const pod = aPod({ nodeSelector: { disk: 'ssd' } })

    expect(planPlacement(pod, aCluster([aNode('regular'), aVirtualNode()]))).toEqual({
      kind: 'unschedulable',
      message:
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    })
  })

  test('names the resource that is short', () => {
    const pod = aPod({ containers: [{ name: 'main', resources: { requests: { cpu: '9' } } }] })
    const placement = planPlacement(pod, aCluster([aNode('regular')]))

    expect(placement).toMatchObject({ message: expect.stringContaining('1 Insufficient cpu.') })
    expect(placement).toMatchObject({
      message: expect.stringContaining('1 No preemption victims found for incoming pod.'),
    })
  })

  test('counts what placed pods asked for until they have finished', () => {
    const cluster = aCluster([aNode('regular')])
    const big = aPod(
      { nodeName: 'regular', containers: [{ name: 'main', resources: { requests: { cpu: '3' } } }] },
      'big',
    )
    const asking = aPod({ containers: [{ name: 'main', resources: { requests: { cpu: '2' } } }] }, 'asking')
    cluster.setPod(big)
    expect(planPlacement(asking, cluster).kind).toBe('unschedulable')

    cluster.setPod({ ...big, status: { phase: 'Succeeded' } })
    expect(planPlacement(asking, cluster)).toEqual({ kind: 'placed', nodeName: 'regular' })
  })

  test('holds the place of a pod whose binding is not seen yet', () => {
    const cluster = aCluster([aNode('regular')])
    const first = aPod({ containers: [{ name: 'main', resources: { requests: { cpu: '3' } } }] }, 'first')
    cluster.assume(first, 'regular')
    cluster.setPod(first)

    expect(
      planPlacement(aPod({ containers: [{ name: 'main', resources: { requests: { cpu: '2' } } }] }), cluster)
        .kind,
    ).toBe('unschedulable')
  })

  test('keeps pods apart that ask for it, also when the placed one asked', () => {
    const apart: PodSpec['affinity'] = {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'web' } } },
        ],
      },
    }
    const cluster = aCluster([aNode('regular')])
    cluster.setPod(aPod({ nodeName: 'regular', affinity: apart }, 'placed'))

    expect(planPlacement(aPod(), cluster)).toMatchObject({
      message: expect.stringContaining("1 node(s) didn't satisfy existing pods anti-affinity rules"),
    })
  })

  test('prefers the emptier node', () => {
    const cluster = aCluster([aNode('a'), aNode('b')])
    cluster.setPod(
      aPod(
        { nodeName: 'a', containers: [{ name: 'main', resources: { requests: { cpu: '2' } } }] },
        'placed',
      ),
    )

    expect(planPlacement(aPod(), cluster)).toEqual({ kind: 'placed', nodeName: 'b' })
  })

  test('says so when there is no node at all', () => {
    expect(planPlacement(aPod(), new ClusterView())).toEqual({
      kind: 'unschedulable',
      message: 'no nodes available to schedule pods',
    })
  })
})

function aCluster(nodes: readonly Node[]): ClusterView {
  const cluster = new ClusterView()
  for (const node of nodes) cluster.setNode(node)
  return cluster
}

function aNode(name: string): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    spec: {},
    status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' } },
  }
}

function aVirtualNode(): Node {
  const node = aNode('virtual')
  return {
    ...node,
    metadata: { ...node.metadata, labels: { ...node.metadata.labels, type: 'virtual-kubelet' } },
    spec: { taints: [{ key: 'virtual-kubelet.io/provider', value: 'alibabacloud', effect: 'NoSchedule' }] },
  }
}

function aPod(spec: Partial<PodSpec> = {}, name = 'web'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: name, labels: { app: 'web' } },
    spec: { containers: [{ name: 'main' }], ...spec },
  }
}
