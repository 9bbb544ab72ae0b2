import type { SidecarSet } from '@outrigger/api'
import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  type Controller,
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, formatTime, type Logger, type Random } from '@outrigger/foundation'
import { keyOf, type Namespace, type Pod, parseKey, resources } from '@outrigger/kube'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import { missingCondition } from './upgradable-condition.ts'

export interface UpgradableConditionOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly pods: Informer<Pod>
  readonly sidecarSets: Informer<SidecarSet>
  readonly namespaces: Informer<Namespace>
  readonly feed: LedgerFeed
}

/** Milliseconds in which a pod may still change before its condition is written. */
const coalescing = 500

/** Says on each pod whether its SidecarSets can be upgraded in place. */
export function createUpgradableConditionController(options: UpgradableConditionOptions): Controller {
  const { client, clock, pods, sidecarSets, namespaces, feed } = options
  const now = () => formatTime(clock.now())
  const missing = (pod: Pod) => missingCondition(pod, keyOf(pod), feed.ledger, now)
  const reconcile = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const pod = pods.store.get(key)
    const condition = pod && missing(pod)
    if (pod === undefined || condition === undefined || pod.metadata.deletionTimestamp !== undefined)
      return waitForChange
    const { uid, resourceVersion } = pod.metadata
    // The version keeps two SidecarSets from overwriting each other's entry.
    const body = { metadata: { uid, resourceVersion }, status: { conditions: [condition] } }
    try {
      await client.patch<Pod>(
        resources.pods,
        parseKey(key),
        { type: 'strategic', body },
        { subresource: 'status', signal },
      )
    } catch (error) {
      if (isConflict(error)) return lookAgain(coalescing)
      if (!isNotFound(error)) throw error
    }
    return waitForChange
  }
  return createController({
    ...options,
    name: 'sidecarset-condition',
    reconcile,
    concurrency: 4,
    // An entry of a SidecarSet that is merely not known yet must not look like one that is gone.
    informers: [pods, sidecarSets, namespaces],
    sources: [
      (enqueue) =>
        feed.listen({
          podSeen: (pod) => {
            if (missing(pod) !== undefined) enqueue(keyOf(pod), coalescing)
          },
        }),
    ],
  })
}
