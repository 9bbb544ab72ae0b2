import { type SidecarSet, type Track, tracksOf } from '@outrigger/api'
import { compileLabelSelector, type Labels, type Pod } from '@outrigger/kube'
import { assign, type Choice } from './assignment.ts'
import { podIdentity } from './pod-identity.ts'

/** How a track is decided for pods with the same labels, before anybody's identity is looked at. */
export interface TrackQuestion {
  /** The track that takes them all. */
  readonly whole?: Track
  /** Otherwise: the shares that are drawn for, the rest among them, which is on no track. Empty: they are on none. */
  readonly shares: readonly TrackShare[]
}

export interface TrackShare extends Choice {
  /** In per cent. */
  readonly weight: number
  /** `undefined`: the rest. */
  readonly track: Track | undefined
}

interface CompiledTrack {
  readonly track: Track
  readonly matches: (labels: Labels) => boolean
}

const compiled = new WeakMap<SidecarSet, readonly CompiledTrack[]>()

function compiledTracks(sidecarSet: SidecarSet): readonly CompiledTrack[] {
  const known = compiled.get(sidecarSet)
  if (known !== undefined) return known
  const made = tracksOf(sidecarSet).map((track): CompiledTrack => {
    // Tracks are validated when they are read, so the selector can be understood.
    const selector = track.selector && compileLabelSelector(track.selector)
    return { track, matches: (labels) => selector?.matches(labels) ?? true }
  })
  compiled.set(sidecarSet, made)
  return made
}

/** Which tracks pods with these labels may be on; `undefined` where the SidecarSet has no tracks at all. */
export function trackQuestion(sidecarSet: SidecarSet, labels: Labels): TrackQuestion | undefined {
  if (tracksOf(sidecarSet).length === 0) return undefined
  const met = compiledTracks(sidecarSet).filter(({ matches }) => matches(labels))
  const whole = met.find(({ track }) => track.percent === undefined)?.track
  if (whole !== undefined) return { whole, shares: [] }
  const shares = met.flatMap(({ track }): TrackShare[] =>
    track.percent ? [{ name: track.name, weight: track.percent, track }] : [],
  )
  if (shares.length === 0) return { shares }
  const rest = 100 - shares.reduce((sum, { weight }) => sum + weight, 0)
  return { shares: [...shares, { name: '', weight: Math.max(0, rest), track: undefined }] }
}

/**
 * The track a pod is on: the same answer for injection and for rollouts. `undefined`: none; so also for a pod that nothing
 * can be drawn for, because it has no identity yet.
 */
export function trackOf(sidecarSet: SidecarSet, pod: Pod): Track | undefined {
  const question = trackQuestion(sidecarSet, pod.metadata.labels ?? {})
  if (question === undefined) return undefined
  if (question.whole !== undefined || question.shares.length === 0) return question.whole
  const identity = podIdentity(sidecarSet, pod)
  return identity && assign(identity.text, question.shares)?.track
}
