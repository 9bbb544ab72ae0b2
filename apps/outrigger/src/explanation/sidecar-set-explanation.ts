import {
  assignsBy,
  foreignReferencesOf,
  isReferenceGranted,
  namespaceSelectorOf,
  type SidecarSet,
  tracksOf,
} from '@outrigger/api'
import { compileSidecarSet, isActive, matchSidecarSet } from '@outrigger/injection'
import { describeLabelSelector, isRecord, keyOf, type Pod } from '@outrigger/kube'
import { injectedSidecarSets } from '@outrigger/operator'
import type { ClusterPicture } from '../manifests/cluster-picture.ts'
import { policyText } from '../rollout/change-way.ts'
import { judgeRollout, type RecordedContents, type RolloutState } from '../rollout/rollout-state.ts'
import { type FailurePolicyStory, failurePolicyOf } from './failure-policy.ts'
import { whyLeftAlone } from './left-alone.ts'

/** Something a SidecarSet needs from another namespace. */
export interface NeededReference {
  readonly field: string
  readonly kind: string
  readonly object: string
  readonly isGranted: boolean
}

/** Why a SidecarSet's pods are as they are. */
export interface SidecarSetExplanation {
  readonly sidecarSet: string
  readonly selector: string
  readonly namespaces: string
  /** What happens to new pods that match. */
  readonly injection: string
  readonly withoutManager: FailurePolicyStory
  readonly isObserved: boolean
  /** Why nobody seems to manage it; absent when somebody does. */
  readonly managerAbsence?: string
  readonly rollout: RolloutState
  /** What becomes of running pods, class by class; absent where nothing is said. */
  readonly changes?: string
  /** Running pods that match, could be injected and do not carry it, as `namespace/name`. */
  readonly missing: readonly string[]
  /** Pods that match and are never injected, by namespace. */
  readonly leftAlone: readonly {
    readonly namespace: string
    readonly pods: number
    readonly reason: string
  }[]
  readonly references: readonly NeededReference[]
  /** What the manager says in status. */
  readonly conditions: readonly string[]
}

/** What may be known about a SidecarSet besides the cluster's objects. */
export interface SidecarSetRecords {
  /** Its earlier contents. */
  readonly recorded?: RecordedContents
  /** See `managerAbsence`. */
  readonly managerAbsence?: string | undefined
}

/** Explains one SidecarSet of a cluster. */
export function explainSidecarSet(
  sidecarSet: SidecarSet,
  picture: ClusterPicture,
  pods: readonly Pod[],
  { recorded, managerAbsence }: SidecarSetRecords = {},
): SidecarSetExplanation {
  const { metadata, spec, status } = sidecarSet
  const compiled = compileSidecarSet(sidecarSet)
  const matches = (pod: Pod) =>
    matchSidecarSet(
      compiled,
      pod.metadata.labels ?? {},
      picture.namespace(pod.metadata.namespace ?? 'default'),
    ).isInjected
  const without = pods.filter(
    (pod) => isActive(pod) && matches(pod) && !injectedSidecarSets(pod).includes(metadata.name),
  )
  const leftAloneReason = (pod: Pod) => whyLeftAlone(picture.namespace(pod.metadata.namespace ?? 'default'))
  const counted = new Map<string, SidecarSetExplanation['leftAlone'][number]>()
  for (const pod of without) {
    const reason = leftAloneReason(pod)
    const { namespace = 'default' } = pod.metadata
    const before = counted.get(namespace)?.pods ?? 0
    if (reason !== undefined) counted.set(namespace, { namespace, pods: before + 1, reason })
  }
  const changes = policyText(sidecarSet)
  const namespaceSelector = namespaceSelectorOf(spec)
  return {
    sidecarSet: metadata.name,
    selector: describeLabelSelector(spec.selector),
    namespaces: namespaceSelector === undefined ? 'all' : describeLabelSelector(namespaceSelector),
    injection: injectionText(sidecarSet),
    withoutManager: failurePolicyOf(sidecarSet),
    isObserved: (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0),
    ...(managerAbsence !== undefined && { managerAbsence }),
    rollout: judgeRollout(sidecarSet, pods, picture.namespace, recorded, picture.canResizePods),
    ...(changes !== undefined && { changes }),
    missing: without.filter((pod) => leftAloneReason(pod) === undefined).map(keyOf),
    leftAlone: [...counted.values()],
    references: neededReferences(sidecarSet, picture),
    conditions: conditionTexts(status),
  }
}

function injectionText(sidecarSet: SidecarSet): string {
  const { spec } = sidecarSet
  if (!spec.injectionStrategy?.paused && tracksOf(sidecarSet).length > 0)
    return `new pods get what their track says${assignsBy(sidecarSet) === 'Workload' ? ', the same for all of a workload' : ''}; on none: ${untrackedText(sidecarSet)}`
  return untrackedText(sidecarSet)
}

function untrackedText({ spec }: SidecarSet): string {
  const { paused, revision } = spec.injectionStrategy ?? {}
  if (paused) return 'paused (injectionStrategy.paused): new pods get nothing'
  if (revision)
    return `new pods get revision ${revision.revisionName || revision.customVersion} (injectionStrategy.revision, policy ${revision.policy ?? 'Always'})`
  return 'new pods that match get the newest content'
}

function neededReferences({ metadata, spec }: SidecarSet, { bindings }: ClusterPicture): NeededReference[] {
  const references = foreignReferencesOf({
    spec: {
      containers: spec.containers ?? [],
      initContainers: spec.initContainers ?? [],
      volumes: spec.volumes ?? [],
    },
  })
  return references.flatMap(({ field, kind, namespace, name }) => {
    if (kind === undefined) return []
    const isGranted = isReferenceGranted({ sidecarSet: metadata.name, kind, namespace, name }, bindings)
    return [{ field, kind, object: `${namespace}/${name}`, isGranted }]
  })
}

function conditionTexts(status: unknown): string[] {
  const conditions: unknown = isRecord(status) ? status['conditions'] : undefined
  if (!Array.isArray(conditions)) return []
  return conditions
    .filter(isRecord)
    .map(({ type, status: value, reason, message }) => `${type}=${value} (${reason}): ${message}`)
}
