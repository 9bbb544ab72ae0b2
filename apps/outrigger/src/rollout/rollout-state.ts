import {
  type ChangeWay,
  changePolicies,
  drainTimeOf,
  type SidecarSet,
  type SidecarSetSpec,
  sidecarSetAnnotations,
} from '@outrigger/api'
import { type NamespaceFacts, type RevisionSource, revisionNameOf } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { compileLabelSelector, type IntOrString, type Labels, SelectorError } from '@outrigger/kube'
import {
  chooseRound,
  drainExemption,
  drainText,
  type PodFate,
  type PodView,
  pendingContainers,
  pictureRollout,
  type RolloutPicture,
} from '@outrigger/operator'
import { describeGap } from '../explanation/sidecar-set-verdict.ts'
import { countOf } from '../rendering/count.ts'
import { waySentences } from './change-way.ts'
import { fieldsForNewPods } from './changed-fields.ts'
import { whyNotReady } from './pod-readiness.ts'
import { type TrackCount, trackCounts } from './track-count.ts'

/** How far one pod is in the rollout of one SidecarSet. */
export interface PodProgress {
  /** `namespace/name`. */
  readonly pod: string
  readonly standing: 'current' | 'changing' | 'waiting' | 'held back' | 'recreate'
  /** The same as the manager's own word. */
  readonly fate: PodFate
  /** How it comes to what it should have; `wait` where it has it. */
  readonly way: ChangeWay
  readonly isReady: boolean
  /** Name of the revision it carries; empty where none is recorded. */
  readonly revision: string
  /** Name of the track it is on; absent for one that is on none. */
  readonly track?: string
  /** Why it stands where it stands. */
  readonly reason: string
  /** How its containers are spared traffic when they restart, where its SidecarSet asks for that and it waits for new images. */
  readonly drain?: string
}

/** How many pods may be unavailable at once, and which ones are. */
export interface RolloutBudget {
  readonly maxUnavailable: IntOrString
  /** The same in pods. */
  readonly allowed: number
  /** Pods that have the new content and are not ready, and those that are drained for it, by name. */
  readonly unavailable: readonly string[]
  /** Those of them that are drained, by name. */
  readonly drained: readonly string[]
  /** Pods that may still be changed now. */
  readonly left: number
}

/** Where a rollout stands and what keeps it from going on. */
export interface RolloutState {
  readonly sidecarSet: string
  readonly revision: string
  readonly strategy: string
  /** How long pods leave their Services before containers restart, as it is written; absent where nothing is drained. */
  readonly drain?: string
  readonly isPaused: boolean
  /** Pods that carry the SidecarSet and are selected by it still. */
  readonly matched: number
  readonly updated: number
  readonly updatedReady: number
  readonly ready: number
  readonly budget: RolloutBudget
  readonly partition: { readonly written: IntOrString; readonly kept: number }
  readonly pods: readonly PodProgress[]
  /** How the pods are divided; empty without tracks. */
  readonly tracks: readonly TrackCount[]
  /** A sentence for each thing that keeps pods on older content; empty when nothing is left to do. */
  readonly blockers: readonly string[]
}

/** How many pods the present strategy leaves on older content for good: by its partition, or by its selector. */
export function keptBack({ pods }: RolloutState): number {
  return pods.filter(({ fate }) => fate === 'not-selected' || fate === 'kept-by-partition').length
}

/** What revisions of one SidecarSet recorded; see `recordedContents`. Tracks find their contents among them. */
export interface RecordedContents extends RevisionSource {
  /** By the name of the revision. */
  get(name: string): SidecarSetSpec | undefined
  /** Whether there may be revisions, and the user may not read them. Default false. */
  readonly isForbidden?: boolean
}

/**
 * Puts the manager's own judgement of a rollout into words. `pods` may be all pods of the cluster; `recorded` tells what
 * pods carry, and so the class of their change; `canResize` whether the API server resizes pods. The manager is taken to be
 * allowed to evict pods.
 */
