import type { Pod } from '@outrigger/kube'

/** A ConfigMap or Secret of another namespace that a pod names as `namespace/name`. */
export interface CrossNamespaceReference {
  readonly kind: 'ConfigMap' | 'Secret'
  readonly namespace: string
  readonly name: string
  /** Which part of the pod names it. */
  readonly usedBy:
    | { readonly volume: string }
    /** An environment variable or `envFrom` of this container. */
    | { readonly container: string }
}

export type ReferenceVerdict =
  | { readonly isAllowed: true }
  /**
   * `because` is a sentence for the owner of the pod. It names the SidecarSet, the object and what to
   * create; it ends up in `kubectl describe pod`.
   */
  | { readonly isAllowed: false; readonly because: string }

/**
 * Decides which references into other namespaces a virtual node resolves. The pod decides nothing about
 * other people's objects: the answer must not rest on what a pod says of itself alone.
 */
export interface ReferencePolicy {
  /** Quick and without effects; asked again whenever the pod is looked at. */
  review(pod: Pod, reference: CrossNamespaceReference): ReferenceVerdict
  /** Calls back when answers may have changed. Returns a function that ends this. */
  onChange?(listener: () => void): () => void
}

/** Allows nothing: for nodes without SidecarSets. */
export const refuseAllReferences: ReferencePolicy = {
  review: (_pod, reference) => ({
    isAllowed: false,
    because: `${reference.kind} ${reference.namespace}/${reference.name} lies in another namespace, and this node resolves no such references`,
  }),
}

/** The waiting reason and event reason of a pod whose reference is refused. */
export const notAuthorizedReason = 'SidecarSetResourceNotAuthorized'

/** The two parts of `namespace/name`, or undefined for a plain name. */
export function parseReference(
  name: string,
): { readonly namespace: string; readonly name: string } | undefined {
  const slash = name.indexOf('/')
  if (slash < 0) return undefined
  return { namespace: name.slice(0, slash), name: name.slice(slash + 1) }
}
