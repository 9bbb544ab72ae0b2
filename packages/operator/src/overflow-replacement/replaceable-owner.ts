import type { OwnerReference, Pod } from '@outrigger/kube'

/** A controller that makes a new pod for one that was deleted, and counts nobody's failure. */
export interface ReplaceableOwner {
  readonly reference: OwnerReference
  /** Tells owners apart: their namespace and uid. */
  readonly key: string
  /** Whether the new pod has the name of the old one. */
  readonly keepsNames: boolean
}

export type OwnerVerdict =
  | { readonly isReplaceable: true; readonly owner: ReplaceableOwner }
  | { readonly isReplaceable: false; readonly reason: string }

const keepsNames = new Map<string, boolean>([
  ['v1 ReplicationController', false],
  ['apps ReplicaSet', false],
  ['apps StatefulSet', true],
  ['apps.kruise.io CloneSet', false],
  ['apps.kruise.io StatefulSet', true],
])

/** Whether somebody makes a new pod in the place of this one, at no cost but the pod's name and uid. */
export function ownerOf({ metadata }: Pod): OwnerVerdict {
  const reference = metadata.ownerReferences?.find(({ controller }) => controller)
  if (reference === undefined)
    return { isReplaceable: false, reason: 'nothing would make a new one: it has no controller' }
  const { apiVersion, kind, name, uid } = reference
  const keeps = keepsNames.get(`${apiVersion.includes('/') ? apiVersion.split('/')[0] : apiVersion} ${kind}`)
  if (keeps === undefined) return { isReplaceable: false, reason: reasonFor(kind, name) }
  return {
    isReplaceable: true,
    owner: { reference, key: `${metadata.namespace ?? ''}/${uid}`, keepsNames: keeps },
  }
}

function reasonFor(kind: string, name: string): string {
  if (kind === 'Job') return `Job ${name} would count the deleted pod as a failure`
  if (kind === 'DaemonSet') return `DaemonSet ${name} would make it anew for the same node`
  return `what ${kind} ${name} does about a deleted pod is not known`
}
