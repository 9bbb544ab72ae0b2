import { grantsFor, outriggerResources, type SidecarSetResourceBinding } from '@outrigger/api'
import type { Informer } from '@outrigger/controller'
import type { Pod } from '@outrigger/kube'
import type { CrossNamespaceReference, ReferencePolicy, ReferenceVerdict } from '@outrigger/kubelet'

/**
 * What a virtual node asks before it reads an object of another namespace: SidecarSetResourceBindings
 * decide, and of the pod only what admission protects.
 */
export function bindingPolicy(bindings: Informer<SidecarSetResourceBinding>): ReferencePolicy {
  return {
    review: (pod, reference) => review(pod, reference, bindings.store.list()),
    onChange: (listener) => bindings.onChange({ onAdd: listener, onUpdate: listener, onDelete: listener }),
  }
}

export const bindingResource = outriggerResources.sidecarSetResourceBindings

function review(
  pod: Pod,
  asked: CrossNamespaceReference,
  bindings: readonly SidecarSetResourceBinding[],
): ReferenceVerdict {
  const decision = grantsFor(pod, bindings).find(
    ({ reference }) =>
      reference.kind === asked.kind &&
      reference.namespace === asked.namespace &&
      reference.name === asked.name &&
      isSameHolder(reference.holder, asked.usedBy),
  )
  if (decision === undefined) {
    return {
      isAllowed: false,
      because: `${asked.kind} ${asked.namespace}/${asked.name} lies in another namespace and no SidecarSet brought the reference`,
    }
  }
  return decision.decision === 'granted'
    ? { isAllowed: true }
    : { isAllowed: false, because: decision.message }
}

function isSameHolder(left: object, right: object): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}
