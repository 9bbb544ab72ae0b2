import { grantsFor, podAnnotations, virtualNodeNames } from '@outrigger/api'
import {
  applyPlan,
  type ContentDecision,
  type Destination,
  type InjectionFacts,
  isActive,
  planInjection,
  planPod,
  type VolumeDecision,
} from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import type { ClusterPicture } from '../manifests/cluster-picture.ts'
import { type ContainerOrigin, originsOf } from './origins.ts'
import { nativeRemedy, outlivingSidecars } from './outliving-sidecars.ts'
import { type SidecarSetVerdict, verdictsFor } from './sidecar-set-verdict.ts'

/** Where a pod will run, as far as that is known. */
export interface DestinationStory {
  /** `none`: certainly no virtual node. `open`: the scheduler decides. */
  readonly node: 'virtual' | 'open' | 'none'
  readonly reason: string
}

/** One `namespace/name` in a pod and what becomes of it. */
export interface ReferenceStory {
  readonly field: string
  readonly kind: string
  readonly object: string
  readonly decision: 'granted' | 'waiting' | 'refused'
  /** What to do about it; empty when granted. */
  readonly message: string
}

/** A label, annotation or field that the plan sets outside of containers and volumes. */
export interface FieldChange {
  readonly field: string
  readonly reason: string
}

/** Everything injection does to one pod and why. */
export interface InjectionExplanation {
  readonly destination: DestinationStory
  readonly sidecarSets: readonly SidecarSetVerdict[]
  /** For each SidecarSet that has several contents to choose from. */
  readonly contents: readonly ContentDecision[]
  readonly containers: readonly ContainerOrigin[]
  readonly volumes: readonly VolumeDecision[]
  readonly fields: readonly FieldChange[]
  readonly references: readonly ReferenceStory[]
  readonly warnings: readonly string[]
}

/** A pod as it leaves injection, with the explanation. */
export interface InjectedPod {
  readonly pod: Pod
  readonly explanation: InjectionExplanation
}

export interface InjectionSettings {
  readonly picture: ClusterPicture
  /** RFC 3339: the time that records carry. */
  readonly time: string
  /** Takes every pod whose destination is open as one that has come to a virtual node. */
  readonly comesToVirtualNode: boolean
}

/**
 * Injects one pod as admission would, and says why.
 *
 * @throws InjectionFailure when the pod cannot be injected as it is.
 */
export function explainInjection(
  pod: Pod,
  { picture, time, comesToVirtualNode }: InjectionSettings,
): InjectedPod {
  const facts = {
    sidecarSets: picture.sidecarSets,
    namespace: picture.namespace(pod.metadata.namespace ?? 'default'),
    time,
    isVirtualNode: (name: string) => comesToVirtualNode || picture.isVirtualNode(name),
  }
  const plan = planPod(pod, facts)
  const destination = storyOf(plan.destination, pod)
  const isLate = comesToVirtualNode && destination.node === 'open' && isActive(pod)
  const [subject, effective] = isLate ? latePlan(applyPlan(pod, plan), facts) : [pod, plan]
  const injected = applyPlan(subject, effective)
  const labels = injected.metadata.labels ?? {}
  return {
    pod: injected,
    explanation: {
      destination: isLate
        ? {
            node: 'virtual',
            reason: `as asked for with --node-type virtual; by itself it is open: ${destination.reason}`,
          }
        : destination,
      sidecarSets: verdictsFor(labels, facts.namespace, facts.sidecarSets, effective.sidecarSets),
      contents: effective.contents,
      containers: originsOf(injected, effective.containers, facts.sidecarSets),
      volumes: effective.volumes,
      fields: fieldChanges(pod, injected),
      references: referencesOf(injected, picture),
      warnings: [...effective.warnings, ...endWarnings(injected, destination.node === 'virtual' || isLate)],
    },
  }
}

function endWarnings(injected: Pod, isOnVirtualNode: boolean): string[] {
  const names = outlivingSidecars(injected, isOnVirtualNode).map(({ name }) => name)
  if (names.length === 0) return []
  return [
    `the pod does not end before ${names.join(', ')} ${names.length === 1 ? 'does' : 'do'}, though its own containers may; ${nativeRemedy}`,
  ]
}

/** What happens once a pod has come to a virtual node: it is labelled, and gets what may still be added. */
function latePlan(pod: Pod, facts: InjectionFacts): [Pod, ReturnType<typeof planInjection>] {
  const metadata = {
    ...pod.metadata,
    labels: { ...pod.metadata.labels, [virtualNodeNames.podLabel]: 'true' },
  }
  const labelled = { ...pod, metadata }
  return [labelled, planInjection(labelled, { ...facts, isLate: true })]
}

/** `none` where the pod is bound to an ordinary node already, or belongs to one. */
export function storyOf({ isCertain, reason }: Destination, pod: Pod): DestinationStory {
  if (isCertain) return { node: 'virtual', reason }
  const belongsToNode = pod.metadata.ownerReferences?.some(
    ({ kind, controller }) => kind === 'DaemonSet' && controller,
  )
  return { node: pod.spec.nodeName || belongsToNode ? 'none' : 'open', reason }
}

export function referencesOf(pod: Pod, { bindings }: Pick<ClusterPicture, 'bindings'>): ReferenceStory[] {
  return grantsFor(pod, bindings).map(({ reference, decision, message }) => ({
    field: reference.field,
    kind: reference.kind ?? 'Secret',
    object: `${reference.namespace}/${reference.name}`,
    decision,
    message: message.replace(`${reference.field}: `, ''),
  }))
}

function fieldChanges(before: Pod, after: Pod): FieldChange[] {
  const changes: FieldChange[] = []
  const compare = (map: 'labels' | 'annotations', reason: (key: string) => string) => {
    for (const [key, value] of Object.entries(after.metadata[map] ?? {}))
      if (before.metadata[map]?.[key] !== value)
        changes.push({ field: `metadata.${map}[${key}]`, reason: reason(key) })
  }
  compare('labels', (key) =>
    key === virtualNodeNames.podLabel ? 'the pod runs on a virtual node' : 'set by injection',
  )
  compare('annotations', annotationReason)
  const fields = [
    ['nodeSelector', 'brings the pod to a virtual node'],
    ['tolerations', 'lets the pod onto virtual nodes'],
    ['affinity', 'excluded virtual nodes'],
    ['imagePullSecrets', 'imagePullSecrets of the SidecarSets'],
  ] as const
  for (const [field, reason] of fields)
    if (before.spec[field] !== after.spec[field]) changes.push({ field: `spec.${field}`, reason })
  return changes
}

function annotationReason(key: string): string {
  switch (key) {
    case podAnnotations.hash:
      return 'records what was injected, and in which revision'
    case podAnnotations.hashWithoutImage:
      return 'records it without images, to tell what can change in place'
    case podAnnotations.injectedList:
      return 'names the injected SidecarSets'
    case podAnnotations.injectedReferences:
      return 'tells the virtual node which references to other namespaces came from a SidecarSet'
    case podAnnotations.trackSeed:
      return 'lets later choices between contents come out the same'
    default:
      return key.startsWith('version') || key === podAnnotations.workingHotUpgradeContainer
        ? 'keeps track of hot upgrades'
        : 'patchPodMetadata of a SidecarSet'
  }
}
