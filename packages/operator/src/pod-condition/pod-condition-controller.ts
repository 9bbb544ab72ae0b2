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
import type { Clock, Logger, Random } from '@outrigger/foundation'
import { keyOf, type Namespace, type Pod, type PodCondition, parseKey, resources } from '@outrigger/kube'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'

export interface PodConditionOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly pods: Informer<Pod>
  readonly sidecarSets: Informer<SidecarSet>
  readonly namespaces: Informer<Namespace>
  readonly feed: LedgerFeed
}

export interface PodConditionWork {
  /** Of the controller. */
  readonly name: string
  readonly concurrency: number
  /** Milliseconds in which a pod may still change before its condition is written. */
  readonly delay: number
  /** Milliseconds until a pod is looked at again whose write met another one. */
  readonly retry: number
  /** Whether a pod has to be written to. Asked for every event of a pod, so it must be cheap. */
  isDue(pod: Pod): boolean
  /** What the pod should have now; `undefined` where nothing is to be written. */
  conditionOf(pod: Pod): PodCondition | undefined
  /** Told of what was written. Default nobody. */
  written?(after: Pod, before: Pod): void
}

/** Keeps one condition of pods true, by writes that are refused if the pod is another one or has changed since. */
export function createPodConditionController(
  options: PodConditionOptions,
  work: PodConditionWork,
): Controller {
  const { client, pods, sidecarSets, namespaces, feed } = options
  const reconcile = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const pod = pods.store.get(key)
    const condition = pod && work.conditionOf(pod)
    if (pod === undefined || condition === undefined) return waitForChange
    try {
      const patch = { type: 'strategic', body: conditionBody(pod, condition) } as const
      const written = await client.patch<Pod>(resources.pods, parseKey(key), patch, {
        subresource: 'status',
        signal,
      })
      work.written?.(written, pod)
    } catch (error) {
      // What is known of the pod is from before its last change.
      if (isConflict(error)) return lookAgain(work.retry)
      if (!isNotFound(error)) throw error
    }
    return waitForChange
  }
  return createController({
    ...options,
    name: work.name,
    reconcile,
    concurrency: work.concurrency,
    // A SidecarSet that is merely not known yet must not look like one that is gone.
    informers: [pods, sidecarSets, namespaces],
    sources: [
      (enqueue) =>
        feed.listen({
          podSeen: (pod) => {
            if (work.isDue(pod)) enqueue(keyOf(pod), work.delay)
          },
        }),
    ],
  })
}

/** A strategic merge patch of the status, refused by the API server if the pod is another one or has changed since. */
export function conditionBody({ metadata }: Pick<Pod, 'metadata'>, condition: PodCondition): unknown {
  const { uid, resourceVersion } = metadata
  return { metadata: { uid, resourceVersion }, status: { conditions: [condition] } }
}