export function judgeRollout(
  sidecarSet: SidecarSet,
  pods: readonly Pod[],
  namespaceOf: (name: string) => NamespaceFacts,
  recorded?: RecordedContents,
  canResize = true,
): RolloutState {
  const changes = recorded && {
    history: recorded,
    recordedContent: (_: SidecarSet, revision: string) => recorded.get(revision),
    canResize: () => canResize,
    canEvict: () => true,
  }
  const picture = pictureRollout(sidecarSet, pods, (name) => namespaceOf(name).labels, changes)
  const { tally } = picture
  // Asked for also while nothing moves: the arithmetic is worth knowing then, too.
  const round = chooseRound(tally)
  const strategy = sidecarSet.spec.updateStrategy ?? {}
  const state: Omit<RolloutState, 'pods' | 'tracks' | 'blockers'> = {
    sidecarSet: sidecarSet.metadata.name,
    revision: revisionNameOf(sidecarSet),
    strategy: strategy.type ?? 'RollingUpdate',
    ...(drainTimeOf(sidecarSet) !== undefined && { drain: drainTextOf(sidecarSet) }),
    isPaused: strategy.paused === true,
    matched: tally.matched,
    updated: tally.kinds.updated,
    updatedReady: tally.updatedReady,
    ready: tally.ready,
    budget: {
      maxUnavailable: strategy.maxUnavailable ?? 1,
      allowed: round.budget,
      unavailable: [...tally.unsettled, ...tally.draining],
      drained: [...tally.draining],
      left: Math.max(0, round.budget - round.spent),
    },
    partition: { written: strategy.partition ?? 0, kept: round.partition },
  }
  const progress = progressOf(picture, state, recorded)
  const tracks = trackCounts(sidecarSet, picture)
  return { ...state, pods: progress, tracks, blockers: blockersOf(progress) }
}

function progressOf(
  { tally, fates }: RolloutPicture,
  state: Omit<RolloutState, 'pods' | 'tracks' | 'blockers'>,
  recorded: RecordedContents | undefined,
): PodProgress[] {
  const kept = [...fates.values()].filter((fate) => fate === 'kept-by-partition').length
  return [...tally.views.values()].map((view) => {
    const fate = fates.get(view.key) ?? 'current'
    const pending = pendingContainers(view)
    const circumstances = { sidecarSet: tally.set.sidecarSet, pending, budget: state.budget, kept, recorded }
    const { standing, reason } = standingOf(fate, view, circumstances)
    const { track } = view.target
    const drain = drainNote(view, tally.set.sidecarSet)
    return {
      pod: view.key,
      standing,
      fate,
      way: view.way,
      isReady: view.isReady,
      revision: view.revision ?? '',
      ...(track !== undefined && { track }),
      reason: fate === 'moves-now' && drain !== undefined ? `${reason}, ${drain}` : reason,
      ...(drain !== undefined && { drain }),
    }
  })
}

interface Circumstances {
  readonly sidecarSet: SidecarSet
  /** Containers whose image the node has not taken yet. */
  readonly pending: readonly string[]
  readonly budget: RolloutBudget
  /** Pods that could move and that the partition keeps. */
  readonly kept: number
  readonly recorded: RecordedContents | undefined
}

function standingOf(
  fate: PodFate,
  view: PodView,
  { sidecarSet, pending, budget, kept, recorded }: Circumstances,
): Pick<PodProgress, 'standing' | 'reason'> {
  const { selector, partition } = sidecarSet.spec.updateStrategy ?? {}
  switch (fate) {
    case 'current':
      return { standing: 'current', reason: 'up to date and ready' }
    case 'settling':
      return { standing: 'changing', reason: settlingText(view, pending) }
    case 'resizing':
      return { standing: 'changing', reason: 'its containers are being resized; images and records follow' }
    case 'in-flight':
      return {
        standing: 'changing',
        reason: `an earlier image of ${pending.join(', ')} is still on its way`,
      }
    case 'moves-now':
      return { standing: 'waiting', reason: `its turn comes next${wayText(view.way)}` }
    case 'draining':
      return {
        standing: 'changing',
        reason: view.outOfService
          ? drainText(view.outOfService, drainTimeOf(sidecarSet))
          : 'on its way out of its Services',
      }
    case 'waits-for-budget':
      return { standing: 'held back', reason: budgetText(budget) }
    case 'kept-by-partition':
      return {
        standing: 'held back',
        reason: `updateStrategy.partition ${partition} keeps ${countOf(kept, 'pod')} on older content; lower it to update them`,
      }
    case 'paused':
      return {
        standing: 'held back',
        reason: 'updateStrategy.paused is set; outrigger rollout resume goes on',
      }
    case 'not-selected':
      return {
        standing: 'held back',
        reason: `updateStrategy.selector leaves it out: ${gapText(selector, view.pod.metadata.labels ?? {})}`,
      }
    case 'not-upgradable':
      return {
        standing: 'recreate',
        reason: `more than images changed${changedText(view.target.content, recorded?.get(view.revision ?? ''))}, ${whyWaiting(sidecarSet, view)}: recreate the pod`,
      }
    case 'unrecorded': {
      const { track, missing } = view.target
      const problem = recorded?.isForbidden
        ? 'which you may not look up: ask for the right to list ControllerRevisions'
        : 'which is not recorded: give the track a version that outrigger rollout history lists'
      return { standing: 'held back', reason: `track ${track} asks for ${missing}, ${problem}` }
    }
    case 'not-updated':
      return { standing: 'recreate', reason: 'updateStrategy.type is NotUpdate: recreate the pod' }
  }
}

