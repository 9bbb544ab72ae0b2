import type { Draft, KubeList, KubeObject, ObjectKey, ResourceRef, WatchEvent } from '@outrigger/kube'

/** One API server, spoken to as one user. No cache; retries only what is safe (see `RetryPolicy`). */
export interface Client extends Reader, Writer {
  /** Sends what the typed calls do not cover. `path` begins with a slash and may have a query. */
  raw(request: RawRequest): Promise<RawAnswer>
  /** Whether the server serves this resource; asked of discovery and remembered for a minute. */
  serves(resource: ResourceRef, signal?: AbortSignal): Promise<boolean>
  /** Ends all connections. Calls after that fail. */
  close(): Promise<void>
}

export interface Reader {
  /** @throws ApiError, `isNotFound(error)` when there is none. */
  get<T extends KubeObject>(resource: ResourceRef, key: ObjectKey, options?: CallOptions): Promise<T>
  /** One page. Without `limit` the server sends everything. */
  list<T extends KubeObject>(resource: ResourceRef, options?: ListOptions): Promise<KubeList<T>>
  /**
   * One watch connection. Ends when the server ends it; throws `ApiError` (410 as code 410) or
   * `ConnectionError`. Never resumes by itself: that is the informer's work.
   */
  watch<T extends KubeObject>(resource: ResourceRef, options: WatchOptions): AsyncIterable<WatchEvent<T>>
}

export interface Writer {
  create<T extends KubeObject>(resource: ResourceRef, object: Draft<T>, options?: WriteOptions): Promise<T>
  update<T extends KubeObject>(
    resource: ResourceRef,
    object: T,
    options?: WriteOptions & SubresourceOption,
  ): Promise<T>
  patch<T extends KubeObject>(
    resource: ResourceRef,
    key: ObjectKey,
    patch: Patch,
    options?: WriteOptions & SubresourceOption,
  ): Promise<T>
  /** Resolves with the deleted object or Status. @throws ApiError, also when there is none. */
  delete(resource: ResourceRef, key: ObjectKey, options?: DeleteCallOptions): Promise<unknown>
  deleteCollection(resource: ResourceRef, options?: DeleteCallOptions & ListOptions): Promise<unknown>
  /** POST to `pods/x/eviction`, `pods/x/binding`, `serviceaccounts/x/token` and the like. */
  createSubresource<T>(
    resource: ResourceRef,
    key: ObjectKey,
    subresource: string,
    body: unknown,
    options?: WriteOptions,
  ): Promise<T>
}

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Milliseconds until the call fails with `ConnectionError`. Defaults to 30,000. */
  readonly timeout?: number
}

export interface ListOptions extends CallOptions {
  /** Left out: all namespaces. */
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly limit?: number
  readonly continue?: string
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan'
}

export interface WatchOptions extends Omit<ListOptions, 'limit' | 'continue' | 'timeout'> {
  readonly allowBookmarks?: boolean
  /** Asks for the state first, ended by an annotated bookmark (watch-list). */
  readonly sendInitialEvents?: boolean
  /** Seconds after which the server ends the watch. */
  readonly timeoutSeconds?: number
  readonly signal: AbortSignal
}

export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string
  readonly dryRun?: boolean
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict'
  /** Only for apply: take fields over from other managers. */
  readonly force?: boolean
}

export interface SubresourceOption {
  readonly subresource?: 'status' | 'scale' | 'ephemeralcontainers' | 'resize' | 'finalize' | 'approval'
}

export type Patch =
  | { readonly type: 'merge' | 'strategic' | 'apply'; readonly body: unknown }
  | { readonly type: 'json'; readonly body: readonly unknown[] }

export interface DeleteCallOptions extends CallOptions {
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground'
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly dryRun?: boolean
}

export interface RawRequest extends CallOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}
