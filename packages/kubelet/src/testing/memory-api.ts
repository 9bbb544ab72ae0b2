import {
  ApiError,
  type Client,
  type DeleteCallOptions,
  type ListOptions,
  type WatchOptions,
} from '@outrigger/client'
import type { Clock } from '@outrigger/foundation'
import { formatTime } from '@outrigger/foundation'
import {
  applyMergePatch,
  applyStrategicMergePatch,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type Pod,
  type ResourceRef,
  schemaOfKind,
  type WatchEvent,
} from '@outrigger/kube'

interface Change {
  readonly resource: string
  readonly event: WatchEvent<KubeObject>
}

/** One write, in the order in which it came. */
export interface Written {
  readonly verb: string
  readonly resource: string
  readonly key: string
  readonly body: unknown
}

/**
 * An API server reduced to what a kubelet says to it: objects in memory, watches, status patches, graceful
 * deletion of pods, tokens. For tests.
 */
export class MemoryApi {
  readonly writes: Written[] = []
  readonly #clock: Clock
  readonly #objects = new Map<string, Map<string, KubeObject>>()
  readonly #watchers = new Set<(change: Change) => void>()
  #version = 0
  #uid = 0
  #failure: ApiError | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** From now on every call fails so; undefined ends it. */
  fail(error: ApiError | undefined): void {
    this.#failure = error
  }

  get<T extends KubeObject>(resource: ResourceRef, key: string): T | undefined {
    return this.#of(resource).get(key) as T | undefined
  }

