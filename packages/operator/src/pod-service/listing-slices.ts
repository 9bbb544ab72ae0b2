import type { Client } from '@outrigger/client'
import { isNotFound } from '@outrigger/client'
import { type EndpointSlice, type ObjectKey, type Pod, resources } from '@outrigger/kube'

/** EndpointSlices of a page. */
const pageSize = 500

/** Which EndpointSlices send traffic to pods of one namespace: names of slices by the pod's uid, or its name where a slice has no uid. */
export type Listings = ReadonlyMap<string, readonly string[]>

/**
 * Asks the API server, not a cache, which pods of a namespace are sent traffic. A cluster without EndpointSlices lists
 * nobody: there the pod's own readiness must do.
 */
export async function readListings(
  client: Pick<Client, 'list'>,
  namespace: string,
  signal: AbortSignal,
): Promise<Listings> {
  const listings = new Map<string, string[]>()
  let page: string | undefined
  do {
    const slices = await client
      .list<EndpointSlice>(resources.endpointSlices, {
        namespace,
        limit: pageSize,
        signal,
        ...(page !== undefined && { continue: page }),
      })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined
        throw error
      })
    for (const slice of slices?.items ?? []) addListings(listings, slice)
    page = slices?.metadata.continue || undefined
  } while (page !== undefined)
  return listings
}

/** Names of the slices that send traffic to this pod. */
export function slicesOf(listings: Listings, { metadata }: Pod): readonly string[] {
  const names = [...(listings.get(metadata.uid ?? '') ?? []), ...(listings.get(byName(metadata)) ?? [])]
  return [...new Set(names)].sort()
}

function addListings(listings: Map<string, string[]>, { metadata, endpoints }: EndpointSlice): void {
  for (const { targetRef, conditions } of endpoints ?? []) {
    // `serving` is the pod's own readiness; `ready` may be a Service's wish to publish pods that are not ready.
    const isSentTraffic = conditions?.serving ?? conditions?.ready ?? true
    if (!isSentTraffic || targetRef?.kind !== 'Pod') continue
    const key = targetRef.uid ?? byName({ name: targetRef.name ?? '' })
    const names = listings.get(key)
    if (names === undefined) listings.set(key, [metadata.name])
    else names.push(metadata.name)
  }
}

const byName = ({ name }: Pick<ObjectKey, 'name'>) => `name/${name}`
