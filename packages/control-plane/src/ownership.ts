import type { KubeObject, OwnerReference } from '@outrigger/kube'

/** The owner that controls the object, if that is of the kind. */
export function ownedBy(object: KubeObject, kind: string): OwnerReference | undefined {
  const owner = controllerReference(object)
  return owner?.kind === kind ? owner : undefined
}

/** The one owner reference with `controller: true`. */
export function controllerReference(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true)
}

export function controllerUid(object: KubeObject): string | undefined {
  return controllerReference(object)?.uid
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerUid(object) === owner.metadata.uid
}

/** Index functions that all informers of this room carry. */
export const ownershipIndexes = {
  /** By uid of the controlling owner; objects without one under the empty text. */
  owner: (object: KubeObject): readonly string[] => [controllerUid(object) ?? ''],
  uid: (object: KubeObject): readonly string[] => [object.metadata.uid ?? ''],
}
