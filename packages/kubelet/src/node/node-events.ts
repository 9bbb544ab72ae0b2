import type { Node, NodeStatus } from '@outrigger/kube'

/** Something to tell of a node, in a kubelet's words. */
export interface NodeEvent {
  readonly reason: string
  readonly message: string
}

/** What the turn of a condition is called, by its type and its new status. */
const reasons: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  MemoryPressure: { True: 'NodeHasInsufficientMemory', False: 'NodeHasSufficientMemory' },
  DiskPressure: { True: 'NodeHasDiskPressure', False: 'NodeHasNoDiskPressure' },
  PIDPressure: { True: 'NodeHasInsufficientPID', False: 'NodeHasSufficientPID' },
  Ready: { True: 'NodeReady', False: 'NodeNotReady' },
}

/** The conditions that turned, those that were unknown before included, as a kubelet tells of them. */
export function nodeEvents(
  name: string,
  before: NodeStatus | undefined,
  after: NodeStatus,
): readonly NodeEvent[] {
  const events: NodeEvent[] = []
  for (const { type, status } of after.conditions ?? []) {
    const reason = reasons[type]?.[status]
    const isSame = before?.conditions?.some((each) => each.type === type && each.status === status)
    if (reason !== undefined && isSame !== true)
      events.push({ reason, message: `Node ${name} status is now: ${reason}` })
  }
  return events
}

/** The first words of every kubelet. */
export const startingEvent: NodeEvent = { reason: 'Starting', message: 'Starting kubelet.' }

/** A node as the events of its kubelet name it: a kubelet does not wait to learn the uid. */
export function namedByKubelet(node: Node): Node {
  return { ...node, metadata: { ...node.metadata, uid: node.metadata.name } }
}
