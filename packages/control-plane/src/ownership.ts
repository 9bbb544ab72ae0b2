import type { KubeObject, OwnerReference, Pod } from '@outrigger/kube'

/** The owner that controls the object, if that is of the kind. */
export function ownedBy(object: KubeObject, kind: string): OwnerReference | undefined {
  const owner = controllerReference(object)
  return owner?.kind === kind ? owner : undefined
}

/** The one owner reference with `controller: true`. */
export function controllerReference(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true)
}

/** The uid in that reference. */
export function controllerUid(object: KubeObject): string | undefined {
  return controllerReference(object)?.uid
}

/** Whether this very owner (by uid) controls the object. */
export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerUid(object) === owner.metadata.uid
}

const byOwner = (object: KubeObject): readonly string[] => [controllerUid(object) ?? '']
const byUid = (object: KubeObject): readonly string[] => [object.metadata.uid ?? '']
const byNamespace = (object: KubeObject): readonly string[] => [object.metadata.namespace ?? '']
const orphansByNamespace = (object: KubeObject): readonly string[] =>
  controllerUid(object) === undefined ? [object.metadata.namespace ?? ''] : []
const podsByNode = (pod: Pod): readonly string[] => (pod.spec.nodeName ? [pod.spec.nodeName] : [])

/**
 * Index functions of this room's informers. They are constants because informers are shared, and an
 * index belongs to one function only.
 */
export const indexes = {
  /** By uid of the controlling owner; objects without one under the empty text. */
  owner: byOwner,
  uid: byUid,
  namespace: byNamespace,
  /** By namespace, only objects that nobody controls. */
  orphans: orphansByNamespace,
} as const

/** By the node a pod is bound to. */
export const podIndexes = {
  owner: byOwner,
  namespace: byNamespace,
  orphans: orphansByNamespace,
  node: podsByNode,
} as const
