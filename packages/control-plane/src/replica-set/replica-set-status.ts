import { formatTime, messageOf } from '@outrigger/foundation'
import type { KubeObject, Pod, PodTemplateSpec, ReplicaSetCondition, ReplicaSetStatus } from '@outrigger/kube'
import { isPodActive, isPodFinished, isPodReady } from '../pods/pod-state.ts'

/** What ReplicaSets and ReplicationControllers have in common. */
export interface Replicated extends KubeObject {
  spec: { replicas?: number; minReadySeconds?: number; template?: PodTemplateSpec }
  status?: ReplicaSetStatus
}

export interface StatusFacts {
  /** Pods that belong to the object, finished ones included. */
  readonly owned: readonly Pod[]
  readonly available: number
  /** What creating or deleting pods failed with in this pass. */
  readonly failure: unknown
  /** Milliseconds since 1970. */
  readonly now: number
}

/** The status that follows from the pods. */
export function replicaSetStatus(set: Replicated, facts: StatusFacts): ReplicaSetStatus {
  const active = facts.owned.filter(isPodActive)
  const templateLabels = Object.entries(set.spec.template?.metadata?.labels ?? {})
  const labelled = active.filter((pod) =>
    templateLabels.every(([key, value]) => pod.metadata.labels?.[key] === value),
  ).length
  const ready = active.filter(isPodReady).length
  const terminating = facts.owned.filter(
    (pod) => pod.metadata.deletionTimestamp !== undefined && !isPodFinished(pod),
  ).length
  const conditions = failureConditions(set, active.length, facts)
  return {
    replicas: active.length,
    ...(labelled > 0 && { fullyLabeledReplicas: labelled }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(facts.available > 0 && { availableReplicas: facts.available }),
    // A ReplicationController has no such counter.
    ...(set.kind === 'ReplicaSet' && { terminatingReplicas: terminating }),
    observedGeneration: set.metadata.generation ?? 0,
    ...(conditions.length > 0 && { conditions }),
  }
}

function failureConditions(set: Replicated, active: number, facts: StatusFacts): ReplicaSetCondition[] {
  const before = set.status?.conditions ?? []
  const others = before.filter((condition) => condition.type !== 'ReplicaFailure')
  if (facts.failure === undefined) return others
  const reason = active < (set.spec.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete'
  const known = before.find((condition) => condition.type === 'ReplicaFailure')
  const message = messageOf(facts.failure)
  if (known?.reason === reason && known.message === message) return [...others, known]
  return [
    ...others,
    { type: 'ReplicaFailure', status: 'True', reason, message, lastTransitionTime: formatTime(facts.now) },
  ]
}
