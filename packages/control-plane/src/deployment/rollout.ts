import { type Deployment, type ReplicaSet, scaledValue } from '@outrigger/kube'

/** How far a rolling update may go beyond and below the wished number of pods. */
export interface Bounds {
  readonly maxSurge: number
  readonly maxUnavailable: number
}

/** A ReplicaSet and the size it is to get. */
export interface Resize {
  readonly replicaSet: ReplicaSet
  readonly to: number
}

/** What strategy.rollingUpdate allows; at least one of the two is positive unless no pods are wished. */
export function boundsOf(deployment: Deployment): Bounds {
  const wished = deployment.spec.replicas ?? 1
  if (deployment.spec.strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 }
  const rolling = deployment.spec.strategy?.rollingUpdate
  const maxSurge = scaledValue(rolling?.maxSurge ?? '25%', wished, 'up')
  const maxUnavailable = Math.min(wished, scaledValue(rolling?.maxUnavailable ?? '25%', wished, 'down'))
  return maxSurge === 0 && maxUnavailable === 0
    ? { maxSurge, maxUnavailable: 1 }
    : { maxSurge, maxUnavailable }
}

export const sizeOf = (replicaSet: ReplicaSet): number => replicaSet.spec.replicas ?? 1
const totalSize = (sets: readonly ReplicaSet[]): number => sets.reduce((sum, set) => sum + sizeOf(set), 0)
const availableOf = (set: ReplicaSet): number => set.status?.availableReplicas ?? 0

/**
 * The next step of a rolling update: first the new ReplicaSet as far up as the surge allows; when it
 * cannot grow, the old ones as far down as availability allows, unhealthy pods first.
 *
 * An empty answer means: wait for pods, or done. Source: deployment controller, rolling.go.
 */
export function planRollingStep(
  deployment: Deployment,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): readonly Resize[] {
  const wished = deployment.spec.replicas ?? 1
  const bounds = boundsOf(deployment)
  const grown = grownSize(wished, bounds, current, old)
  if (grown !== sizeOf(current)) return [{ replicaSet: current, to: grown }]
  return planShrink(wished, bounds, current, old)
}

function grownSize(wished: number, bounds: Bounds, current: ReplicaSet, old: readonly ReplicaSet[]): number {
  if (sizeOf(current) > wished) return wished
  const room = wished + bounds.maxSurge - totalSize([current, ...old])
  return sizeOf(current) + Math.max(0, Math.min(room, wished - sizeOf(current)))
}

function planShrink(
  wished: number,
  bounds: Bounds,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): readonly Resize[] {
  const living = old.filter((set) => sizeOf(set) > 0).sort(byAge)
  if (living.length === 0) return []
  const least = wished - bounds.maxUnavailable
  const missingInNew = sizeOf(current) - availableOf(current)
  let room = totalSize([current, ...living]) - least - missingInNew
  if (room <= 0) return []

  const sizes = new Map(living.map((set) => [set, sizeOf(set)]))
  for (const set of living) {
    const unhealthy = Math.max(0, sizeOf(set) - availableOf(set))
    const cut = Math.min(room, unhealthy)
    sizes.set(set, sizeOf(set) - cut)
    room -= cut
  }
  let spare = availableOf(current) + living.reduce((sum, set) => sum + availableOf(set), 0) - least
  for (const set of living) {
    const size = sizes.get(set) ?? 0
    const cut = Math.max(0, Math.min(spare, size))
    sizes.set(set, size - cut)
    spare -= cut
  }
  return [...sizes].filter(([set, to]) => to !== sizeOf(set)).map(([replicaSet, to]) => ({ replicaSet, to }))
}

/**
 * Sizes after `spec.replicas` changed in the middle of a rollout: every living ReplicaSet gets its
 * share, so that neither version suddenly stands alone. Source: deployment controller, sync.go `scale`.
 */
export function planProportionalScale(
  deployment: Deployment,
  living: readonly ReplicaSet[],
  oldWish: number,
): readonly Resize[] {
  const wished = deployment.spec.replicas ?? 1
  const ceiling = wished === 0 ? 0 : wished + boundsOf(deployment).maxSurge
  const total = totalSize(living)
  let left = ceiling - total
  if (left === 0 || total === 0) return []
  const oldCeiling = oldWish + (ceiling - wished)
  const sorted = [...living].sort((a, b) => sizeOf(b) - sizeOf(a) || byAge(a, b))
  const direction = Math.sign(left)
  const resized = sorted.map((replicaSet) => {
    const share = Math.round((sizeOf(replicaSet) * ceiling) / Math.max(1, oldCeiling)) - sizeOf(replicaSet)
    const change = direction > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left))
    left -= change
    return { replicaSet, to: sizeOf(replicaSet) + change }
  })
  const first = resized[0]
  if (first !== undefined && left !== 0) resized[0] = { ...first, to: Math.max(0, first.to + left) }
  return resized.filter(({ replicaSet, to }) => to !== sizeOf(replicaSet))
}

/** Oldest first; names decide between equals. */
export function byAge(left: ReplicaSet, right: ReplicaSet): number {
  const a = `${left.metadata.creationTimestamp ?? ''} ${left.metadata.name}`
  const b = `${right.metadata.creationTimestamp ?? ''} ${right.metadata.name}`
  return a < b ? -1 : a > b ? 1 : 0
}
