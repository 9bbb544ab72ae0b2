import type { PodTarget } from '../sidecar-set-status/pod-target.ts'
import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import type { RolloutRound } from './rollout-round.ts'

/** Why a rollout that is not done does not move. */
export interface Blocker {
  readonly reason:
    | 'Paused'
    | 'PodsRefused'
    | 'EvictionsPaused'
    | 'PartitionReached'
    | 'BudgetSpent'
    | 'InFlight'
    | 'RevisionMissing'
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
  tally: SidecarSetTally,
  round: RolloutRound,
  refusals: readonly Refusal[],
  evictionPause?: string,
): Blocker | undefined {
  const { kinds, matched, unsettled, set } = tally
  const { paused, partition, maxUnavailable } = set.sidecarSet.spec.updateStrategy ?? {}
  const waiting = waitingText(tally)
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
    if (evictionPause !== undefined && tally.waitingToRecreate === kinds.waiting)
      return { reason: 'EvictionsPaused', message: `${waiting}; ${evictionPause}` }
    const away = round.spent - unsettled.size
    const owed = away > 0 ? `, ${away} of them yet to be made by their owners` : ''
    return {
      reason: 'BudgetSpent',
      message: `${waiting}; maxUnavailable ${maxUnavailable ?? 1} of ${matched + away} lets ${round.budget} updated pods be unavailable, and ${round.spent} are${owed}${named(unsettled)}`,
    }
  }
  if (kinds.resizing > 0)
    return {
      reason: 'InFlight',
      message: `${kinds.resizing} of ${matched} pods have not taken new amounts of cpu and memory yet${named(tally.resizing)}`,
    }
  if (kinds['in-flight'] > 0)
    return {
      reason: 'InFlight',
      message: `${kinds['in-flight']} of ${matched} pods have not taken an earlier change yet`,
    }
  if (kinds.unrecorded > 0)
    return {
      reason: 'RevisionMissing',
      message: `${kinds.unrecorded} of ${matched} pods are on a track whose revision is not recorded and stay as they are: ${missingText(set.targets.all)}`,
    }
  if (kinds['not-upgradable'] > 0)
    return {
      reason: 'NotUpgradable',
      message: `${kinds['not-upgradable']} of ${matched} pods would need more than new images; they get the new content when they are created anew${obstacleText(tally)}`,
    }
  return undefined
}

/** What pods wait for, by the way their change goes. */
function waitingText({ kinds, matched, waitingToResize, waitingToRecreate }: SidecarSetTally): string {
  const counts: readonly (readonly [number, string])[] = [
    [kinds.waiting - waitingToResize - waitingToRecreate, 'for new images'],
    [waitingToResize, 'to be resized'],
    [waitingToRecreate, 'to be made anew'],
  ]
  const [first, ...others] = counts.filter(([count]) => count > 0)
  if (first === undefined) return `${kinds.waiting} of ${matched} pods wait`
  const more = others.map(([count, what]) => `, ${count} ${what}`).join('')
  return `${first[0]} of ${matched} pods wait ${first[1]}${more}`
}

/** Why, in the words of the first pod for which the SidecarSet wants something else. */
function obstacleText({ obstructed, views }: SidecarSetTally): string {
  const [key] = obstructed
  const obstacle = key === undefined ? undefined : views.get(key)?.obstacle
  return obstacle === undefined ? '' : `; pod ${key}: ${obstacle}`
}

function missingText(targets: readonly PodTarget[]): string {
  return targets
    .flatMap(({ track, missing }) => (missing ? `track ${track} asks for ${missing}` : []))
    .join(', ')
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
