import { drainTimeOf } from '@outrigger/api'
import { drainText } from '../pod-service/drain-text.ts'
import { closedGates } from '../pod-service/gates.ts'
import type { PodTarget } from '../sidecar-set-status/pod-target.ts'
import type { SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import type { RolloutRound } from './rollout-round.ts'

/** Why a rollout that is not done does not move. */
export interface Blocker {
  readonly reason:
    | 'Paused'
    | 'PodsRefused'
    | 'EvictionsPaused'
    | 'Draining'
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
  const { kinds, matched, unsettled, draining, set } = tally
  const { paused, partition, maxUnavailable } = set.sidecarSet.spec.updateStrategy ?? {}
  const waiting = waitingText(tally)
  const refused = new Set(refusals.map(({ pod }) => pod))
  const moving = round.selected.filter(({ key }) => !refused.has(key))
  if (moving.some(({ key }) => !isHeldInService(key, tally))) return undefined
  const [held] = moving
  if (held?.outOfService !== undefined)
    return {
      reason: 'Draining',
      message: `${waiting}; pod ${held.key} is ${drainText(held.outOfService, drainTimeOf(set.sidecarSet))}`,
    }
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
    const away = round.spent - unsettled.size - draining.size
    const owed = away > 0 ? `, ${away} of them yet to be made by their owners` : ''
    return {
      reason: 'BudgetSpent',
      message: `${waiting}; maxUnavailable ${maxUnavailable ?? 1} of ${matched + away} lets ${round.budget} updated pods be unavailable, and ${round.spent} are${owed}${named(tally, [unsettled, draining])}`,
    }
  }
  if (kinds.resizing > 0)
    return {
      reason: 'InFlight',
      message: `${kinds.resizing} of ${matched} pods have not taken new amounts of cpu and memory yet${named(tally, [tally.resizing])}`,
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

/** Whether a pod is being drained, and traffic has not ended yet. What waits for its time is on its way. */
function isHeldInService(key: string, { draining, views }: SidecarSetTally): boolean {
  return draining.has(key) && views.get(key)?.outOfService?.drainedAt === undefined
}

function named({ draining, views }: SidecarSetTally, lists: readonly ReadonlySet<string>[]): string {
  const some = firstOf(lists, 3)
  if (some.length === 0) return ''
  const texts = some.map((key) => {
    if (draining.has(key)) return `${key} (drained for its restart)`
    const view = views.get(key)
    const gates = view === undefined ? [] : closedGates(view.pod)
    return gates.length === 0 ? key : `${key} (${gates.join(', ')})`
  })
  const count = lists.reduce((sum, keys) => sum + keys.size, 0)
  return `: ${texts.join(', ')}${count > some.length ? ' and others' : ''}`
}

function firstOf(lists: readonly Iterable<string>[], count: number): string[] {
  const first: string[] = []
  for (const keys of lists)
    for (const key of keys) {
      if (first.length === count) return first
      first.push(key)
    }
  return first
}
