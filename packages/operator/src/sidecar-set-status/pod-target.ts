import {
  isHotUpgrade,
  type ManagedSidecar,
  managedSidecars,
  type SidecarSet,
  sidecarSetAnnotations,
} from '@outrigger/api'
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
  }
}
