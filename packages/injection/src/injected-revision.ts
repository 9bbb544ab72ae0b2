import { type SidecarSet, sidecarSetAnnotations, sidecarSetAtRevision } from '@outrigger/api'
import { type ControllerRevision, compileLabelSelector, type Pod, SelectorError } from '@outrigger/kube'
import { InjectionFailure } from './injection-failure.ts'
import { parseRecords, rememberRevisionName } from './injection-records.ts'

/** Where older contents of SidecarSets are recorded. */
export interface RevisionSource {
  /**
   * The revision `injectionStrategy.revision` names, among those recorded for the SidecarSet: by name, or the newest
   * with the custom version.
   */
  find(
    sidecarSet: SidecarSet,
    wanted: { readonly revisionName?: string; readonly customVersion?: string },
  ): ControllerRevision | undefined
  /**
   * The name under which the present content is recorded; `undefined` while it is not. It cannot always be computed: early
   * releases of OpenKruise recorded the same content in another form. Left out: it is computed.
   */
  recordedNameOf?(sidecarSet: SidecarSet): string | undefined
}

/** How contents are chosen that are not the present one. */
export interface RevisionFacts {
  /** Left out: nothing is recorded, and SidecarSets that ask for a revision fail. */
  readonly revisions?: RevisionSource
  /**
   * A number in [0, 1), drawn anew for every pod: where `Partial` takes a share of the pods. Left out: 0, the
   * recorded content wherever there is a share at all.
   */
  readonly chance?: number
}

/**
 * The content of a SidecarSet that a pod gets: the present one, or one recorded before. A pod that carries one of
 * the two already keeps it.
 *
 * @throws InjectionFailure when the revision asked for is not recorded.
 */
export function contentFor(sidecarSet: SidecarSet, pod: Pod, facts: RevisionFacts): SidecarSet {
  const choice = choiceFor(sidecarSet, pod)
  if (choice === 'present') return named(sidecarSet, facts.revisions)
  const recorded = recordedContent(sidecarSet, facts.revisions)
  if (choice === 'recorded') return recorded
  const carried = parseRecords(pod.metadata.annotations?.[sidecarSetAnnotations.hash])?.get(
    sidecarSet.metadata.name,
  )?.hash
  const hashOf = ({ metadata }: SidecarSet) => metadata.annotations?.[sidecarSetAnnotations.hash]
  for (const content of [recorded, sidecarSet]) if (carried && hashOf(content) === carried) return content
  return (facts.chance ?? 0) <= choice ? recorded : named(sidecarSet, facts.revisions)
}

const resolved = new WeakSet<SidecarSet>()

/** The SidecarSet, known by the name of the revision that records it. Asked once for each object. */
function named(sidecarSet: SidecarSet, revisions: RevisionSource | undefined): SidecarSet {
  if (resolved.has(sidecarSet)) return sidecarSet
  const name = revisions?.recordedNameOf?.(sidecarSet)
  if (name === undefined) return sidecarSet
  resolved.add(sidecarSet)
  rememberRevisionName(sidecarSet, name)
  return sidecarSet
}

/** Every content of a SidecarSet that a pod may rightly have got by now. */
export function contentsFor(sidecarSet: SidecarSet, pod: Pod, facts: RevisionFacts): SidecarSet[] {
  const choice = choiceFor(sidecarSet, pod)
  if (choice === 'present') return [sidecarSet]
  return [recordedContent(sidecarSet, facts.revisions), sidecarSet]
}

/** Which content, or the share of pods (0 to 1) that gets the recorded one. */
function choiceFor({ metadata, spec }: SidecarSet, pod: Pod): 'present' | 'recorded' | number {
  const revision = spec.injectionStrategy?.revision
  if (!revision?.revisionName && !revision?.customVersion) return 'present'
  const { paused, selector, partition } = spec.updateStrategy ?? {}
  if (paused || revision.policy !== 'Partial') return 'recorded'
  if (selector && !selects(selector, pod)) return 'recorded'
  if (typeof partition !== 'string') return 'present'
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(partition)?.[1]
  if (percent === undefined)
    throw new InjectionFailure(`SidecarSet ${metadata.name}`, `partition ${partition} is no percentage`)
  return Number(percent) === 0 ? 'present' : Number(percent) / 100
}

function selects(selector: Parameters<typeof compileLabelSelector>[0], { metadata }: Pod): boolean {
  try {
    return compileLabelSelector(selector).matches(metadata.labels ?? {})
  } catch (error) {
    if (error instanceof SelectorError) return false
    throw error
  }
}

// Both ends are shared, immutable objects of caches, so the pair names the content.
const restored = new WeakMap<SidecarSet, WeakMap<ControllerRevision, SidecarSet>>()

function recordedContent(sidecarSet: SidecarSet, revisions: RevisionSource | undefined): SidecarSet {
  const { revisionName, customVersion } = sidecarSet.spec.injectionStrategy?.revision ?? {}
  const wanted = { ...(revisionName ? { revisionName } : customVersion && { customVersion }) }
  const found = revisions?.find(sidecarSet, wanted)
  if (found === undefined)
    throw new InjectionFailure(
      `SidecarSet ${sidecarSet.metadata.name}`,
      `injectionStrategy.revision asks for ${revisionName ?? customVersion}, which is not recorded`,
    )
  const known = restored.get(sidecarSet)?.get(found)
  if (known !== undefined) return known
  const content = sidecarSetAtRevision(sidecarSet, found)
  if (content === undefined)
    throw new InjectionFailure(
      `SidecarSet ${sidecarSet.metadata.name}`,
      `ControllerRevision ${found.metadata.name} records no SidecarSet`,
    )
  rememberRevisionName(content, found.metadata.name)
  const byRevision = restored.get(sidecarSet) ?? new WeakMap<ControllerRevision, SidecarSet>()
  restored.set(sidecarSet, byRevision.set(found, content))
  return content
}
