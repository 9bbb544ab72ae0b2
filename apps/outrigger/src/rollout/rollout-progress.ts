import type { SidecarSet } from '@outrigger/api'
import { UserError } from '@outrigger/foundation'
import { partitionOf } from '@outrigger/operator'
import type { Progress } from '../rendering/progress-bar.ts'

/** What `rollout status` says at one moment. */
export interface RolloutProgress {
  readonly isDone: boolean
  /** One line without its end, worded as kubectl words it. */
  readonly text: string
  readonly progress: Progress
  /** What stands behind a bar; short, so that a terminal never breaks the line. */
  readonly note: string
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
  const waiting = (text: string): RolloutProgress => ({
    isDone: false,
    note,
    text: strategy.paused
      ? `${text} (paused; outrigger rollout resume sidecarset/${metadata.name} goes on)`
      : text,
    progress,
  })
  if (observedGeneration < (metadata.generation ?? 0))
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
  const text =
    kept > 0
      ? `partitioned roll out complete: ${updatedPods} pods have been updated, ${kept} keep older content`
      : `sidecarset "${metadata.name}" successfully rolled out`
  return { isDone: true, text, progress, note }
}
