import {
  describeWish,
  isHotUpgrade,
  type ManagedSidecar,
  managedSidecars,
  type SidecarSet,
  sidecarSetAnnotations,
  type Track,
  tracksOf,
} from '@outrigger/api'
import { contentOfTrack, type RevisionSource, trackOf } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { podContainerNames } from './consistency.ts'

/** A content that pods should have, with everything ready that judging and changing them needs. One object for all its pods. */
export interface PodTarget {
  /** The SidecarSet with this content: the present one, or one that a revision recorded. */
  readonly content: SidecarSet
  /** As pods record it. */
  readonly hash: string
  readonly hashWithoutImage: string
  readonly managed: readonly ManagedSidecar[]
  readonly hot: readonly ManagedSidecar[]
  /** Names in pods of all managed containers. */
  readonly containerNames: readonly string[]
  /** Name of the track whose content this is; `undefined`: of none. */
  readonly track: string | undefined
  /** What the track asks for and is not recorded; the content is the present one then, and no pod is brought to it. */
  readonly missing: string | undefined
}

/** All that pods of one SidecarSet may have to come to. */
export interface PodTargets {
  /** What a pod should have: the same as injection gives a new pod of its track, and else the present content. */
  readonly of: (pod: Pod) => PodTarget
  readonly all: readonly PodTarget[]
}

/** The targets of a SidecarSet. `revisions` are asked for the contents of its tracks; left out, none is recorded. */
export function podTargets(sidecarSet: SidecarSet, revisions: RevisionSource | undefined): PodTargets {
  const present = podTarget(sidecarSet)
  const tracks = tracksOf(sidecarSet)
  if (tracks.length === 0) return { of: () => present, all: [present] }
  const byTrack = new Map(
    tracks.map((track) => [track.name, trackTarget(sidecarSet, track, revisions)] as const),
  )
  return {
    of: (pod) => byTrack.get(trackOf(sidecarSet, pod)?.name ?? '') ?? present,
    all: [present, ...byTrack.values()],
  }
}

function trackTarget(sidecarSet: SidecarSet, track: Track, revisions: RevisionSource | undefined): PodTarget {
  const content = contentOfTrack(sidecarSet, track, revisions)
  return {
    ...podTarget(content ?? sidecarSet),
    track: track.name,
    missing: content === undefined ? describeWish(track) : undefined,
  }
}

/** Makes a content ready to be aimed at. */
export function podTarget(content: SidecarSet): PodTarget {
  const { annotations } = content.metadata
  const managed = managedSidecars(content)
  return {
    content,
    hash: annotations?.[sidecarSetAnnotations.hash] ?? '',
    hashWithoutImage: annotations?.[sidecarSetAnnotations.hashWithoutImage] ?? '',
    managed,
    hot: managed.filter(({ sidecar }) => isHotUpgrade(sidecar)),
    containerNames: managed.flatMap(podContainerNames),
    track: undefined,
    missing: undefined,
  }
}
