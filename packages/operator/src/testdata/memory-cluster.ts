import {
  ApiError,
  type Client,
  type ListOptions,
  type Patch,
  type SubresourceOption,
  type WriteOptions,
} from '@outrigger/client'
import { type ChangeHandler, IndexedStore, type IndexFunction, type Informer } from '@outrigger/controller'
import {
  applyMergePatch,
  applyStrategicMergePatch,
  builtinSchema,
  type KubeList,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type ResourceRef,
} from '@outrigger/kube'

const textOf = ({ namespace, name }: ObjectKey) => (namespace ? `${namespace}/${name}` : name)

/** Objects in memory behind the calls our controllers make, with resource versions and their conflicts. */
export class MemoryCluster
  implements Pick<Client, 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'createSubresource'>
{
  readonly objects = new Map<string, Map<string, KubeObject>>()
  readonly writes: string[] = []
  #version = 0
  /** Consulted before every write; throws what the API server would answer. */
  refuse: (verb: string, resource: ResourceRef, key: string) => void = () => {}

  of(resource: ResourceRef): Map<string, KubeObject> {
    const found = this.objects.get(resource.resource)
    if (found !== undefined) return found
    const made = new Map<string, KubeObject>()
    this.objects.set(resource.resource, made)
    return made
  }

  async get<T extends KubeObject>(resource: ResourceRef, key: ObjectKey): Promise<T> {
    const found = this.of(resource).get(textOf(key))
    if (found === undefined) throw notFound(key.name)
    return structuredClone(found) as T
  }

  async list<T extends KubeObject>(
    resource: ResourceRef,
    { namespace }: ListOptions = {},
  ): Promise<KubeList<T>> {
    this.refuse('list', resource, namespace ?? '')
    const items = [...this.of(resource).values()].filter(
      ({ metadata }) => namespace === undefined || metadata.namespace === namespace,
    )
    return {
      apiVersion: 'v1',
      kind: `${resource.kind}List`,
      metadata: { resourceVersion: String(this.#version) },
      items: structuredClone(items) as T[],
    }
  }

  async create<T extends KubeObject>(resource: ResourceRef, object: unknown): Promise<T> {
    const created = structuredClone(object) as T
    const key = keyOf(created)
    this.#write('create', resource, key)
    if (this.of(resource).has(key)) throw new ApiError(409, { reason: 'AlreadyExists', message: key })
    return this.#put(resource, key, created)
  }

  async update<T extends KubeObject>(resource: ResourceRef, object: T): Promise<T> {
    const key = keyOf(object)
    this.#write('update', resource, key)
    const before = this.of(resource).get(key)
    if (before === undefined) throw notFound(key)
    const { resourceVersion } = object.metadata
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion)
      throw new ApiError(409, { reason: 'Conflict', message: key })
    return this.#put(resource, key, structuredClone(object))
  }

  async patch<T extends KubeObject>(
    resource: ResourceRef,
    key: ObjectKey,
    patch: Patch,
    { subresource, dryRun = false }: SubresourceOption & WriteOptions = {},
  ): Promise<T> {
    const verb = [...(dryRun ? ['try'] : []), subresource === 'resize' ? 'resize' : 'patch'].join(' ')
    this.#write(verb, resource, textOf(key))
    const before = this.of(resource).get(textOf(key))
    if (before === undefined) throw notFound(key.name)
    const expected = (patch.body as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion
    if (expected !== undefined && expected !== before.metadata.resourceVersion)
      throw new ApiError(409, { reason: 'Conflict', message: textOf(key) })
    if (dryRun) return structuredClone(before) as T
    if (patch.type !== 'strategic')
      return this.#put(resource, textOf(key), applyMergePatch(before, patch.body) as T)
    const schema = builtinSchema('io.k8s.api.core.v1.Pod')
    return this.#put(resource, textOf(key), applyStrategicMergePatch(before, patch.body, schema) as T)
  }

  /** Evictions let the pod go at once. */
  async createSubresource<T>(
    resource: ResourceRef,
    key: ObjectKey,
    subresource: string,
    body: unknown,
  ): Promise<T> {
    this.#write(subresource, resource, textOf(key))
    const { uid } =
      (body as { deleteOptions?: { preconditions?: { uid?: string } } }).deleteOptions?.preconditions ?? {}
    const found = this.of(resource).get(textOf(key))
    if (found === undefined) throw notFound(key.name)
    if (uid !== undefined && uid !== found.metadata.uid)
      throw new ApiError(409, { reason: 'Conflict', message: textOf(key) })
    this.of(resource).delete(textOf(key))
    return {} as T
  }

  async delete(resource: ResourceRef, key: ObjectKey): Promise<unknown> {
    this.#write('delete', resource, textOf(key))
    if (!this.of(resource).delete(textOf(key))) throw notFound(key.name)
    return undefined
  }

  #write(verb: string, resource: ResourceRef, key: string): void {
    this.refuse(verb, resource, key)
    this.writes.push(`${verb} ${resource.resource} ${key}`)
  }

  #put<T extends KubeObject>(resource: ResourceRef, key: string, object: T): T {
    this.#version++
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } }
    this.of(resource).set(key, stored)
    return structuredClone(stored)
  }
}

function notFound(name: string): ApiError {
  return new ApiError(404, { reason: 'NotFound', message: `${name} not found`, details: { name } })
}

/** An informer that knows what it is told. */
export class FedInformer<T extends KubeObject> implements Informer<T> {
  readonly hasSynced = true
  readonly synced = Promise.resolve()
  readonly store = new IndexedStore<T>((index, key, error) => {
    throw new Error(`index ${index} of ${key}`, { cause: error })
  })
  readonly #handlers = new Set<ChangeHandler<T>>()

  constructor(objects: readonly T[] = [], indexes: Readonly<Record<string, IndexFunction<T>>> = {}) {
    for (const [name, valuesOf] of Object.entries(indexes)) this.store.addIndex(name, valuesOf)
    for (const object of objects) this.put(object)
  }

  put(object: T): void {
    const before = this.store.set(keyOf(object), object)
    for (const handler of this.#handlers)
      if (before === undefined) handler.onAdd?.(object)
      else handler.onUpdate?.(object, before)
  }

  remove(object: T): void {
    this.store.delete(keyOf(object))
    for (const handler of this.#handlers) handler.onDelete?.(object)
  }

  onChange(handler: ChangeHandler<T>): () => void {
    this.#handlers.add(handler)
    for (const object of this.store.list()) handler.onAdd?.(object)
    return () => void this.#handlers.delete(handler)
  }
}
