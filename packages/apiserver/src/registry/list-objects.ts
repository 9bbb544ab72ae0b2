import { orderingText } from '../storage/key-order.ts'
import type { Entry, Store } from '../storage/store.ts'
import { TooOldError } from '../storage/store.ts'
import { collectionFor, fromStorage, isStorageVersion, type Shown } from './conversion.ts'
import type { ListMetadata } from './rendering.ts'
import type { ListOptions } from './request-options.ts'
import type { Resource } from './resource.ts'
import type { Selection } from './selection.ts'
import { badRequest, StatusError } from './status-error.ts'

export const expired = (message: string): StatusError =>
  new StatusError({ code: 410, reason: 'Expired', message })

/** Where the next chunk begins, as clients carry it around. */
interface Continuation {
  readonly revision: number
  /** The last key of the chunk before. */
  readonly after: string
}

/** What a client asks for with revisions it cannot have yet. */
function tooNew(requested: number, current: number): StatusError {
  return new StatusError({
    code: 504,
    reason: 'Timeout',
    message: `Too large resource version: ${requested}, current: ${current}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  })
}

/**
 * One chunk of a list, consistent at one revision.
 *
 * @throws StatusError 400 for a bad continue token, 410 when its revision is forgotten.
 */
export async function listObjects(
  store: Store,
  request: { readonly resource: Resource; readonly selection: Selection; readonly options: ListOptions },
  signal: AbortSignal,
): Promise<{ readonly items: readonly Shown[]; readonly metadata: ListMetadata }> {
  const { resource, selection, options } = request
  const { candidates, revision, after } = stateOf(store, request)
  const start = after === undefined ? 0 : candidates.findIndex((entry) => orderingText(entry.key) > after)
  const items: Shown[] = []
  let index = start < 0 ? candidates.length : start
  const limit = options.limit === 0 ? Number.POSITIVE_INFINITY : options.limit
  if (isStorageVersion(resource)) {
    for (; index < candidates.length && items.length < limit; index++) {
      const entry = candidates[index] as Entry
      if (selection.matches(entry)) items.push(entry)
    }
  } else {
    const shown = await fromStorage(resource, candidates, signal)
    for (; index < shown.length && items.length < limit; index++) {
      const entry = shown[index] as Shown
      if (selection.matches(entry)) items.push(entry)
    }
  }
  const last = candidates[index - 1]
  const hasMore = index < candidates.length && last !== undefined
  const remaining = selection.isEverything ? { remainingItemCount: candidates.length - index } : {}
  return {
    items,
    metadata: {
      resourceVersion: String(revision),
      ...(hasMore
        ? { continue: formatContinuation({ revision, after: orderingText(last.key) }), ...remaining }
        : {}),
    },
  }
}

function stateOf(
  store: Store,
  { resource, selection, options }: { resource: Resource; selection: Selection; options: ListOptions },
): { readonly candidates: readonly Entry[]; readonly revision: number; readonly after: string | undefined } {
  const collection = collectionFor(resource)
  if (options.continueToken !== '') {
    if (options.resourceVersion !== '' && options.resourceVersion !== '0')
      throw badRequest('specifying resource version is not allowed when using continue')
    const { revision, after } = parseContinuation(options.continueToken)
    if (revision === store.revision) return { candidates: selection.candidates(store), revision, after }
    return {
      candidates: at(() => store.listAt(collection, revision, selection.namespace), inconsistent),
      revision,
      after,
    }
  }
  const wanted = options.resourceVersion === '' ? 0 : Number(options.resourceVersion)
  if (wanted > store.revision) throw tooNew(wanted, store.revision)
  const isExact =
    options.resourceVersionMatch === 'Exact' ||
    (options.resourceVersionMatch === '' && options.limit > 0 && wanted > 0)
  if (!isExact || wanted === store.revision)
    return { candidates: selection.candidates(store), revision: store.revision, after: undefined }
  const forgotten = 'The resourceVersion for the provided list is too old.'
  return {
    candidates: at(() => store.listAt(collection, wanted, selection.namespace), forgotten),
    revision: wanted,
    after: undefined,
  }
}

const inconsistent =
  'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.'

function at<T>(read: () => T, message: string): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof TooOldError) throw expired(message)
    throw error
  }
}

function formatContinuation({ revision, after }: Continuation): string {
  const token = JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: after })
  return Buffer.from(token).toString('base64url')
}

function parseContinuation(token: string): Continuation {
  const refuse = (why: string) => badRequest(`invalid continue token: ${why}`)
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64url').toString())
  } catch {
    throw refuse('continue key is not valid: it is not what the server handed out')
  }
  const { v, rv, start } = (parsed ?? {}) as { v?: unknown; rv?: unknown; start?: unknown }
  if (v !== 'meta.k8s.io/v1')
    throw refuse('continue key is not valid: server does not recognize this encoded version')
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv < 0 || typeof start !== 'string')
    throw refuse('continue key is not valid: it has no position')
  return { revision: rv, after: start }
}
