import type {
  Container,
  IntOrString,
  KubeObject,
  LabelSelector,
  LocalObjectReference,
  ObjectFieldSelector,
  ObjectMeta,
  Volume,
} from '@outrigger/kube'
import { sidecarSetAnnotations, sidecarSetLabels } from './names.ts'

/**
 * Which containers every matching pod gets, and how they are kept up to date. The union of v1alpha1
 * and v1beta1: `spec.namespace` exists only in the former, `spec.customVersion` only in the latter
 * (a label in the former).
 */
export interface SidecarSet extends KubeObject {
  spec: SidecarSetSpec
  status?: SidecarSetStatus
}

export interface SidecarSetSpec {
  selector?: LabelSelector
  /** v1alpha1 only: shorthand for a namespaceSelector with this one name. */
  namespace?: string
  /** Left out: all namespaces. */
  namespaceSelector?: LabelSelector
  initContainers?: SidecarContainer[] | null
  containers?: SidecarContainer[] | null
  /** Candidates: a pod gets those that a container injected into it mounts. */
  volumes?: Volume[] | null
  updateStrategy?: SidecarSetUpdateStrategy
  injectionStrategy?: SidecarSetInjectionStrategy
  imagePullSecrets?: LocalObjectReference[] | null
  /** Default 10. */
  revisionHistoryLimit?: number
  patchPodMetadata?: SidecarSetPatchPodMetadata[] | null
  /** v1beta1 only. */
  customVersion?: string
}

export interface SidecarContainer extends Container {
  /** Default `BeforeAppContainer` for containers, `AfterAppContainer` for init containers. */
  podInjectPolicy?: 'BeforeAppContainer' | 'AfterAppContainer'
  upgradeStrategy?: SidecarContainerUpgradeStrategy
  /** `enabled`: the sidecar gets the app containers' mounts too. */
  shareVolumePolicy?: ShareVolumePolicy
  shareVolumeDevicePolicy?: ShareVolumePolicy
  transferEnv?: TransferEnv[]
  resourcesPolicy?: ResourcesPolicy
}

export interface SidecarContainerUpgradeStrategy {
  upgradeType?: 'ColdUpgrade' | 'HotUpgrade'
  hotUpgradeEmptyImage?: string
}

export interface ShareVolumePolicy {
  type?: 'enabled' | 'disabled'
}

export interface TransferEnv {
  sourceContainerName?: string
  sourceContainerNameFrom?: { fieldRef?: ObjectFieldSelector }
  envName?: string
  envNames?: string[]
}

export interface ResourcesPolicy {
  targetContainersMode: 'sum' | 'max'
  /** RE2, unanchored. Default `.*`. */
  targetContainersNameRegex?: string
  resourcesExpr: { limits?: ResourceExpressions; requests?: ResourceExpressions }
}

export interface ResourceExpressions {
  cpu?: string
  memory?: string
}

export interface SidecarSetUpdateStrategy {
  /** Default `RollingUpdate`. */
  type?: 'RollingUpdate' | 'NotUpdate'
  paused?: boolean
  selector?: LabelSelector
  partition?: IntOrString
  maxUnavailable?: IntOrString
  priorityStrategy?: UpdatePriorityStrategy
  scatterStrategy?: { key: string; value: string }[]
}

export interface UpdatePriorityStrategy {
  orderPriority?: { orderedKey: string }[]
  weightPriority?: { weight: number; matchSelector: LabelSelector }[]
}

export interface SidecarSetInjectionStrategy {
  paused?: boolean
  revision?: { customVersion?: string; revisionName?: string; policy?: 'Always' | 'Partial' }
}

export interface SidecarSetPatchPodMetadata {
  annotations?: Record<string, string>
  /** Default `Retain`. */
  patchPolicy?: 'Retain' | 'Overwrite' | 'MergePatchJson'
}

export interface SidecarSetStatus {
  observedGeneration?: number
  matchedPods: number
  updatedPods: number
  readyPods: number
  updatedReadyPods?: number
  latestRevision?: string
  collisionCount?: number
  /** Ours: `Progressing`, there only while a rollout has work left that it may not do now. */
  conditions?: SidecarSetCondition[]
}

export interface SidecarSetCondition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
  lastTransitionTime?: string
}

/** A native sidecar: an init container that keeps running. */
export function isNativeSidecar(container: Pick<Container, 'restartPolicy'>): boolean {
  return container.restartPolicy === 'Always'
}

/** Whether the images of its native sidecars are upgraded in place: OpenKruise never does, so it must be asked for. */
export function updatesNativeSidecars(sidecarSet: { metadata: ObjectMeta }): boolean {
  return sidecarSet.metadata.annotations?.[sidecarSetAnnotations.updatesNativeSidecars] === 'true'
}

/** A container whose image a rollout changes, and the list it stands in. */
export interface ManagedSidecar {
  readonly list: 'initContainers' | 'containers'
  readonly sidecar: SidecarContainer
}

/** The containers whose images a rollout of this SidecarSet changes. */
export function managedSidecars(sidecarSet: {
  metadata: ObjectMeta
  spec: SidecarSetSpec
}): ManagedSidecar[] {
  const { containers, initContainers } = sidecarSet.spec
  const natives = updatesNativeSidecars(sidecarSet) ? (initContainers ?? []).filter(isNativeSidecar) : []
  return [
    ...natives.map((sidecar) => ({ list: 'initContainers' as const, sidecar })),
    ...(containers ?? []).map((sidecar) => ({ list: 'containers' as const, sidecar })),
  ]
}

/** Whether a container is upgraded hot: two containers of a pod take turns. */
export function isHotUpgrade({ upgradeStrategy }: Pick<SidecarContainer, 'upgradeStrategy'>): boolean {
  return upgradeStrategy?.upgradeType === 'HotUpgrade'
}

/**
 * The names a SidecarSet's container has in a pod: two for a hot upgrade, which plain init containers, whatever they
 * ask for, do not get.
 */
export function podContainerNames(
  sidecar: Pick<SidecarContainer, 'name' | 'upgradeStrategy' | 'restartPolicy'>,
  list: 'initContainers' | 'containers',
): readonly string[] {
  const isPair = isHotUpgrade(sidecar) && (list === 'containers' || isNativeSidecar(sidecar))
  return isPair ? [`${sidecar.name}-1`, `${sidecar.name}-2`] : [sidecar.name]
}

/**
 * The namespaces a SidecarSet is for; `undefined` means all. `spec.namespace` wins over a
 * namespaceSelector, as it does when v1alpha1 is converted.
 */
export function namespaceSelectorOf(spec: SidecarSetSpec): LabelSelector | undefined {
  if (spec.namespace) return { matchLabels: { 'kubernetes.io/metadata.name': spec.namespace } }
  return spec.namespaceSelector ?? undefined
}

/** The custom version, wherever the version of the object keeps it; empty when it has none. */
export function customVersionOf(sidecarSet: { metadata: ObjectMeta; spec: SidecarSetSpec }): string {
  return sidecarSet.spec.customVersion || sidecarSet.metadata.labels?.[sidecarSetLabels.customVersion] || ''
}

/** Name of the SidecarSet that this one is a canary of; `undefined` when it is no canary. */
export function canaryBaseOf(sidecarSet: { metadata: ObjectMeta }): string | undefined {
  const annotations = sidecarSet.metadata.annotations
  if (annotations?.[sidecarSetAnnotations.canary] !== 'true') return undefined
  return annotations[sidecarSetAnnotations.base] || undefined
}
