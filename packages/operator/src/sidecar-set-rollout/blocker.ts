import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import type { RolloutRound } from './rollout-round.ts'

/** Why a rollout that is not done does not move. */
export interface Blocker {
  readonly reason:
    | 'Paused'
    | 'PodsRefused'
    | 'PartitionReached'
    | 'BudgetSpent'
    | 'InFlight'
    | 'NotUpgradable'
  readonly message: string
}

/** A write to a pod that the API server did not accept. */
export interface Refusal {
  readonly pod: string
  readonly message: string
}

/** What keeps a rollout from moving, with the arithmetic; `undefined` when it is done or moves. */
export function blockerOf(
  { kinds, matched, unsettled, set }: SidecarSetTally,
  round: RolloutRound,
  refusals: readonly Refusal[],
): Blocker | undefined {
  const { paused, partition, maxUnavailable } = set.sidecarSet.spec.updateStrategy ?? {}
  const waiting = `${kinds.waiting} of ${matched} pods wait for new images`
  const refused = new Set(refusals.map(({ pod }) => pod))
  if (round.selected.some(({ key }) => !refused.has(key))) return undefined
  if (kinds.waiting > 0) {
    if (paused) return { reason: 'Paused', message: `${waiting}; spec.updateStrategy.paused is true` }
    if (round.movable === 0)
      return {
        reason: 'PartitionReached',
        message: `${waiting}; partition ${partition} of ${matched} keeps ${round.partition} pods as they are`,
      }
    const [refusal] = refusals
    if (refusal !== undefined)
      return {
        reason: 'PodsRefused',
        message: `${waiting}; ${refusals.length} could not be changed and are tried again later, pod ${refusal.pod}: ${refusal.message}`,
      }
    return {
      reason: 'BudgetSpent',
      message: `${waiting}; maxUnavailable ${maxUnavailable ?? 1} of ${matched} lets ${round.budget} updated pods be unavailable, and ${round.spent} are${named(unsettled)}`,
    }
  }
  if (kinds['in-flight'] > 0)
    return {
      reason: 'InFlight',
      message: `${kinds['in-flight']} of ${matched} pods have not taken an earlier change yet`,
    }
  if (kinds['not-upgradable'] > 0)
    return {
      reason: 'NotUpgradable',
      message: `${kinds['not-upgradable']} of ${matched} pods would need more than new images; they get the new content when they are created anew`,
    }
  return undefined
}

function named(keys: ReadonlySet<string>): string {
  const some = firstOf(keys, 3)
  return some.length === 0 ? '' : `: ${some.join(', ')}${keys.size > some.length ? ' and others' : ''}`
}

function firstOf(keys: Iterable<string>, count: number): string[] {
  const first: string[] = []
  for (const key of keys) {
    if (first.length === count) break
    first.push(key)
  }
  return first
}
