import type { SidecarSet } from '@outrigger/api'
import type { Labels, Pod } from '@outrigger/kube'
import type { ChangeSources } from '../sidecar-set-status/change-judge.ts'
import type { PodView } from '../sidecar-set-status/pod-view.ts'
import { SidecarSetLedger, type SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { type Blocker, blockerOf } from './blocker.ts'
import {
  chooseRound,
  idleRound,
  isManaged,
  isRolling,
  type RolloutRound,
  waitingInOrder,
} from './rollout-round.ts'

/** A rollout as the manager would see it now, without a manager: for whoever explains or plans. */
export interface RolloutPicture {
  /** How the pods count; the numbers of the status. `tally.views` has every matched pod by key. */
  readonly tally: SidecarSetTally
  /** What would change now, and the arithmetic of partition and budget; an idle round where nothing may move. */
  readonly round: RolloutRound
  /** What keeps a rollout that is not done from moving, in a sentence; `undefined` where it moves or is done. */
  readonly blocker: Blocker | undefined
  /** By pod key: what becomes of each matched pod. */
  readonly fates: ReadonlyMap<string, PodFate>
}

/** What becomes of a pod that carries the SidecarSet, as things stand. */
export type PodFate =
  /** Has the present content, and runs it. */
  | 'current'
  /** Has the present content and is not ready with it yet: it uses the budget. */
  | 'settling'
  /** Is changed in the next round, in the way its view tells, or is taken out of its Services for that. */
  | 'moves-now'
  /** Is out of its Services, to get the new images then. */
  | 'draining'
  /** May move as soon as the budget has room. */
  | 'waits-for-budget'
  /** updateStrategy.partition keeps it on older content. */
  | 'kept-by-partition'
  /** Would move, but updateStrategy.paused is set. */
  | 'paused'
  /** Its containers are being resized; images and records follow. */
  | 'resizing'
  /** An earlier change is still on its way through the node. */
  | 'in-flight'
  /** More changed than may be done with it: it gets the new content when it is created anew. */
  | 'not-upgradable'
  /** updateStrategy.selector leaves it out. */
  | 'not-selected'
  /** Is on a track whose revision is not recorded. */
  | 'unrecorded'
  /** updateStrategy.type is NotUpdate. */
  | 'not-updated'

/**
 * Judges a rollout from objects alone, with the code that the manager itself uses. `pods` may be all pods of a cluster;
 * `namespaceLabels` answers `undefined` for namespaces that are not known, `changes` tells what tracks
 * ask for and what a manager could do about changes. What only a running manager knows is left out: pods that the API server has refused to change count as if they could be.
 */
export function pictureRollout(
  sidecarSet: SidecarSet,
  pods: Iterable<Pod>,
  namespaceLabels: (namespace: string) => Labels | undefined,
  changes?: ChangeSources,
): RolloutPicture {
  const ledger = new SidecarSetLedger({
    ...{ podsOf: () => pods, namespaceLabels, now: () => 0 },
    ...(changes && { changes }),
  })
  const tally = ledger.setSidecarSet(sidecarSet)
  const round = isRolling(sidecarSet) ? chooseRound(tally) : idleRound
  return {
    tally,
    round,
    blocker: isManaged(sidecarSet) ? blockerOf(tally, round, []) : undefined,
    fates: fatesOf(tally),
  }
}

function fatesOf(tally: SidecarSetTally): Map<string, PodFate> {
  const { sidecarSet } = tally.set
  // Asked for also while paused: which pods the partition keeps does not depend on it.
  const { selected, movable } = chooseRound(tally)
  const moving = new Set(selected.map(({ key }) => key))
  const fates = new Map<string, PodFate>()
  for (const [key, view] of tally.views) fates.set(key, fateOfSettled(view, sidecarSet))
  if (!isManaged(sidecarSet)) return fates
  let place = 0
  for (const { key } of waitingInOrder(tally)) {
    const isMovable = place++ < movable
    const isPaused = isMovable && !isRolling(sidecarSet)
    if (isPaused) fates.set(key, 'paused')
    else if (moving.has(key)) fates.set(key, tally.draining.has(key) ? 'draining' : 'moves-now')
    else fates.set(key, isMovable ? 'waits-for-budget' : 'kept-by-partition')
  }
  return fates
}

/** The fate of a pod that no round decides about. */
function fateOfSettled({ kind, isReady }: PodView, sidecarSet: SidecarSet): PodFate {
  if (kind === 'updated') return isReady ? 'current' : 'settling'
  if (!isManaged(sidecarSet) || kind === 'waiting') return 'not-updated'
  return kind
}
