import { type RevisionWish, type SidecarSet, sidecarSetLabels, tracksOf } from '@outrigger/api'
import type { ControllerRevision } from '@outrigger/kube'

const defaultLimit = 10

/**
 * Which revisions (given oldest first) a SidecarSet has too many of. The newest stays, and so do those that pods carry
 * (`inUse`) or that injection or a track asks for, even beyond the limit.
 */
export function superfluous(
  sidecarSet: SidecarSet,
  revisions: readonly ControllerRevision[],
  inUse: ReadonlyMap<string, number>,
): ControllerRevision[] {
  const { spec } = sidecarSet
  const limit = Math.max(1, spec.revisionHistoryLimit ?? defaultLimit)
  const wishes = [...tracksOf(sidecarSet), spec.injectionStrategy?.revision ?? {}]
  const asked = new Set(wishes.map((wish) => recordOf(wish, revisions)))
  const isActive = (revision: ControllerRevision) =>
    inUse.has(revision.metadata.name) || asked.has(revision) || revision === revisions.at(-1)
  return revisions.filter((revision) => !isActive(revision)).slice(0, Math.max(0, revisions.length - limit))
}

function recordOf(
  { revisionName, customVersion }: RevisionWish,
  revisions: readonly ControllerRevision[],
): ControllerRevision | undefined {
  if (revisionName) return revisions.find(({ metadata }) => metadata.name === revisionName)
  if (!customVersion) return undefined
  return revisions.findLast(
    ({ metadata }) => metadata.labels?.[sidecarSetLabels.customVersion] === customVersion,
  )
}
