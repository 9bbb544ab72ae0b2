import type { KubeObject } from '@outrigger/kube'

/**
 * The consent of a namespace's owner that pods of other namespaces read some of its objects through
 * the volumes of named SidecarSets. Exact names only; nothing but get, list and watch.
 */
export interface SidecarSetResourceBinding extends KubeObject {
  spec: SidecarSetResourceBindingSpec
  status?: SidecarSetResourceBindingStatus
}

export interface SidecarSetResourceBindingSpec {
  subjects: BindingSubject[]
  resourceRefs: BindingResourceRef[]
}

export interface BindingSubject {
  kind: 'SidecarSet'
  name: string
}

export interface BindingResourceRef {
  kind: ReferenceKind
  /** In the namespace of the binding. */
  name: string
}

/** What can be referred to across namespaces. */
export type ReferenceKind = 'ConfigMap' | 'Secret'

export interface SidecarSetResourceBindingStatus {
  observedGeneration?: number
  conditions?: BindingCondition[]
  /** `Kind/name` of objects that exist. */
  resolvedRefs?: string[]
  /** `Kind/name` of objects that do not. */
  missingRefs?: string[]
  /** The SidecarSets as they were when the binding last took effect. */
  subjects?: { name: string; uid: string }[]
}

export interface BindingCondition {
  type: 'Ready'
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
  lastTransitionTime: string
  observedGeneration?: number
}
