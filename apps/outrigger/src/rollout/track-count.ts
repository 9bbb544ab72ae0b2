import { describeWish, type SidecarSet, tracksOf } from '@outrigger/api'
import { describeLabelSelector } from '@outrigger/kube'
import type { PodView, RolloutPicture } from '@outrigger/operator'

/** How many of a SidecarSet's pods are on one of its tracks. */
export interface TrackCount {
  /** Empty: on no track. */
  readonly track: string
  /** What its pods get: `customVersion v2`, `the newest content`. */
  readonly version: string
  /** `10% of all pods`, `all pods team=a`, `the other pods`. */
  readonly share: string
  readonly pods: number
  /** Of these, those that have it. */
  readonly updated: number
  /** Of those, the ready ones. */
  readonly updatedReady: number
}

/** Counts the pods of each track, in the order of the tracks, those that are on none last. Empty without tracks. */
export function trackCounts(sidecarSet: SidecarSet, { tally }: RolloutPicture): TrackCount[] {
  const tracks = tracksOf(sidecarSet)
  if (tracks.length === 0) return []
  const views = [...tally.views.values()]
  const counted = (track: string | undefined) =>
    countsOf(views.filter(({ target }) => target.track === track))
  const named = tracks.map((track): TrackCount => {
    const pods = track.selector ? `pods ${describeLabelSelector(track.selector)}` : 'all pods'
    return {
      track: track.name,
      version: describeWish(track),
      share: track.percent === undefined ? pods.replace(/^pods/, 'all pods') : `${track.percent}% of ${pods}`,
      ...counted(track.name),
    }
  })
  return [
    ...named,
    { track: '', version: 'the newest content', share: 'the other pods', ...counted(undefined) },
  ]
}

function countsOf(views: readonly PodView[]): Pick<TrackCount, 'pods' | 'updated' | 'updatedReady'> {
  const updated = views.filter(({ kind }) => kind === 'updated')
  return {
    pods: views.length,
    updated: updated.length,
    updatedReady: updated.filter(({ isReady }) => isReady).length,
  }
}

/** `trial 3 of 3, old 2 of 4, on none 3 of 3`: pods that have what they should, of those that should. */
export function trackSummary(tracks: readonly TrackCount[]): string {
  return tracks.map(({ track, pods, updated }) => `${track || 'on none'} ${updated} of ${pods}`).join(', ')
}
