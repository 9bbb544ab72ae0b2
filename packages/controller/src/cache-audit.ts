import { type ListOptions, listPages, type Reader } from '@outrigger/client'
import type { Clock } from '@outrigger/foundation'
import { type KubeObject, keyOf, type ResourceRef } from '@outrigger/kube'
import type { IndexedStore } from './indexed-store.ts'

export interface CacheAuditOptions<T extends KubeObject> {
  readonly client: Pick<Reader, 'list'>
  readonly resource: ResourceRef
  readonly clock: Clock
  readonly store: Pick<IndexedStore<T>, 'get' | 'keys'>
  /** What the store is a copy of. */
  readonly selection: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>
  readonly pageSize: number
}

/** Milliseconds between two pages, so that looking at a large cluster is not a burst. */
const pagePause = 1_000
/** Milliseconds in which the event of a change that was listed must have arrived. */
const grace = 10_000

/** How a key stood when it was looked at; `undefined` versions mean: was not there. */
interface Difference {
  readonly key: string
  readonly cached: string | undefined
}

/**
 * Compares a store with what the server has, page by page, and answers with the keys whose events must have been lost:
 * those that differed and, after a time in which any watch catches up, still stand as they did. Versions that are no
 * whole numbers cannot be compared, and such objects are never suspected. Costs one list; nobody is told of anything.
 *
 * @throws what the client throws.
 */
export async function auditCache<T extends KubeObject>(
  options: CacheAuditOptions<T>,
  signal: AbortSignal,
): Promise<string[]> {
  const { clock, store } = options
  const differences = await differencesOf(options, signal)
  if (differences.length === 0) return []
  await clock.sleep(grace, signal)
  return differences
    .filter(({ key, cached }) => store.get(key)?.metadata.resourceVersion === cached)
    .map(({ key }) => key)
}

async function differencesOf<T extends KubeObject>(
  { client, clock, resource, selection, store, pageSize }: CacheAuditOptions<T>,
  signal: AbortSignal,
): Promise<Difference[]> {
  const seen = new Set<string>()
  let differences: Difference[] = []
  let moment: string | undefined
  for await (const { list, isRestart } of listPages<T>(client, resource, {
    ...selection,
    limit: pageSize,
    signal,
  })) {
    if (isRestart) {
      seen.clear()
      differences = []
      moment = undefined
    }
    moment ??= list.metadata.resourceVersion
    for (const item of list.items) {
      const key = keyOf(item)
      seen.add(key)
      const cached = store.get(key)?.metadata.resourceVersion
      if (cached === undefined || isOlder(cached, item.metadata.resourceVersion))
        differences.push({ key, cached })
    }
    if (list.metadata.continue) await clock.sleep(pagePause, signal)
  }
  for (const key of store.keys()) {
    const cached = store.get(key)?.metadata.resourceVersion
    // What is newer than the list was made or changed after it.
    if (!seen.has(key) && cached !== undefined && isOlder(cached, moment)) differences.push({ key, cached })
  }
  return differences
}

/** Versions of one resource are whole numbers that grow; anything else is not comparable. */
function isOlder(left: string, right: string | undefined): boolean {
  if (right === undefined || !/^\d+$/.test(left) || !/^\d+$/.test(right)) return false
  return left.length === right.length ? left < right : left.length < right.length
}
