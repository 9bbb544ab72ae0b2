import { type Client, isConflict, isNotFound } from '@outrigger/client'
import { createController, type Informer, waitForChange } from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import { type Job, keyOf, type Pod, parseKey, resources } from '@outrigger/kube'
import { controllerReference } from '../ownership.ts'
import { isTracked, trackingFinalizer } from './job-pods.ts'
import { isJobFinished } from './job-verdict.ts'

export interface JobOrphanOptions {
  readonly client: Client
  readonly jobs: Informer<Job>
  /** Needs the index `owner`. */
  readonly pods: Informer<Pod>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Lets pods go whose job is no longer there to count them. Source: job controller, `syncOrphanPod`.
 */
export function createJobOrphanController(options: JobOrphanOptions): Runnable {
  const { client, jobs, pods } = options
  /** Whether the cache knows the very job that the pod belongs to. */
  const hasJob = (pod: Pod) => {
    const owner = controllerReference(pod)
    if (owner?.kind !== 'Job') return false
    const job = jobs.store.get(`${pod.metadata.namespace}/${owner.name}`)
    return job !== undefined && job.metadata.uid === owner.uid && !isJobFinished(job)
  }
  return createController({
    ...options,
    name: 'job-orphan-pods',
    informers: [jobs, pods],
    sources: [
      (enqueue) => {
        const look = (pod: Pod) => {
          if (isTracked(pod) && !hasJob(pod)) enqueue(keyOf(pod))
        }
        return pods.onChange({ onAdd: look, onUpdate: look })
      },
      (enqueue) =>
        jobs.onChange({
          onDelete: (job) => {
            for (const pod of pods.store.byIndex('owner', job.metadata.uid ?? ''))
              if (isTracked(pod)) enqueue(keyOf(pod))
          },
        }),
    ],
    async reconcile(key, signal) {
      const pod = pods.store.get(key)
      if (pod === undefined || !isTracked(pod) || hasJob(pod)) return waitForChange
      const owner = controllerReference(pod)
      if (owner?.kind === 'Job') {
        const name = { namespace: pod.metadata.namespace ?? '', name: owner.name }
        const job = await client.get<Job>(resources.jobs, name, { signal }).catch(ignoreRace)
        if (job?.metadata.uid === owner.uid && !isJobFinished(job)) return waitForChange
      }
      await letPodGo(client, pod, signal)
      return waitForChange
    },
  })
}

/** Removes the finalizer that keeps a pod until its job has counted it. */
export async function letPodGo(client: Client, pod: Pod, signal: AbortSignal): Promise<void> {
  const body = {
    metadata: { uid: pod.metadata.uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] },
  }
  await client
    .patch(resources.pods, parseKey(keyOf(pod)), { type: 'strategic', body }, { signal })
    .catch(ignoreRace)
}

function ignoreRace(error: unknown): undefined {
  if (!isNotFound(error) && !isConflict(error)) throw error
  return undefined
}
