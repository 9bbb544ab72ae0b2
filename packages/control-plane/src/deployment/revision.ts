import { type Deployment, deepEqual, type PodTemplateSpec, type ReplicaSet } from '@outrigger/kube'
import { byAge } from './rollout.ts'

export const revisionAnnotation = 'deployment.kubernetes.io/revision'
const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history'
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas'
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas'
export const templateHashLabel = 'pod-template-hash'

/** Annotations that belong to a Deployment or to its own bookkeeping and are not passed to ReplicaSets. */
const notCopied = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.to',
])

/** The oldest ReplicaSet that runs the deployment's template as it is today. */
export function findCurrent(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...sets].sort(byAge).find((set) => isSameTemplate(set.spec.template, deployment.spec.template))
}

/** Whether two templates differ in nothing but the hash label. */
export function isSameTemplate(
  left: PodTemplateSpec | undefined,
  right: PodTemplateSpec | undefined,
): boolean {
  return deepEqual(withoutHash(left), withoutHash(right))
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  const { [templateHashLabel]: _, ...labels } = template?.metadata?.labels ?? {}
  return { ...template, metadata: { ...template?.metadata, labels, creationTimestamp: null } }
}

/** The number after a ReplicaSet's revision annotation; 0 when it has none. */
export function revisionOf(set: ReplicaSet): number {
  const text = set.metadata.annotations?.[revisionAnnotation] ?? ''
  return /^\d+$/.test(text) ? Number(text) : 0
}

/**
 * Annotations the current ReplicaSet is to carry. A template that comes back (undo) gets the next
 * revision, and its former one moves into the history annotation.
 */
export function currentAnnotations(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  sizes: { readonly desired: number; readonly max: number },
): Record<string, string> {
  const annotations: Record<string, string> = { ...current?.metadata.annotations }
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {}))
    if (!notCopied.has(key)) annotations[key] = value
  const next = Math.max(0, ...old.map(revisionOf)) + 1
  const before = current === undefined ? 0 : revisionOf(current)
  if (before < next) {
    annotations[revisionAnnotation] = String(next)
    const history = annotations[revisionHistoryAnnotation]
    if (before > 0)
      annotations[revisionHistoryAnnotation] = history === undefined ? String(before) : `${history},${before}`
  }
  annotations[desiredReplicasAnnotation] = String(sizes.desired)
  annotations[maxReplicasAnnotation] = String(sizes.max)
  return annotations
}

/** The size wished when the set was last resized; undefined when nothing is written there. */
export function desiredBefore(set: ReplicaSet): number | undefined {
  const text = set.metadata.annotations?.[desiredReplicasAnnotation]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** Old, empty, fully observed ReplicaSets beyond the history limit, oldest revision first. */
export function surplusHistory(deployment: Deployment, old: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10
  const empty = old.filter(
    (set) =>
      (set.spec.replicas ?? 1) === 0 &&
      (set.status?.replicas ?? 0) === 0 &&
      set.metadata.deletionTimestamp === undefined,
  )
  return empty.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, empty.length - limit))
}
