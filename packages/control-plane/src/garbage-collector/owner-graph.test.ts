import { describe, expect, test } from 'vitest'
import { type GraphNode, OwnerGraph } from './owner-graph.ts'

describe('OwnerGraph', () => {
  test('finds dependents whatever order objects arrive in', () => {
    const graph = new OwnerGraph()
    graph.set(aNode('pod', ['set']))
    graph.set(aNode('set', []))

    expect(graph.dependentsOf('set').map((node) => node.uid)).toEqual(['pod'])
  })

  test('follows an object that changes owners', () => {
    const graph = new OwnerGraph()
    graph.set(aNode('pod', ['old']))
    graph.set(aNode('pod', ['new']))

    expect(graph.dependentsOf('old')).toEqual([])
    expect(graph.dependentsOf('new')).toHaveLength(1)
  })

  test('forgets an object without forgetting its dependents', () => {
    const graph = new OwnerGraph()
    graph.set(aNode('set', []))
    graph.set(aNode('pod', ['set']))
    graph.delete('set')

    expect(graph.get('set')).toBeUndefined()
    expect(graph.dependentsOf('set')).toHaveLength(1)
  })
})

function aNode(uid: string, owners: readonly string[]): GraphNode {
  return {
    uid,
    ref: { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true },
    namespace: 'default',
    name: uid,
    owners: owners.map((owner) => ({ apiVersion: 'v1', kind: 'Any', name: owner, uid: owner })),
    isDeleting: false,
    finalizers: [],
  }
}
