import { changePolicies, type SidecarSet } from '@outrigger/api'
import { UserError } from '@outrigger/foundation'
import { type PodFate, partitionOf } from '@outrigger/operator'
import { countOf } from '../rendering/count.ts'
import type { Progress } from '../rendering/progress-bar.ts'
import { wayWords } from './change-way.ts'
import type { RolloutState } from './rollout-state.ts'
import { type TrackCount, trackSummary } from './track-count.ts'

/** What `rollout status` says at one moment. */
export interface RolloutProgress {
  readonly sidecarSet: string
  readonly isDone: boolean
  /** One line without its end, worded as kubectl words it. */
  readonly text: string
  readonly progress: Progress
  /** What stands behind a bar; short, so that a terminal never breaks the line. */
  readonly note: string
  /** Pods, for programs. */
  readonly counts: {
    readonly matched: number
    readonly updated: number
    readonly updatedReady: number
    /** Pods that are to be updated: all but those that a partition or updateStrategy.selector keeps. */
    readonly target: number
    readonly isPaused: boolean
    /** Whether the manager has seen the present spec. */
    readonly isObserved: boolean
  }
  /** How the pods are divided; absent without tracks. */
  readonly tracks?: readonly TrackCount[]
  /** How the pods that are behind come to the new content; absent without policies for changes. */
  readonly ways?: readonly { readonly way: string; readonly pods: number }[]
  /** Why nothing moves, as the manager says it in the condition `Progressing`; absent while it does not. */
  readonly blocker?: { readonly reason: string; readonly message: string }
}

/**
 * How far a rollout is, by what the manager says in status. Which pods `updateStrategy.selector` leaves out, status does not
 * tell: `kept`, by default what the partition keeps, is how many pods are not to be updated.
 *
 * @throws UserError for a SidecarSet that is never rolled out.
 */
export function rolloutProgress({ metadata, spec, status }: SidecarSet, givenKept?: number): RolloutProgress {
  const strategy = spec.updateStrategy ?? {}
  if (strategy.type === 'NotUpdate')
    throw new UserError(
      `rollout status is only available for updateStrategy.type RollingUpdate, and SidecarSet ${metadata.name} has NotUpdate`,
      'its pods change when they are recreated',
    )
  const { matchedPods = 0, updatedPods = 0, updatedReadyPods = 0, observedGeneration = 0 } = status ?? {}
  const kept = givenKept ?? partitionOf(strategy.partition ?? 0, matchedPods)
  const target = Math.max(0, matchedPods - kept)
  const progress = { done: Math.min(updatedReadyPods, target), total: target }
  const isObserved = observedGeneration >= (metadata.generation ?? 0)
  const blocker = isObserved && !strategy.paused ? blockerOf(status) : undefined
  const stop = strategy.paused ? 'paused' : blocker?.reason
  const note = `ready, ${updatedPods} updated${stop === undefined ? '' : `, ${stop}`}`
  const same = {
    sidecarSet: metadata.name,
    counts: {
      matched: matchedPods,
      updated: updatedPods,
      updatedReady: updatedReadyPods,
      target,
      isPaused: strategy.paused === true,
      isObserved,
    },
  }
  const waiting = (text: string): RolloutProgress => ({
    ...same,
    isDone: false,
    note,
    text: strategy.paused
      ? `${text} (paused; outrigger rollout resume sidecarset/${metadata.name} goes on)`
      : `${text}${blocker === undefined ? '' : ` (${blocker.reason}: ${blocker.message})`}`,
    progress,
    ...(blocker && { blocker }),
  })
  if (!isObserved)
    return {
      ...waiting('Waiting for sidecarset spec update to be observed...'),
      progress: { done: 0, total: target },
      note: 'ready, not seen by the manager yet',
    }
  if (updatedPods < target)
    return waiting(`Waiting for rollout to finish: ${updatedPods} out of ${target} pods have been updated...`)
  if (updatedReadyPods < target)
    return waiting(
      `Waiting for rollout to finish: ${updatedReadyPods} of ${target} updated pods are ready...`,
    )
  const older = matchedPods - updatedPods
  const text =
    older > 0
      ? `partitioned roll out complete: ${countOf(updatedPods, 'pod')} updated, ${older} ${older === 1 ? 'keeps' : 'keep'} older content`
      : `sidecarset "${metadata.name}" successfully rolled out`
  return { ...same, isDone: true, text, progress, note }
}

function blockerOf(status: SidecarSet['status']): RolloutProgress['blocker'] {
  const condition = status?.conditions?.find(
    ({ type, status: value }) => type === 'Progressing' && value === 'False',
  )
  return condition && { reason: condition.reason, message: condition.message }
}

/** The same while nobody manages SidecarSets: status will not change. */
export function withAbsence(progress: RolloutProgress, absence: string): RolloutProgress {
  return {
    ...progress,
    text: `${progress.text} (${absence})`,
    note: 'ready, no manager',
    blocker: { reason: 'NoManager', message: absence },
  }
}

/**
 * The same, with the pods of each track; unchanged where there are no tracks. Another annotation makes no new generation, so
 * that a status from before it looks as if all were done: then the pods have the last word.
 */
export function withTracks(progress: RolloutProgress, state: RolloutState | undefined): RolloutProgress {
  if (state === undefined || state.tracks.length === 0) return progress
  const summary = trackSummary(state.tracks)
  const left = state.pods.filter(({ fate }) => !settled.includes(fate)).length
  const text =
    progress.isDone && left > 0
      ? `Waiting for rollout to finish: ${left} out of ${state.matched} pods have not what their track says...`
      : progress.text
  return {
    ...progress,
    isDone: progress.isDone && left === 0,
    text: `${text} [tracks: ${summary}]`,
    note: `${progress.note}, ${summary}`,
    tracks: state.tracks,
  }
}

/** The same, with how the pods that are behind come to the new content; unchanged where its SidecarSet says nothing of that. */
export function withWays(
  progress: RolloutProgress,
  sidecarSet: SidecarSet,
  state: RolloutState | undefined,
): RolloutProgress {
  if (state === undefined || changePolicies(sidecarSet) === undefined) return progress
  const behind = state.pods.filter(({ fate }) => !settled.includes(fate) && fate !== 'settling')
  const words = { ...wayWords, wait: 'waiting for their next recreation' }
  const ways = Object.entries(words).flatMap(([way, text]) => {
    const count = behind.filter((pod) => pod.way === way).length
    return count === 0 ? [] : [{ way: text, pods: count }]
  })
  if (ways.length === 0) return { ...progress, ways }
  const summary = ways.map(({ way, pods }) => `${pods} ${way}`).join(', ')
  return { ...progress, text: `${progress.text} [pods: ${summary}]`, ways }
}

/** What becomes of pods that nothing is waited for. */
const settled: readonly PodFate[] = ['current', 'kept-by-partition', 'not-selected']
