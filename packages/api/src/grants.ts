import type { Pod } from '@outrigger/kube'
import { podAnnotations } from './names.ts'
import {
  explanationOf,
  type ForeignReference,
  foreignReferencesOf,
  namespaceOf,
  parseInjectedReferences,
} from './references.ts'
import type { ReferenceKind, SidecarSetResourceBinding } from './sidecar-set-resource-binding.ts'

/** May pods read this object through this SidecarSet? */
export interface GrantQuestion {
  readonly sidecarSet: string
  readonly kind: ReferenceKind
  readonly namespace: string
  readonly name: string
}

/** True if a binding in the object's namespace names both the SidecarSet and the object. One that is being deleted grants nothing. */
export function isReferenceGranted(
  question: GrantQuestion,
  bindings: Iterable<SidecarSetResourceBinding>,
): boolean {
  for (const binding of bindings) if (grants(binding, question)) return true
  return false
}

function grants(binding: SidecarSetResourceBinding, question: GrantQuestion): boolean {
  return (
    binding.metadata.namespace === question.namespace &&
    binding.metadata.deletionTimestamp === undefined &&
    binding.spec.subjects.some(
      (subject) => subject.kind === 'SidecarSet' && subject.name === question.sidecarSet,
    ) &&
    binding.spec.resourceRefs.some((ref) => ref.kind === question.kind && ref.name === question.name)
  )
}

/** What the node may do about one `namespace/name` in a pod. */
export interface ReferenceDecision {
  readonly reference: ForeignReference
  /**
   * `granted`: resolve it. `waiting`: it came from a SidecarSet but no binding covers it (yet): the
   * pod waits. `refused`: it did not come from a SidecarSet; nothing the pod waits for can change that.
   */
  readonly decision: 'granted' | 'waiting' | 'refused'
  /** The SidecarSet it came from, unless refused. */
  readonly sidecarSet?: string
  /** For a person; names the field and what to do. Empty when granted. */
  readonly message: string
}

/**
 * One decision for each `namespace/name` in the pod, in the order of the pod's fields. Trusts the
 * annotation `outrigger.dev/injected-references`, which is sound only for pods that carry the label
 * `serverless.alibabacloud.com/virtual-node`: admission lets nobody else write either.
 */
export function grantsFor(pod: Pod, bindings: readonly SidecarSetResourceBinding[]): ReferenceDecision[] {
  const references = foreignReferencesOf(pod)
  if (references.length === 0) return []
  const injected =
    parseInjectedReferences(pod.metadata.annotations?.[podAnnotations.injectedReferences]) ?? []
  return references.map((reference) => {
    const { kind, namespace, name } = reference
    const record = explanationOf(reference, injected)
    if (record === undefined || kind === undefined)
      return {
        reference,
        decision: 'refused',
        message: `${reference.field}: ${namespace}/${name} was not injected by a SidecarSet; only SidecarSets may refer to objects of other namespaces`,
      }
    const { sidecarSet } = record
    if (namespace === namespaceOf(pod) || isReferenceGranted({ sidecarSet, kind, namespace, name }, bindings))
      return { reference, decision: 'granted', sidecarSet, message: '' }
    return {
      reference,
      decision: 'waiting',
      sidecarSet,
      message: `${reference.field}: SidecarSet ${sidecarSet} is not authorized to read ${kind} ${namespace}/${name}; create a SidecarSetResourceBinding in namespace ${namespace} that names both`,
    }
  })
}
