import { ApiError, type Client, isConflict, isNotFound } from '@outrigger/client'
import { parseKey, resources } from '@outrigger/kube'

/** What has become of an eviction. */
export type EvictionOutcome =
  | { readonly is: 'leaving' }
  /** The pod is gone already, or another has its name: an event tells. */
  | { readonly is: 'gone' }
  /** A disruption budget has no room now, which is no failure. */
  | { readonly is: 'to wait'; readonly message: string }
  | { readonly is: 'refused'; readonly message: string }

export interface EvictionTarget {
  /** `namespace/name`. */
  readonly key: string
  /** A namesake is left alone. */
  readonly uid: string
}

/**
 * Asks for a pod to be evicted, past no PodDisruptionBudget. `grant` says how the manager is given the right, for where it has none.
 *
 * @throws where the API server did not answer: the pod may be leaving all the same.
 */
export async function evictPod(
  client: Pick<Client, 'createSubresource'>,
  { key, uid }: EvictionTarget,
  grant: string,
  signal: AbortSignal,
): Promise<EvictionOutcome> {
  const { namespace, name } = parseKey(key)
  const body = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace },
    deleteOptions: { preconditions: { uid } },
  }
  try {
    await client.createSubresource(resources.pods, { namespace, name }, 'eviction', body, { signal })
    return { is: 'leaving' }
  } catch (error) {
    if (isNotFound(error) || isConflict(error)) return { is: 'gone' }
    if (!(error instanceof ApiError)) throw error
    if (error.code === 429) return { is: 'to wait', message: error.message }
    return { is: 'refused', message: error.code === 403 ? `${error.message} (${grant})` : error.message }
  }
}
