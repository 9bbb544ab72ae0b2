import type { Pod } from '@outrigger/kube'
import { isOwnCondition } from './pod-conditions.ts'

/** What of a pod's object is not our own writing, as text: changes of anything else are no news. */
export function podConcern(pod: Pod): string {
  const { labels, annotations, generation, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata
  const theirs = (pod.status?.conditions ?? []).filter((condition) => !isOwnCondition(condition.type))
  return JSON.stringify([
    labels,
    annotations,
    generation,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    theirs,
    generation === undefined ? pod.spec : undefined,
    pod.status?.phase,
  ])
}
