import { formatTime, parseTime } from '@outrigger/foundation'
import type { Lease, Node, NodeCondition, Taint } from '@outrigger/kube'

const ready = 'node.kubernetes.io/not-ready'
const unreachable = 'node.kubernetes.io/unreachable'
const pressureTaints: Readonly<Record<string, string>> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
  NetworkUnavailable: 'node.kubernetes.io/network-unavailable',
}

/** When the node was last heard of, in milliseconds since 1970. */
export function lastHeartbeat(node: Node, lease: Lease | undefined): number {
  const beats = (node.status?.conditions ?? []).map(
    (condition) => parseTime(condition.lastHeartbeatTime ?? '') || 0,
  )
  return Math.max(
    parseTime(lease?.spec?.renewTime ?? '') || 0,
    parseTime(node.metadata.creationTimestamp ?? '') || 0,
    ...beats,
  )
}

/** Conditions of a node that has gone silent, or undefined when they say so already. */
export function silentConditions(node: Node, now: number): NodeCondition[] | undefined {
  const before = node.status?.conditions ?? []
  const types = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready']
  if (types.every((type) => before.find((condition) => condition.type === type)?.status === 'Unknown'))
    return undefined
  const time = formatTime(now)
  const others = before.filter((condition) => !types.includes(condition.type))
  return [
    ...others,
    ...types.map((type): NodeCondition => {
      const known = before.find((condition) => condition.type === type)
      if (known?.status === 'Unknown') return known
      const isNew = known === undefined
      return {
        type,
        status: 'Unknown',
        ...(known?.lastHeartbeatTime !== undefined && { lastHeartbeatTime: known.lastHeartbeatTime }),
        lastTransitionTime: time,
        reason: isNew ? 'NodeStatusNeverUpdated' : 'NodeStatusUnknown',
        message: isNew ? 'Kubelet never posted node status.' : 'Kubelet stopped posting node status.',
      }
    }),
  ]
}

/**
 * The taints that follow from conditions and spec.unschedulable; taints of others stay as they are.
 * Undefined when nothing changes. Source: node lifecycle controller, `TaintNodesByCondition`.
 */
export function wantedTaints(node: Node, now: number): Taint[] | undefined {
  const managed = new Set([
    ready,
    unreachable,
    'node.kubernetes.io/unschedulable',
    ...Object.values(pressureTaints),
  ])
  const before = node.spec.taints ?? []
  const wanted: Taint[] = []
  const readiness = node.status?.conditions?.find((condition) => condition.type === 'Ready')?.status
  const trouble = readiness === 'True' ? undefined : readiness === 'Unknown' ? unreachable : ready
  if (trouble !== undefined)
    wanted.push({ key: trouble, effect: 'NoSchedule' }, { key: trouble, effect: 'NoExecute' })
  for (const [type, key] of Object.entries(pressureTaints)) {
    if (node.status?.conditions?.find((condition) => condition.type === type)?.status === 'True')
      wanted.push({ key, effect: 'NoSchedule' })
  }
  if (node.spec.unschedulable === true)
    wanted.push({ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' })
  const same = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect
  const kept = before.filter((taint) => !managed.has(taint.key) || wanted.some((wish) => same(wish, taint)))
  const missing = wanted.filter((wish) => !before.some((taint) => same(taint, wish)))
  if (missing.length === 0 && kept.length === before.length) return undefined
  return [...kept, ...missing.map((taint) => ({ ...taint, timeAdded: formatTime(now) }))]
}

/**
 * Milliseconds until a pod with these tolerations must leave because of a NoExecute taint: 0 now,
 * undefined never.
 */
export function untilEviction(
  taints: readonly Taint[],
  tolerates: (taint: Taint) => { readonly seconds: number | undefined } | undefined,
  now: number,
): number | undefined {
  let soonest: number | undefined
  for (const taint of taints) {
    if (taint.effect !== 'NoExecute') continue
    const toleration = tolerates(taint)
    if (toleration === undefined) return 0
    if (toleration.seconds === undefined) continue
    const left = Math.max(0, (parseTime(taint.timeAdded ?? '') || now) + toleration.seconds * 1000 - now)
    soonest = soonest === undefined ? left : Math.min(soonest, left)
  }
  return soonest
}
