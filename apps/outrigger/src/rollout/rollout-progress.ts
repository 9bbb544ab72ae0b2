import type { SidecarSet } from '@outrigger/api'
import { UserError } from '@outrigger/foundation'
import { partitionOf } from '@outrigger/operator'
import { countOf } from '../rendering/count.ts'
import type { Progress } from '../rendering/progress-bar.ts'

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
    /** Pods that are to be updated: all but those that a partition keeps. */
    readonly target: number
    readonly isPaused: boolean
    /** Whether the manager has seen the present spec. */
    readonly isObserved: boolean
  }
}

/**
 * How far a rollout is, by what the manager says in status.
 *
 * @throws UserError for a SidecarSet that is never rolled out.
 */
export function rolloutProgress({ metadata, spec, status }: SidecarSet): RolloutProgress {
  const strategy = spec.updateStrategy ?? {}
  if (strategy.type === 'NotUpdate')
    throw new UserError(
      `rollout status is only available for updateStrategy.type RollingUpdate, and SidecarSet ${metadata.name} has NotUpdate`,
      'its pods change when they are recreated',
    )
  const { matchedPods = 0, updatedPods = 0, updatedReadyPods = 0, observedGeneration = 0 } = status ?? {}
  const kept = partitionOf(strategy.partition ?? 0, matchedPods)
  const target = matchedPods - kept
  const progress = { done: Math.min(updatedReadyPods, target), total: target }
  const note = `ready, ${updatedPods} updated${strategy.paused ? ', paused' : ''}`
  const isObserved = observedGeneration >= (metadata.generation ?? 0)
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
      : text,
    progress,
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