const drainTextOf = ({ metadata }: SidecarSet) =>
  metadata.annotations?.[sidecarSetAnnotations.drainBeforeRestart] ?? ''

function drainNote(view: PodView, sidecarSet: SidecarSet): string | undefined {
  if (view.kind !== 'waiting' || drainTimeOf(sidecarSet) === undefined) return undefined
  const exemption = drainExemption(view)
  if (exemption === 'no restart') return undefined
  return exemption === 'made before'
    ? 'without drain: made before its SidecarSet asked for one'
    : `drained for ${drainTextOf(sidecarSet)} first`
}

function wayText(way: ChangeWay): string {
  return way === 'wait' || way === 'images' ? '' : `: ${waySentences[way]}`
}

function whyWaiting(sidecarSet: SidecarSet, { obstacle }: PodView): string {
  if (obstacle !== undefined) return obstacle
  return changePolicies(sidecarSet) === undefined
    ? 'which no running pod can take'
    : 'and its SidecarSet has that wait'
}

/** How many fields a sentence names. */
const mostFields = 3

function changedText(content: SidecarSet, carried: SidecarSetSpec | undefined): string {
  const fields = carried === undefined ? [] : fieldsForNewPods(carried, content)
  if (fields.length === 0) return ''
  const more = fields.length > mostFields ? ` and ${fields.length - mostFields} more` : ''
  return ` (${fields.slice(0, mostFields).join(', ')}${more})`
}

function settlingText({ pod, isAvailable, isHalfDone }: PodView, pending: readonly string[]): string {
  const why = whyNotReady(pod)
  const because = why === undefined ? '' : `: ${why}`
  if (pending.length > 0)
    return `its node has not started the new image of ${pending.join(', ')} yet${because}`
  if (isHalfDone) return 'both sides of a hot upgrade still run'
  return isAvailable
    ? 'its node has not reported on all containers yet'
    : `up to date, but not ready${because}`
}

type Selector = NonNullable<SidecarSet['spec']['updateStrategy']>['selector']

function gapText(selector: Selector, labels: Labels): string {
  try {
    return describeGap(compileLabelSelector(selector ?? {}), labels, 'the pod') ?? 'it selects nothing'
  } catch (error) {
    if (error instanceof SelectorError) return error.message
    throw error
  }
}

/** What the pods are that use a budget up. */
export function spendersOf({ unavailable, drained }: RolloutBudget): string {
  return countOf(unavailable.length, drained.length > 0 ? 'updated or drained pod' : 'updated pod')
}

function budgetText(budget: RolloutBudget): string {
  const { maxUnavailable, allowed, unavailable } = budget
  if (allowed === 0)
    return `updateStrategy.maxUnavailable ${maxUnavailable} allows no pod to be unavailable; raise it`
  if (unavailable.length === 0)
    return `maxUnavailable ${maxUnavailable} allows ${allowed} at a time, and others come first`
  const names = unavailable.slice(0, 5).join(', ')
  const more = unavailable.length > 5 ? ` and ${unavailable.length - 5} more` : ''
  return `maxUnavailable ${maxUnavailable} allows ${allowed} unavailable, and ${spendersOf(budget)} ${unavailable.length === 1 ? 'is' : 'are'} not ready: ${names}${more}`
}

function blockersOf(progress: readonly PodProgress[]): string[] {
  const reasons = new Map<string, number>()
  for (const { standing, reason } of progress)
    if (standing === 'held back' || standing === 'recreate')
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  const blockers = [...reasons].map(([reason, pods]) => `${countOf(pods, 'pod')}: ${reason}`)
  const next = progress.filter(({ standing }) => standing === 'waiting').length
  return next === 0 ? blockers : [...blockers, `${countOf(next, 'pod')}: next in turn`]
}
