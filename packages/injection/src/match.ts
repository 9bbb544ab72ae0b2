import { canaryBaseOf } from '@outrigger/api'
import { fieldSince, type Labels, type Pod, type Release } from '@outrigger/kube'
import type { CompiledSidecarSet } from './sidecar-set-index.ts'

/** Where a pod lives, as far as selectors ask. */
export interface NamespaceFacts {
  readonly name: string
  /** `undefined`: the namespace could not be read; then no namespaceSelector matches. */
  readonly labels: Labels | undefined
}

/** Whether one SidecarSet is injected into a pod, and the sentence that says why. */
export interface SidecarSetDecision {
  readonly sidecarSet: string
  readonly isInjected: boolean
  readonly reason: string
}

/** A pod that has ended or is on its way out gets nothing. */
export function isActive(pod: Pick<Pod, 'metadata' | 'status'>): boolean {
  const phase = pod.status?.phase
  return phase !== 'Succeeded' && phase !== 'Failed' && pod.metadata.deletionTimestamp === undefined
}

const nativeSidecarsSince = fieldSince('io.k8s.api.core.v1.Container', 'restartPolicy')

/**
 * Whether pods of a release know native sidecars. An older API server drops what makes one, and the pod would wait for
 * an init container that never ends.
 */
export function knowsNativeSidecars(release: Release | undefined): boolean {
  return release === undefined || release >= nativeSidecarsSince
}

/** Whether this SidecarSet, looked at alone, wants this pod and can be injected in this release. Never throws. */
export function matchSidecarSet(
  compiled: CompiledSidecarSet,
  labels: Labels,
  namespace: NamespaceFacts,
  release?: Release,
): SidecarSetDecision {
  const { sidecarSet, selects, selectsNamespace, nativeSidecar, weight } = compiled
  const decide = (isInjected: boolean, reason: string): SidecarSetDecision => ({
    sidecarSet: sidecarSet.metadata.name,
    isInjected,
    reason,
  })
  if (selects === undefined) return decide(false, 'its selector is empty, which selects no pod')
  if (!selects.matches(labels)) return decide(false, "the pod's labels do not match its selector")
  if (selectsNamespace !== undefined) {
    if (namespace.labels === undefined) return decide(false, `namespace ${namespace.name} is not known`)
    if (!selectsNamespace.matches(namespace.labels))
      return decide(false, `the labels of namespace ${namespace.name} do not match its namespaceSelector`)
  }
  if (sidecarSet.spec.injectionStrategy?.paused)
    return decide(false, 'its injection is paused (injectionStrategy.paused)')
  if (nativeSidecar !== undefined && !knowsNativeSidecars(release))
    return decide(
      false,
      `its init container ${nativeSidecar} is a native sidecar, which this Kubernetes (1.${release}) does not know and would wait for to end; they come with 1.${nativeSidecarsSince}`,
    )
  const order = weight === 0 ? '' : `; its injection weight is ${weight}`
  return decide(true, `selector and namespace match${order}`)
}

/** Whether selector and namespaces cover a pod, whatever is paused: what counts once a pod is injected. */
export function coversPod(
  { selects, selectsNamespace }: CompiledSidecarSet,
  labels: Labels,
  namespace: NamespaceFacts,
): boolean {
  if (selects === undefined || !selects.matches(labels)) return false
  return (
    selectsNamespace === undefined ||
    (namespace.labels !== undefined && selectsNamespace.matches(namespace.labels))
  )
}

/** Takes out every SidecarSet for which a canary of it is injected. */
export function suppressBases(
  decisions: readonly SidecarSetDecision[],
  candidates: readonly CompiledSidecarSet[],
): SidecarSetDecision[] {
  const canaries = new Map<string, string>()
  candidates.forEach(({ sidecarSet }, i) => {
    const base = canaryBaseOf(sidecarSet)
    if (base !== undefined && decisions[i]?.isInjected) canaries.set(base, sidecarSet.metadata.name)
  })
  return decisions.map((decision) => {
    const canary = decision.isInjected ? canaries.get(decision.sidecarSet) : undefined
    if (canary === undefined) return decision
    return { ...decision, isInjected: false, reason: `its canary ${canary} is injected instead` }
  })
}
