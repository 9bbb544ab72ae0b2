import { sidecarSetAnnotations } from './names.ts'
import type { SidecarSet } from './sidecar-set.ts'
import type { Track } from './track.ts'
import { parseTracks } from './validation-tracks.ts'

const none: readonly Track[] = []
const parsed = new WeakMap<SidecarSet, readonly Track[]>()

/**
 * The tracks of a SidecarSet, from the annotation `outrigger.dev/tracks`. None where it cannot be read: admission refuses
 * that, but a SidecarSet may have been stored while it was not asked. Read once for each object.
 */
export function tracksOf(sidecarSet: SidecarSet): readonly Track[] {
  const text = sidecarSet.metadata.annotations?.[sidecarSetAnnotations.tracks]
  if (text === undefined) return none
  const known = parsed.get(sidecarSet)
  if (known !== undefined) return known
  const { tracks, errors } = parseTracks(text)
  const usable = errors.length === 0 ? tracks : none
  parsed.set(sidecarSet, usable)
  return usable
}

/** Whose identity decides between contents: that of each pod, or that of the workload it belongs to. Default `Pod`. */
export function assignsBy({ metadata }: SidecarSet): 'Pod' | 'Workload' {
  return metadata.annotations?.[sidecarSetAnnotations.assignBy] === 'Workload' ? 'Workload' : 'Pod'
}
