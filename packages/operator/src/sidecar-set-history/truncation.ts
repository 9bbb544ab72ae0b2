import { type SidecarSet, sidecarSetLabels } from '@outrigger/api'
import type { ControllerRevision } from '@outrigger/kube'

const defaultLimit = 10

/**
 * Which revisions (given oldest first) a SidecarSet has too many of. The newest stays, and so do those that pods carry
 * (`inUse`) or that injection asks for, even beyond the limit.
 */
export function superfluous(
  { spec }: SidecarSet,
  revisions: readonly ControllerRevision[],
  inUse: ReadonlyMap<string, number>,
): ControllerRevision[] {
  const limit = Math.max(1, spec.revisionHistoryLimit ?? defaultLimit)
  const wanted = spec.injectionStrategy?.revision
  const asked = revisions.findLast(
    ({ metadata }) =>
      wanted?.customVersion && metadata.labels?.[sidecarSetLabels.customVersion] === wanted.customVersion,
  )
  const isActive = (revision: ControllerRevision) =>
    inUse.has(revision.metadata.name) ||
    revision.metadata.name === wanted?.revisionName ||
    revision === asked ||
    revision === revisions.at(-1)
  return revisions.filter((revision) => !isActive(revision)).slice(0, Math.max(0, revisions.length - limit))
}
