import {
  explanationOf,
  foreignReferencesOf,
  type InjectedReference,
  isHotUpgrade,
  isInjectionAnnotation,
  parseInjectedReferences,
  podAnnotations,
  virtualNodeNames,
} from '@outrigger/api'
import { type FieldError, forbidden, invalid, type Pod } from '@outrigger/kube'
import { isInjected } from './build-sidecar.ts'
import { coversPod, type NamespaceFacts } from './match.ts'
import type { SidecarSetIndex } from './sidecar-set-index.ts'

// What a pod's author may not write. The virtual node believes the label and the record of injected
// references because these rules keep everyone but injection from writing them.

const { podLabel } = virtualNodeNames

/** Whether the pod says it is settled for a virtual node. */
export function hasVirtualNodeLabel(pod: Pod): boolean {
  return pod.metadata.labels?.[podLabel] !== undefined
}

/** Where a pod goes, as far as its author may be held to it. */
export interface PodProspects {
  /**
   * Whether it goes to a virtual node, where records of injection are believed. Elsewhere they are harmless and stay,
   * as in OpenKruise: backups of ordinary pods can be restored. Default true.
   */
  readonly goesToVirtualNode?: boolean
}

/** What is wrong with a pod as its author wrote it, before injection. */
export function authoredPodErrors(pod: Pod, { goesToVirtualNode = true }: PodProspects = {}): FieldError[] {
  const errors: FieldError[] = []
  if (hasVirtualNodeLabel(pod))
    errors.push(
      forbidden(
        `metadata.labels[${podLabel}]`,
        `is set by Outrigger alone, once the pod's placement on a virtual node is certain; remove it, and ask for a virtual node with the label ${virtualNodeNames.eciLabel}: "true"`,
      ),
    )
  if (goesToVirtualNode) errors.push(...claimErrors(pod))
  errors.push(...authoredReferenceErrors(pod))
  return errors
}

function claimErrors(pod: Pod): FieldError[] {
  const claims = Object.keys(pod.metadata.annotations ?? {})
    .filter(isInjectionAnnotation)
    .sort()
  const [first] = claims
  if (first === undefined) return []
  const copied = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].filter(isInjected)
  const remedy =
    copied.length > 0
      ? `this looks like a copy of a pod that is running already: remove these annotations, the injected containers (${copied.map(({ name }) => name).join(', ')}) and their volumes, or copy the pod template of its workload instead`
      : `remove ${claims.length > 1 ? 'them' : 'it'}; matching SidecarSets are injected without`
  return [
    forbidden(
      `metadata.annotations[${first}]`,
      `${claims.length > 1 ? `it and ${claims.slice(1).join(', ')} are` : 'it is'} written by injection alone; ${remedy}`,
    ),
  ]
}

/**
 * What an injected pod claims and does not have: SidecarSets that do not cover it, or whose containers it lacks. For
 * pods that reach a virtual node late, with records from before.
 */
export function falseClaimErrors(
  pod: Pod,
  { sidecarSets, namespace }: { readonly sidecarSets: SidecarSetIndex; readonly namespace: NamespaceFacts },
): FieldError[] {
  const present = new Set(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name),
  )
  const claimed = pod.metadata.annotations?.[podAnnotations.injectedList]?.split(',').filter(Boolean) ?? []
  return claimed.flatMap((name) => {
    const compiled = sidecarSets.get(name)
    const covers = compiled !== undefined && coversPod(compiled, pod.metadata.labels ?? {}, namespace)
    const lacks = compiled?.sidecarSet.spec.containers?.find(
      (sidecar) => !present.has(isHotUpgrade(sidecar) ? `${sidecar.name}-1` : sidecar.name),
    )
    if (covers && lacks === undefined) return []
    return [
      forbidden(
        `metadata.annotations[${podAnnotations.injectedList}]`,
        covers
          ? `claims SidecarSet ${name}, but the pod has no container ${lacks?.name}`
          : `claims SidecarSet ${name}, which is not one for this pod`,
      ),
    ]
  })
}

function authoredReferenceErrors(pod: Pod): FieldError[] {
  return foreignReferencesOf(pod).map(({ field, namespace, name }) =>
    forbidden(
      field,
      namespace === pod.metadata.namespace
        ? `names ${namespace}/${name}, an object of the pod's own namespace; write ${name} alone`
        : `names ${namespace}/${name}; a pod may not refer to objects of other namespaces. Only the volumes of a SidecarSet may, if a SidecarSetResourceBinding in namespace ${namespace} allows it`,
    ),
  )
}

/**
 * What is wrong with a pod after injection: every reference to another namespace must be one that a
 * SidecarSet matching the pod brings (`expected`), and the record must say exactly that.
 */
export function injectedPodErrors(pod: Pod, expected: readonly InjectedReference[]): FieldError[] {
  const field = `metadata.annotations[${podAnnotations.injectedReferences}]`
  const recorded = parseInjectedReferences(pod.metadata.annotations?.[podAnnotations.injectedReferences])
  if (recorded === undefined)
    return [
      invalid(
        field,
        pod.metadata.annotations?.[podAnnotations.injectedReferences],
        'is not a list of references',
      ),
    ]
  const errors: FieldError[] = []
  const keys = new Set(expected.map(keyOfReference))
  for (const record of recorded) {
    if (keys.has(keyOfReference(record))) continue
    errors.push(
      forbidden(
        field,
        `claims ${record.kind} ${record.namespace}/${record.name} for SidecarSet ${record.sidecarSet}, which brings no such reference to this pod`,
      ),
    )
  }
  for (const reference of foreignReferencesOf(pod)) {
    if (explanationOf(reference, recorded) !== undefined) continue
    errors.push(
      forbidden(
        reference.field,
        `names ${reference.namespace}/${reference.name}, which no SidecarSet that matches the pod brought`,
      ),
    )
  }
  return errors
}

function keyOfReference({ sidecarSet, kind, namespace, name, volume, container }: InjectedReference): string {
  return JSON.stringify([sidecarSet, kind, namespace, name, volume ?? null, container ?? null])
}

/** What is wrong with an update by anyone but Outrigger itself. */
export function updatedPodErrors(pod: Pod, old: Pod): FieldError[] {
  const errors: FieldError[] = []
  const label = pod.metadata.labels?.[podLabel]
  if (label !== old.metadata.labels?.[podLabel])
    errors.push(
      forbidden(
        `metadata.labels[${podLabel}]`,
        'is set by Outrigger alone and stays for the life of the pod; leave it as it is',
      ),
    )
  const keys = new Set(
    [pod, old].flatMap(({ metadata }) =>
      Object.keys(metadata.annotations ?? {}).filter(isInjectionAnnotation),
    ),
  )
  for (const key of [...keys].sort()) {
    if (pod.metadata.annotations?.[key] === old.metadata.annotations?.[key]) continue
    errors.push(forbidden(`metadata.annotations[${key}]`, 'is written by Outrigger alone; leave it as it is'))
  }
  const before = new Set(
    foreignReferencesOf(old).map(({ field, namespace, name }) => `${field} ${namespace}/${name}`),
  )
  for (const { field, namespace, name } of foreignReferencesOf(pod))
    if (!before.has(`${field} ${namespace}/${name}`))
      errors.push(
        forbidden(field, `names ${namespace}/${name}; an update may not add references to other namespaces`),
      )
  return errors
}
