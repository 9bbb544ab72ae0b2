import { drainTimeOf, type SidecarSet } from '@outrigger/api'
import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  type Controller,
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random } from '@outrigger/foundation'
import { keyOf, type Namespace, type Pod, parseKey, resources } from '@outrigger/kube'
import { isManaged, isRolling } from '../sidecar-set-rollout/rollout-round.ts'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import type { SidecarSetLedger } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { trimmedPod } from '../sidecar-set-status/trimmed-pod.ts'
import {
  areContainersReady,
  isOutOfService,
  isSettled,
  openCondition,
  serviceBody,
  serviceOf,
} from './pod-service.ts'

export interface PodServiceOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly pods: Informer<Pod>
  readonly sidecarSets: Informer<SidecarSet>
  readonly namespaces: Informer<Namespace>
  readonly feed: LedgerFeed
}

/** Milliseconds until a pod is looked at again whose write met another one. */
const soon = 100

/**
 * Opens the gate `outrigger.dev/in-service` of every pod that has it and is not being drained: of new ones at once, of
 * restarted ones when their containers run and are ready, and of those that somebody left closed. Costs work only for pods
 * whose gate is not open.
 */
export function createPodServiceController(options: PodServiceOptions): Controller {
  const { client, clock, pods, sidecarSets, namespaces, feed } = options
  const isDue = (pod: Pod) => mayServe(pod, feed.ledger)
  const reconcile = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const pod = pods.store.get(key)
    if (pod === undefined || !isDue(pod)) return waitForChange
    try {
      const written = await client.patch<Pod>(
        resources.pods,
        parseKey(key),
        { type: 'strategic', body: serviceBody(pod, openCondition(clock.now())) },
        { subresource: 'status', signal },
      )
      feed.setWritten(trimmedPod(written), pod)
    } catch (error) {
      // What is known of the pod is from before its last change, and that may be a drain.
      if (isConflict(error)) return lookAgain(soon)
      if (!isNotFound(error)) throw error
    }
    return waitForChange
  }
  return createController({
    ...options,
    name: 'pod-service',
    reconcile,
    concurrency: 8,
    // A SidecarSet that is merely not known yet must not look like one that is gone.
    informers: [pods, sidecarSets, namespaces],
    sources: [
      (enqueue) =>
        feed.listen({
          podSeen: (pod) => {
            if (isDue(pod)) enqueue(keyOf(pod))
          },
        }),
    ],
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
