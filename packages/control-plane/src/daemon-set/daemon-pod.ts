import type { Random } from '@outrigger/foundation'
import {
  type DaemonSet,
  type Draft,
  findUntoleratedTaint,
  type Node,
  type Pod,
  podAdmitsNode,
  type Toleration,
} from '@outrigger/kube'
import { podFromTemplate } from '../pods/pod-from-template.ts'
import { revisionHashLabel } from '../revision/revision-history.ts'

const templateGeneration = 'deprecated.daemonset.template.generation'

/** A daemon stays on a node that is in trouble. Source: daemon controller `AddOrUpdateDaemonPodTolerations`. */
const toleratedTroubles: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
]
const networkTrouble: Toleration = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
}

function tolerationsOf({ spec }: DaemonSet): readonly Toleration[] {
  const own = spec.template.spec.tolerations ?? []
  const added = spec.template.spec.hostNetwork ? [...toleratedTroubles, networkTrouble] : toleratedTroubles
  const isThere = (wanted: Toleration) =>
    own.some(({ key, operator, effect }) => {
      return key === wanted.key && operator === wanted.operator && effect === wanted.effect
    })
  return [...own, ...added.filter((toleration) => !isThere(toleration))]
}

/** Whether a set's pods belong on a node. */
export interface NodeVerdict {
  /** A pod should be started there. */
  readonly shouldRun: boolean
  /** A pod that is there may stay. */
  readonly mayStay: boolean
}

/** Source: daemon controller `NodeShouldRunDaemonPod`. */
export function judgeNode(set: DaemonSet, node: Node): NodeVerdict {
  const { nodeName, nodeSelector, affinity } = set.spec.template.spec
  if (nodeName && nodeName !== node.metadata.name) return { shouldRun: false, mayStay: false }
  const wishes = {
    spec: { containers: [], ...(nodeSelector && { nodeSelector }), ...(affinity && { affinity }) },
  }
  if (!podAdmitsNode(wishes, node)) return { shouldRun: false, mayStay: false }
  const tolerations = tolerationsOf(set)
  const { taints } = node.spec
  return {
    shouldRun: findUntoleratedTaint(taints, tolerations) === undefined,
    mayStay: findUntoleratedTaint(taints, tolerations, ['NoExecute']) === undefined,
  }
}

/** A pod of the set that only the scheduler's choice of this node can satisfy. */
export function daemonPod(set: DaemonSet, nodeName: string, hash: string, random: Random): Draft<Pod> {
  const pod = podFromTemplate(set.spec.template, set, random)
  const terms = [{ matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [nodeName] }] }]
  const { affinity } = pod.spec
  const generation = set.metadata.annotations?.[templateGeneration]
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        [revisionHashLabel]: hash,
        ...(generation !== undefined && { 'pod-template-generation': generation }),
      },
    },
    spec: {
      ...pod.spec,
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
        },
      },
      tolerations: [...tolerationsOf(set)],
    },
  }
}

/** The node a daemon pod is on or meant for. */
export function targetNode(pod: Pod): string | undefined {
  if (pod.spec.nodeName) return pod.spec.nodeName
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? [])
    for (const { key, operator, values } of matchFields)
      if (key === 'metadata.name' && operator === 'In' && values?.length === 1) return values[0]
  return undefined
}
