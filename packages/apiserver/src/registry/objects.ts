import type { KubeObject, ObjectKey, ResourceRef } from '@outrigger/kube'

type GroupResource = Pick<ResourceRef, 'group' | 'resource'>

/**
 * The stored objects, as admission, authorization and subresources see them: current, in the storage
 * version, frozen. Reading is synchronous because the current state is held in memory.
 */
export interface Objects {
  get<T extends KubeObject>(resource: GroupResource, key: ObjectKey): T | undefined
  /** All of a resource, or of one namespace. */
  list<T extends KubeObject>(resource: GroupResource, namespace?: string): Iterable<T>
  /** Counts every write to the resource; unchanged means a derived index is still right. */
  changes(resource: GroupResource): number
  /**
   * Writes without admission, for the server's own bookkeeping. `change` gets a private copy of the
   * current object (undefined when there is none) and returns what is to be stored, or undefined to
   * leave things alone. Repeated on a lost race; resolves with what is stored now.
   */
  write<T extends KubeObject>(
    resource: GroupResource,
    key: ObjectKey,
    change: (current: T | undefined) => T | undefined,
  ): Promise<T | undefined>
}
