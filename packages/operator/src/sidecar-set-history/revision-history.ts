import {
  recordedData,
  revisionData,
  type SidecarSet,
  type SidecarSetContent,
  sidecarSetLabels,
} from '@outrigger/api'
import type { Store } from '@outrigger/controller'
import { type RevisionSource, revisionNameOf } from '@outrigger/injection'
import { type ControllerRevision, controllerOf, isRecord } from '@outrigger/kube'

/** Index of ControllerRevisions by the SidecarSet they are for. */
export const revisionsBySidecarSet = 'sidecar-set'

/** The ways our controllers look revisions up. */
export const revisionIndexes = {
  [revisionsBySidecarSet]: ({ metadata }: ControllerRevision): readonly string[] => {
    const name = metadata.labels?.[sidecarSetLabels.name]
    return name ? [name] : []
  },
}

/** The revisions recorded for SidecarSets, as the cache has them. */
export class RevisionHistory implements RevisionSource {
  readonly #revisions: Store<ControllerRevision>

  constructor(revisions: Store<ControllerRevision>) {
    this.#revisions = revisions
  }

  /** Oldest first; those of a namesake that is gone are left out. */
  of({ metadata }: SidecarSet): ControllerRevision[] {
    return this.#revisions
      .byIndex(revisionsBySidecarSet, metadata.name)
      .filter((revision) => {
        const owner = controllerOf(revision)
        return owner === undefined || owner.uid === metadata.uid
      })
      .sort(inOrder)
  }

  find(
    sidecarSet: SidecarSet,
    { revisionName, customVersion }: { readonly revisionName?: string; readonly customVersion?: string },
  ): ControllerRevision | undefined {
    const revisions = this.of(sidecarSet)
    if (revisionName) return revisions.find(({ metadata }) => metadata.name === revisionName)
    return revisions.findLast(
      ({ metadata }) => metadata.labels?.[sidecarSetLabels.customVersion] === customVersion,
    )
  }

  /** What a revision recorded; `undefined` when there is none of that name. */
  contentOf(sidecarSet: SidecarSet, revisionName: string): SidecarSetContent | undefined {
    const found = this.find(sidecarSet, { revisionName })
    if (found === undefined) return undefined
    const recorded: unknown = JSON.parse(recordedData(found))
    const spec = isRecord(recorded) ? recorded['spec'] : undefined
    return isRecord(spec) ? (spec as SidecarSetContent) : undefined
  }

  /** The name under which the present content is, or will be, recorded. */
  nameOf(sidecarSet: SidecarSet): string {
    return this.recordedNameOf(sidecarSet) ?? revisionNameOf(sidecarSet)
  }

  recordedNameOf(sidecarSet: SidecarSet): string | undefined {
    const name = revisionNameOf(sidecarSet)
    const recorded = this.of(sidecarSet)
    if (recorded.some(({ metadata }) => metadata.name === name)) return name
    const data = revisionData(sidecarSet.spec)
    return recorded.findLast((revision) => recordedData(revision) === data)?.metadata.name
  }
}

/** By number, then age, then name. */
export function inOrder(left: ControllerRevision, right: ControllerRevision): number {
  const [one, two] = [left.metadata, right.metadata]
  return (
    left.revision - right.revision ||
    compare(one.creationTimestamp ?? '', two.creationTimestamp ?? '') ||
    compare(one.name, two.name)
  )
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
