import {
  customVersionOf,
  podAnnotations,
  type SidecarSet,
  type SidecarSetSpec,
  sidecarSetLabels,
} from '@outrigger/api'
import { UserError } from '@outrigger/foundation'
import { parseRecords, revisionNameOf } from '@outrigger/injection'
import { type ControllerRevision, isRecord, type Pod } from '@outrigger/kube'
import { formatTable } from '../rendering/table.ts'
import type { RecordedContents } from './rollout-state.ts'

/** The parts of a SidecarSet that a revision records. */
const recordedFields = [
  'containers',
  'initContainers',
  'volumes',
  'imagePullSecrets',
  'patchPodMetadata',
] as const

/** What a revision recorded; a field that was absent is null. @throws UserError when it records no SidecarSet. */
export function recordedSpec(revision: ControllerRevision): Record<string, unknown> {
  const spec = isRecord(revision.data) ? revision.data['spec'] : undefined
  if (!isRecord(spec))
    throw new UserError(
      `revision ${revision.metadata.name} records no SidecarSet`,
      'choose another with --to-revision',
    )
  return contentOf(spec)
}

function contentOf(spec: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(recordedFields.map((field) => [field, spec[field] ?? null]))
}

/** What the revisions of a SidecarSet, given oldest first, recorded; those that record none are left out. */
export function recordedContents(revisions: readonly ControllerRevision[]): RecordedContents {
  const specs = new Map(
    revisions.flatMap(({ metadata, data }) => {
      const spec = isRecord(data) ? data['spec'] : undefined
      return isRecord(spec) ? [[metadata.name, contentOf(spec) as SidecarSetSpec]] : []
    }),
  )
  return {
    get: (name) => specs.get(name),
    find: (_, { revisionName, customVersion }) =>
      revisionName
        ? revisions.find(({ metadata }) => metadata.name === revisionName)
        : revisions.findLast(
            ({ metadata }) => metadata.labels?.[sidecarSetLabels.customVersion] === customVersion,
          ),
  }
}

/**
 * The revision to go back to: the one of that number, or the one before the newest for 0.
 *
 * @throws UserError when there is none.
 */
export function revisionToRestore(
  sidecarSet: SidecarSet,
  revisions: readonly ControllerRevision[],
  number: number,
): ControllerRevision {
  const { name } = sidecarSet.metadata
  if (revisions.length === 0) throw noHistory(name)
  const current = revisionNameOf(sidecarSet)
  const found =
    number === 0
      ? revisions.filter(({ metadata }) => metadata.name !== current).at(-1)
      : revisions.find(({ revision }) => revision === number)
  if (found !== undefined) return found
  throw number === 0
    ? new UserError(`SidecarSet ${name} has one revision only`, 'there is nothing to go back to')
    : new UserError(
        `SidecarSet ${name} has no revision ${number}`,
        `choose one of ${revisions.map(({ revision }) => revision).join(', ')}`,
      )
}

export function noHistory(name: string): UserError {
  return new UserError(
    `no rollout history is recorded for SidecarSet ${name}`,
    'the manager records a ControllerRevision for each content; see that a manager runs which keeps them',
  )
}

/** What was recorded of a SidecarSet, oldest first. */
export interface RevisionHistory {
  readonly sidecarSet: string
  readonly revisions: readonly RevisionEntry[]
}

export interface RevisionEntry {
  readonly revision: number
  readonly name: string
  readonly isCurrent: boolean
  /** Empty where none was given. */
  readonly customVersion: string
  /** How many pods carry it. */
  readonly pods: number
  readonly images: readonly { readonly container: string; readonly image: string }[]
}

/** The revisions of a SidecarSet, with the number of pods that carry each. */
export function historyOf(
  sidecarSet: SidecarSet,
  revisions: readonly ControllerRevision[],
  pods: readonly Pod[],
): RevisionHistory {
  const { name } = sidecarSet.metadata
  const current = revisionNameOf(sidecarSet)
  const carriers = new Map<string, number>()
  for (const pod of pods) {
    const record = parseRecords(pod.metadata.annotations?.[podAnnotations.hash])?.get(name)
    const revision = record?.controllerRevision
    if (revision !== undefined) carriers.set(revision, (carriers.get(revision) ?? 0) + 1)
  }
  const entries = revisions.map((revision): RevisionEntry => {
    const isCurrent = revision.metadata.name === current
    return {
      revision: revision.revision,
      name: revision.metadata.name,
      isCurrent,
      customVersion:
        revision.metadata.labels?.[sidecarSetLabels.customVersion] ??
        ((isCurrent && customVersionOf(sidecarSet)) || ''),
      pods: carriers.get(revision.metadata.name) ?? 0,
      images: imagesOf(revision),
    }
  })
  return { sidecarSet: name, revisions: entries }
}

/** A line for each revision. */
export function formatHistory({ sidecarSet, revisions }: RevisionHistory): string {
  const rows = revisions.map(({ revision, name, isCurrent, customVersion, pods, images }) => [
    String(revision),
    `${name}${isCurrent ? ' (current)' : ''}`,
    customVersion || '<none>',
    String(pods),
    images.map(({ container, image }) => `${container}=${image}`).join(',') || '<none>',
  ])
  const header = ['REVISION', 'NAME', 'CUSTOM-VERSION', 'PODS', 'IMAGES']
  return `sidecarset.apps.kruise.io/${sidecarSet}\n${formatTable([header, ...rows])}`
}

function imagesOf(revision: ControllerRevision): RevisionEntry['images'] {
  const { containers, initContainers } = recordedSpec(revision)
  return [initContainers, containers].flatMap((list) =>
    (Array.isArray(list) ? list : [])
      .filter(isRecord)
      .map(({ name, image }) => ({ container: String(name), image: String(image) })),
  )
}