  all<T extends KubeObject>(resource: ResourceRef): T[] {
    return [...this.#of(resource).values()] as T[]
  }

  /** Puts an object there, as another client would. */
  put<T extends KubeObject>(resource: ResourceRef, object: T): T {
    const key = keyOf(object)
    const before = this.#of(resource).get(key)
    const stored = structuredClone(object)
    stored.metadata.uid ??= before?.metadata.uid ?? `uid-${++this.#uid}`
    stored.metadata.creationTimestamp ??= formatTime(this.#clock.now())
    const specChanged = before !== undefined && specOf(before) !== specOf(stored)
    stored.metadata.generation =
      (before?.metadata.generation ?? (before === undefined ? 0 : 1)) +
      (before === undefined || specChanged ? 1 : 0)
    return this.#store(resource, stored, before === undefined ? 'ADDED' : 'MODIFIED') as T
  }

  remove(resource: ResourceRef, key: string): void {
    const object = this.#of(resource).get(key)
    if (object === undefined) return
    this.#of(resource).delete(key)
    object.metadata.resourceVersion = String(++this.#version)
    this.#tell({ resource: resource.resource, event: { type: 'DELETED', object } })
  }

  /** Deletes a pod with grace, as `kubectl delete` does. */
  deletePod(resource: ResourceRef, key: string, graceSeconds?: number): void {
    const pod = this.get<Pod>(resource, key)
    if (pod === undefined) return
    const isOver = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
    const grace =
      isOver || !pod.spec.nodeName ? 0 : (graceSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30)
    if (grace === 0) {
      this.remove(resource, key)
      return
    }
    const marked = structuredClone(pod)
    marked.metadata.deletionTimestamp = formatTime(this.#clock.now() + grace * 1000)
    marked.metadata.deletionGracePeriodSeconds = grace
    marked.metadata.generation = (pod.metadata.generation ?? 1) + 1
    this.#store(resource, marked, 'MODIFIED')
  }

  client(): Client {
    const api = this
    return {
      async get(resource, key) {
        api.#check()
        return api.#need(resource, key) as never
      },
      async list(resource, options = {}) {
        api.#check()
        const items = api.all(resource).filter((object) => selects(object, options))
        const list = {
          apiVersion: 'v1',
          kind: `${resource.kind}List`,
          metadata: { resourceVersion: String(api.#version) },
          items,
        }
        return structuredClone(list) as never
      },
      watch: (resource, options) => api.#watch(resource, options) as never,
      async create(resource, object) {
        api.#check()
        const draft = structuredClone(object) as KubeObject
        const key = keyOf(draft)
        if (api.#of(resource).has(key))
          throw new ApiError(409, { reason: 'AlreadyExists', message: `${key} already exists` })
        api.writes.push({ verb: 'create', resource: resource.resource, key, body: draft })
        return structuredClone(api.put(resource, draft)) as never
      },
      async update(resource, object) {
        api.#check()
        return structuredClone(api.put(resource, object)) as never
      },
      async patch(resource, key, patch, options) {
        api.#check()
        const before = api.#need(resource, key)
        const body = patch.body as { metadata?: { uid?: string } }
        if (body.metadata?.uid !== undefined && body.metadata.uid !== before.metadata.uid) {
          throw new ApiError(409, { reason: 'Conflict', message: 'the uid in the precondition differs' })
        }
        const schema = schemaOfKind(resource.group, resource.version, resource.kind)
        const after = structuredClone(
          patch.type === 'strategic' && schema !== undefined
            ? applyStrategicMergePatch(before, body, schema)
            : applyMergePatch(before, body),
        ) as KubeObject
        const verb = options?.subresource === undefined ? 'patch' : `patch ${options.subresource}`
        api.writes.push({ verb, resource: resource.resource, key: keyOf(before), body })
        return structuredClone(api.#store(resource, after, 'MODIFIED')) as never
      },
      async delete(resource, key, options) {
        api.#check()
        return api.#delete(resource, key, options)
      },
      async deleteCollection() {
        throw new Error('not used by a kubelet')
      },
      async createSubresource(resource, key, subresource) {
        api.#check()
        api.writes.push({
          verb: `create ${subresource}`,
          resource: resource.resource,
          key: `${key.namespace}/${key.name}`,
          body: undefined,
        })
        const expirationTimestamp = formatTime(api.#clock.now() + 3600_000)
        return { status: { token: `token-${api.writes.length}`, expirationTimestamp } } as never
      },
      async raw() {
        throw new Error('not used by a kubelet')
      },
      serves: async () => true,
      close: async () => {},
    }
  }

  #delete(resource: ResourceRef, key: ObjectKey, options: DeleteCallOptions | undefined): unknown {
    const object = this.#need(resource, key)
    const uid = options?.preconditions?.uid
    if (uid !== undefined && uid !== object.metadata.uid) {
      throw new ApiError(409, { reason: 'Conflict', message: 'the uid in the precondition differs' })
    }
    this.writes.push({
      verb: 'delete',
      resource: resource.resource,
      key: keyOf(object),
      body: options?.gracePeriodSeconds,
    })
    this.remove(resource, keyOf(object))
    return object
  }

  async *#watch(resource: ResourceRef, options: WatchOptions): AsyncGenerator<WatchEvent<KubeObject>> {
    const queue: WatchEvent<KubeObject>[] = []
    let wake = () => {}
    const watcher = (change: Change) => {
      if (change.resource !== resource.resource) return
      if (change.event.type !== 'ERROR' && !selects(change.event.object, options)) return
      queue.push(structuredClone(change.event))
      wake()
    }
    this.#watchers.add(watcher)
    const onAbort = () => wake()
    options.signal.addEventListener('abort', onAbort, { once: true })
    try {
      for (const object of this.all(resource)) {
        if (
          selects(object, options) &&
          Number(object.metadata.resourceVersion) > Number(options.resourceVersion ?? 0)
        ) {
          queue.push({ type: 'MODIFIED', object: structuredClone(object) })
        }
      }
      while (!options.signal.aborted) {
        const next = queue.shift()
        if (next !== undefined) yield next
        else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      this.#watchers.delete(watcher)
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #need(resource: ResourceRef, key: ObjectKey): KubeObject {
    const text = key.namespace === '' ? key.name : `${key.namespace}/${key.name}`
    const object = this.#of(resource).get(text)
    if (object === undefined) {
      throw new ApiError(404, { reason: 'NotFound', message: `${resource.resource} "${key.name}" not found` })
    }
    return object
  }

  #store(resource: ResourceRef, object: KubeObject, type: 'ADDED' | 'MODIFIED'): KubeObject {
    object.metadata.resourceVersion = String(++this.#version)
    this.#of(resource).set(keyOf(object), object)
    this.#tell({ resource: resource.resource, event: { type, object } })
    return object
  }

  #tell(change: Change): void {
    for (const watcher of [...this.#watchers]) watcher(change)
  }

  #of(resource: ResourceRef): Map<string, KubeObject> {
    const known = this.#objects.get(resource.resource)
    if (known !== undefined) return known
    const fresh = new Map<string, KubeObject>()
    this.#objects.set(resource.resource, fresh)
    return fresh
  }
}

function specOf(object: KubeObject): string {
  return JSON.stringify('spec' in object ? object.spec : undefined)
}

function selects(object: KubeObject, options: Pick<ListOptions, 'namespace' | 'fieldSelector'>): boolean {
  if (options.namespace !== undefined && object.metadata.namespace !== options.namespace) return false
  for (const part of (options.fieldSelector ?? '').split(',').filter((text) => text !== '')) {
    const [field, value] = part.split('=')
    const actual = field === 'metadata.name' ? object.metadata.name : (object as Pod).spec.nodeName
    if (actual !== value) return false
  }
  return true
}
