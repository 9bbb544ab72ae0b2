import { drainTimeOf } from '@outrigger/api'
import type { Controller } from '@outrigger/controller'
import { keyOf, type Pod } from '@outrigger/kube'
import {
  createPodConditionController,
  type PodConditionOptions,
} from '../pod-condition/pod-condition-controller.ts'
import { isManaged, isRolling } from '../sidecar-set-rollout/rollout-round.ts'
import type { SidecarSetLedger } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { trimmedPod } from '../sidecar-set-status/trimmed-pod.ts'
import { areContainersReady, isOutOfService, isSettled, openCondition, serviceOf } from './pod-service.ts'

/**
 * Opens the gate `outrigger.dev/in-service` of every pod that has it and is not being drained: of new ones at once, of
 * restarted ones when their containers run and are ready, and of those that somebody left closed. Costs work only for pods
 * whose gate is not open.
 */
export function createPodServiceController(options: PodConditionOptions): Controller {
  const { clock, feed } = options
  const isDue = (pod: Pod) => mayServe(pod, feed.ledger)
  return createPodConditionController(options, {
    name: 'pod-service',
    concurrency: 8,
    delay: 0,
    retry: 100,
    isDue,
    conditionOf: (pod) => (isDue(pod) ? openCondition(clock.now()) : undefined),
    written: (after, before) => feed.setWritten(trimmedPod(after), before),
  })
}

/**
 * Whether the gate of a pod is closed, or was never opened, and should be open. It stays closed while a SidecarSet drains the
 * pod, and from the change of an image until the node has acted on it and all containers are ready.
 */
export function mayServe(pod: Pod, ledger: Pick<SidecarSetLedger, 'tallyOf'>): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false
  const service = serviceOf(pod)
  if (service === 'not opened') return true
  if (!isOutOfService(service)) return false
  if (isWanted(service.sidecarSet, keyOf(pod), ledger)) return false
  return isSettled(pod) && areContainersReady(pod)
}

/** Whether a rollout still means to restart containers of this pod. */
function isWanted(sidecarSet: string, key: string, ledger: Pick<SidecarSetLedger, 'tallyOf'>): boolean {
  const tally = ledger.tallyOf(sidecarSet)
  if (tally === undefined || drainTimeOf(tally.set.sidecarSet) === undefined) return false
  const kind = tally.views.get(key)?.kind
  // What a resize has begun is finished, also while paused.
  return kind === 'resizing'
    ? isManaged(tally.set.sidecarSet)
    : kind === 'waiting' && isRolling(tally.set.sidecarSet)
}
