import { describeWish, type SidecarSet, type Track } from '@outrigger/api'
import { describeLabelSelector, type Pod } from '@outrigger/kube'
import { isGivenRecorded, recordedShareFor } from './injected-revision.ts'
import { podIdentity } from './pod-identity.ts'
import { type TrackShare, trackOf, trackQuestion } from './track-choice.ts'

/** Which of several contents of a SidecarSet a pod gets, and why. */
export interface ContentDecision {
  readonly sidecarSet: string
  /** Name of the pod's track; `undefined`: on none. */
  readonly track: string | undefined
  /** A sentence without its end. */
  readonly reason: string
}

/** Tells how the content was chosen that a pod gets; `undefined` where there was nothing to choose. */
export function contentDecision(sidecarSet: SidecarSet, pod: Pod): ContentDecision | undefined {
  const question = trackQuestion(sidecarSet, pod.metadata.labels ?? {})
  const share = recordedShareFor(sidecarSet, pod)
  if (question === undefined && share === undefined) return undefined
  const decided = (track: Track | undefined, reason: string): ContentDecision => ({
    sidecarSet: sidecarSet.metadata.name,
    track: track?.name,
    reason,
  })
  const { whole, shares = [] } = question ?? {}
  if (whole !== undefined) return decided(whole, `${trackText(whole)}, which takes ${podsText(whole)}`)
  const by = originText(sidecarSet, pod)
  const track = trackOf(sidecarSet, pod)
  if (track !== undefined)
    return decided(track, `${trackText(track)}, with ${track.percent}% of ${podsText(track)}, ${by}`)
  const none = shares.length > 0 ? restText(shares, by) : 'on no track: no selector of one takes it'
  if (share === undefined) return decided(undefined, none)
  const partial = partialText(sidecarSet, isGivenRecorded(sidecarSet, pod), share, by)
  return decided(undefined, question === undefined ? partial : `${none}; ${partial}`)
}

function trackText(track: Track): string {
  return `on track ${track.name} (${describeWish(track)})`
}

function podsText({ selector }: Track): string {
  return selector === undefined ? 'all pods' : `the pods ${describeLabelSelector(selector)}`
}

function restText(shares: readonly TrackShare[], by: string): string {
  const rest = shares.find(({ track }) => track === undefined)?.weight ?? 0
  const tracks = shares.flatMap(({ track, weight }) =>
    track === undefined ? [] : `${track.name} ${weight}%`,
  )
  return `on no track, as the other ${rest}% of its like (${tracks.join(', ')}), ${by}`
}

function partialText({ spec }: SidecarSet, isRecorded: boolean, share: number, by: string): string {
  const percent = Math.round((isRecorded ? share : 1 - share) * 10_000) / 100
  const wish = describeWish(spec.injectionStrategy?.revision ?? {})
  const content = isRecorded ? `given ${wish}` : `given the newest content and not ${wish}`
  return `${content}, as ${percent}% of pods (policy Partial), ${by}`
}

function originText(sidecarSet: SidecarSet, pod: Pod): string {
  const identity = podIdentity(sidecarSet, pod)
  return identity === undefined
    ? 'for now: each pod is decided by itself when it is created'
    : `decided by ${identity.origin}`
}
