import { type Event, resources } from '@outrigger/kube'
import { afterEach, describe, expect, it } from 'vitest'
import { aNode, type TestNode } from '../testing/a-node.ts'
import { nodeEvents } from './node-events.ts'

let node: TestNode | undefined
afterEach(() => node?.stop())

const ready = (status: string) => ({ conditions: [{ type: 'Ready', status }] })

describe('The events of a node', () => {
  it('tell of its start and of what it has enough of, as those of a kubelet do', async () => {
    node = await aNode()
    await node.pass(1)
    expect(node.nodeEvents()).toEqual([
      'Normal Starting: Starting kubelet.',
      'Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory',
      'Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure',
      'Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID',
      'Normal NodeReady: Node node-1 status is now: NodeReady',
    ])
    const [event] = node.api.all<Event>(resources.events)
    expect(event?.involvedObject).toMatchObject({ kind: 'Node', name: 'node-1', uid: 'node-1' })
  })

  it('say nothing of what stayed as it was when the kubelet is started again', async () => {
    node = await aNode()
    await node.pass(1)
    const before = node.nodeEvents().length
    node = await node.restart()
    await node.pass(1)
    expect(node.nodeEvents().slice(before)).toEqual(['Normal Starting: Starting kubelet.'])
  })

  it('say when it is ready no more', () => {
    expect(nodeEvents('n', ready('True'), ready('False'))).toEqual([
      { reason: 'NodeNotReady', message: 'Node n status is now: NodeNotReady' },
    ])
    expect(nodeEvents('n', ready('Unknown'), ready('True'))).toHaveLength(1)
    expect(nodeEvents('n', ready('True'), ready('True'))).toEqual([])
  })
})
