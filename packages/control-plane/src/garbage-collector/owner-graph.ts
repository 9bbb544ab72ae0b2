import type { KubeObject, OwnerReference, ResourceRef } from '@outrigger/kube'

/** An object as the collector remembers it: who it is, whom it belongs to, whether it is going. */
export interface GraphNode {
  readonly uid: string
  readonly ref: ResourceRef
  readonly namespace: string
  readonly name: string
  readonly owners: readonly OwnerReference[]
  readonly isDeleting: boolean
  readonly finalizers: readonly string[]
}

/** What of an object matters for garbage collection. */
export function graphNode(ref: ResourceRef, object: KubeObject): GraphNode {
  return {
    uid: object.metadata.uid ?? '',
    ref,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    owners: object.metadata.ownerReferences ?? [],
    isDeleting: object.metadata.deletionTimestamp !== undefined,
    finalizers: object.metadata.finalizers ?? [],
  }
}

/** Who belongs to whom, by uid. Each event costs work for the object and its own links only. */
export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>()
  readonly #dependents = new Map<string, Set<string>>()

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid)
  }

  set(node: GraphNode): void {
    this.#unlink(this.#nodes.get(node.uid))
    this.#nodes.set(node.uid, node)
    for (const owner of node.owners) {
      const dependents = this.#dependents.get(owner.uid) ?? new Set()
      dependents.add(node.uid)
      this.#dependents.set(owner.uid, dependents)
    }
  }

  delete(uid: string): void {
    this.#unlink(this.#nodes.get(uid))
    this.#nodes.delete(uid)
  }

  dependentsOf(uid: string): readonly GraphNode[] {
    const dependents: GraphNode[] = []
    for (const dependent of this.#dependents.get(uid) ?? []) {
      const node = this.#nodes.get(dependent)
      if (node !== undefined) dependents.push(node)
    }
    return dependents
  }

  #unlink(node: GraphNode | undefined): void {
    for (const owner of node?.owners ?? []) {
      const dependents = this.#dependents.get(owner.uid)
      dependents?.delete(node?.uid ?? '')
      if (dependents?.size === 0) this.#dependents.delete(owner.uid)
    }
  }
}
