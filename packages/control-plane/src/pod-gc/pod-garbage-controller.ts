import { type Client, isConflict, isNotFound } from '@outrigger/client'
import { createController, type Informer, waitForChange } from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import { keyOf, type Pod, parseKey, resources } from '@outrigger/kube'
import { isPodFinished } from '../pods/pod-state.ts'

export interface PodGarbageOptions {
  readonly client: Client
  /** Needs the index `finished`. */
  readonly pods: Informer<Pod>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Finished pods that may stay. Defaults to 12,500. */
  readonly threshold?: number
}

/** Index of pods that have ended, all under one value. */
export const finishedPodIndex = {
  finished: (pod: Pod): readonly string[] => (isPodFinished(pod) ? ['finished'] : []),
} as const

/** Many pods end together; one sweep serves them. In milliseconds. */
const gather = 20_000

/**
 * Deletes the oldest finished pods when there are too many. Source: kubernetes/pkg/controller/podgc,
 * `--terminated-pod-gc-threshold`.
 */
export function createPodGarbageController(options: PodGarbageOptions): Runnable {
  const { pods, client } = options
  const threshold = options.threshold ?? 12_500
  return createController({
    ...options,
    name: 'pod-garbage',
    informers: [pods],
    sources: [
      (enqueue) => {
        const look = (pod: Pod) => {
          if (isPodFinished(pod)) enqueue('finished', gather)
        }
        return pods.onChange({
          onAdd: look,
          onUpdate: (pod, before) => {
            if (!isPodFinished(before)) look(pod)
          },
        })
      },
    ],
    async reconcile(_, signal) {
      const finished = pods.store.byIndex('finished', 'finished')
      if (finished.length <= threshold) return waitForChange
      const age = ({ metadata }: Pod) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`
      const sorted = [...finished].sort((left, right) => (age(left) < age(right) ? -1 : 1))
      for (const pod of sorted.slice(0, finished.length - threshold))
        await client
          .delete(resources.pods, parseKey(keyOf(pod)), {
            gracePeriodSeconds: 0,
            preconditions: { uid: pod.metadata.uid ?? '' },
            signal,
          })
          .catch((error: unknown) => {
            if (!isNotFound(error) && !isConflict(error)) throw error
          })
      return waitForChange
    },
  })
}
