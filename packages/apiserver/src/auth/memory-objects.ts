import type { KubeObject, ObjectKey } from '@outrigger/kube'
import type { Objects } from '../registry/objects.ts'

type GroupResource = { readonly group: string; readonly resource: string }

/** `Objects` without a server behind them. For tests of what reads them. */
export class MemoryObjects implements Objects {
  readonly #resources = new Map<string, { changes: number; readonly objects: Map<string, KubeObject> }>()

  get<T extends KubeObject>(resource: GroupResource, key: ObjectKey): T | undefined {
    return this.#of(resource).objects.get(`${key.namespace}/${key.name}`) as T | undefined
  }

  *list<T extends KubeObject>(resource: GroupResource, namespace?: string): Iterable<T> {
    for (const object of this.#of(resource).objects.values())
      if (namespace === undefined || (object.metadata.namespace ?? '') === namespace) yield object as T
  }

  changes(resource: GroupResource): number {
    return this.#of(resource).changes
  }

  async write<T extends KubeObject>(
    resource: GroupResource,
    key: ObjectKey,
    change: (current: T | undefined) => T | undefined,
  ): Promise<T | undefined> {
    const current = this.get<T>(resource, key)
    const next = change(current === undefined ? undefined : structuredClone(current))
    if (next === undefined) return current
    this.put(resource, next)
    return next
  }

  put(resource: GroupResource, object: KubeObject): void {
    const entry = this.#of(resource)
    entry.changes++
    entry.objects.set(`${object.metadata.namespace ?? ''}/${object.metadata.name}`, object)
  }

  remove(resource: GroupResource, key: ObjectKey): void {
    const entry = this.#of(resource)
    entry.changes++
    entry.objects.delete(`${key.namespace}/${key.name}`)
  }

  #of({ group, resource }: GroupResource) {
    const name = `${group}/${resource}`
    let entry = this.#resources.get(name)
    if (entry === undefined) {
      entry = { changes: 0, objects: new Map() }
      this.#resources.set(name, entry)
    }
    return entry
  }
}
