import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import { deepEqual, type KubeObject, keyOf, type Pod, type ResourceQuota, resources } from '@outrigger/kube'
import type { Discovery } from '../discovery.ts'
import { isPodFinished } from '../pods/pod-state.ts'
import { countedResource, totalUsage } from './quota-usage.ts'

export interface QuotaControllerOptions {
  readonly client: Client
  /** Needs the index `namespace`. */
  readonly quotas: Informer<ResourceQuota>
  /** Needs the index `namespace`. */
  readonly pods: Informer<Pod>
  readonly discovery: Discovery
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Objects other than pods are not watched for the quota's sake; what is deleted is noticed this late. In milliseconds. */
const recount = 10_000
/** A rollout ends many pods; one count serves them. In milliseconds. */
const gather = 100

/**
 * Balances the books of ResourceQuotas: the API server adds what is created, this controller counts
 * anew what there is. Source: kubernetes/pkg/controller/resourcequota.
 */
export function createQuotaController(options: QuotaControllerOptions): Runnable {
  const { quotas, pods } = options
  return createController({
    ...options,
    name: 'resourcequota',
    concurrency: 2,
    informers: [quotas, pods],
    sources: [
      (enqueue) =>
        quotas.onChange({
          onAdd: (quota) => enqueue(keyOf(quota)),
          onUpdate: (quota, before) => {
            // Bookings of the API server are right by themselves.
            if (!deepEqual(quota.spec, before.spec) || quota.status?.hard === undefined) enqueue(keyOf(quota))
          },
        }),
      (enqueue) => {
        const look = (pod: Pod) => {
          for (const quota of quotas.store.byIndex('namespace', pod.metadata.namespace ?? ''))
            enqueue(keyOf(quota), gather)
        }
        return pods.onChange({
          onUpdate: (pod, before) => {
            if (isPodFinished(pod) !== isPodFinished(before)) look(pod)
          },
          onDelete: look,
        })
      },
    ],
    reconcile: (key, signal) => reconcileQuota(options, key, signal),
  })
}

async function reconcileQuota(
  options: QuotaControllerOptions,
  key: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const quota = options.quotas.store.get(key)
  if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return waitForChange
  const namespace = quota.metadata.namespace ?? ''
  const hard = quota.spec.hard ?? {}
  const counted = new Set(Object.keys(hard).map(countedResource))
  const objects = new Map<string, readonly KubeObject[]>()
  for (const resource of counted)
    objects.set(
      resource,
      resource === 'pods'
        ? options.pods.store.byIndex('namespace', namespace)
        : await listObjects(options, resource, namespace, signal),
    )
  const status = { hard, used: totalUsage(quota, objects) }
  if (!deepEqual(status, quota.status ?? {}))
    try {
      // Bound to the version that was counted for: a booking in between makes this a conflict.
      await options.client.update<ResourceQuota>(
        resources.resourceQuotas,
        { ...quota, status },
        { subresource: 'status', signal },
      )
    } catch (error) {
      if (isNotFound(error)) return waitForChange
      if (isConflict(error)) return lookAgain(gather)
      throw error
    }
  return [...counted].every((resource) => resource === 'pods') ? waitForChange : lookAgain(recount)
}

async function listObjects(
  { client, discovery }: QuotaControllerOptions,
  resource: string,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const known = (await discovery.resources(signal)).find(
    ({ ref }) => (ref.group === '' ? ref.resource : `${ref.resource}.${ref.group}`) === resource,
  )
  if (known === undefined || !known.ref.namespaced) return []
  return (await client.list<KubeObject>(known.ref, { namespace, signal })).items
}
