import {
  customVersionOf,
  describeWish,
  type RevisionWish,
  type SidecarSet,
  sidecarSetAnnotations,
  sidecarSetAtRevision,
  type Track,
  tracksOf,
} from '@outrigger/api'
import {
  type ControllerRevision,
  compileLabelSelector,
  type IntOrString,
  type Pod,
  SelectorError,
} from '@outrigger/kube'
import { assign } from './assignment.ts'
import { InjectionFailure } from './injection-failure.ts'
import { parseRecords, rememberRevisionName } from './injection-records.ts'
import { podIdentity, seedFrom } from './pod-identity.ts'
import { trackOf, trackQuestion } from './track-choice.ts'

/** Where older contents of SidecarSets are recorded. */
export interface RevisionSource {
  /** The revision wished for, among those recorded for the SidecarSet: by name, or the newest with the custom version. */
  find(sidecarSet: SidecarSet, wish: RevisionWish): ControllerRevision | undefined
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
   * A number in [0, 1), drawn anew for every pod: what the seed of a pod without a name is made from. Left out: it gets none, is
   * on no track that takes a share, and under `Partial` gets the recorded content wherever there is a share at all.
   */
  readonly chance?: number
  /**
   * The pod exists already and has just reached its node: containers and volumes may only be added, and of
   * init containers only native sidecars. One that carries a content which it may have keeps that. Default false.
   */
  readonly isLate?: boolean
}

/**
 * The content of a SidecarSet that a pod gets: that of its track, the present one, or one recorded before. Decided by the
 * pod's identity alone, as rollouts decide it.
 *
 * @throws InjectionFailure when the revision asked for is not recorded.
 */
export function contentFor(sidecarSet: SidecarSet, pod: Pod, facts: RevisionFacts): SidecarSet {
  const carried = facts.isLate ? carriedContent(sidecarSet, pod, facts) : undefined
  if (carried !== undefined) return carried
  const track = trackOf(sidecarSet, pod)
  if (track !== undefined) return trackContent(sidecarSet, track, facts.revisions)
  const choice = choiceFor(sidecarSet, pod)
  const isRecorded = choice === 'recorded' || (choice !== 'present' && isDrawn(sidecarSet, pod, choice))
  return isRecorded ? injectedRevision(sidecarSet, facts.revisions) : named(sidecarSet, facts.revisions)
}

/** What a pod that is there already carries, if a choice between contents may have given it that. */
function carriedContent(sidecarSet: SidecarSet, pod: Pod, facts: RevisionFacts): SidecarSet | undefined {
  if (tracksOf(sidecarSet).length === 0 && typeof choiceFor(sidecarSet, pod) === 'string') return undefined
  const carried = parseRecords(pod.metadata.annotations?.[sidecarSetAnnotations.hash])?.get(
    sidecarSet.metadata.name,
  )?.hash
  if (!carried) return undefined
  return contentsFor(sidecarSet, pod, facts).find(
    ({ metadata }) => metadata.annotations?.[sidecarSetAnnotations.hash] === carried,
  )
}

/**
 * A seed for a pod that has no identity yet and is to be chosen for; `undefined` where none is needed. Recorded on the pod,
 * it makes all later choices come out the same.
 */
export function seedFor(
  sidecarSets: readonly SidecarSet[],
  pod: Pod,
  { chance }: RevisionFacts,
): string | undefined {
  if (chance === undefined) return undefined
  const isNeeded = sidecarSets.some(
    (sidecarSet) => isDrawnFor(sidecarSet, pod) && podIdentity(sidecarSet, pod) === undefined,
  )
  return isNeeded ? seedFrom(chance) : undefined
}

/** Whether a pod's identity decides which content of a SidecarSet it gets. */
function isDrawnFor(sidecarSet: SidecarSet, pod: Pod): boolean {
  const question = trackQuestion(sidecarSet, pod.metadata.labels ?? {})
  if (question?.whole !== undefined) return false
  if (question !== undefined && question.shares.length > 0) return true
  const choice = choiceFor(sidecarSet, pod)
  return typeof choice === 'number' && choice < 1
}

/**
 * Whether injection would give a pod the recorded content because of its share under policy `Partial`. Those are the pods
 * that a rollout leaves on it first. False where no share is drawn for.
 */
export function isGivenRecorded(sidecarSet: SidecarSet, pod: Pod): boolean {
  const share = recordedShareFor(sidecarSet, pod)
  return share !== undefined && isDrawn(sidecarSet, pod, share)
}

/** The share of pods (0 to 1) that get the recorded content under policy `Partial`; `undefined` where nothing is drawn for. */
export function recordedShareFor(sidecarSet: SidecarSet, pod: Pod): number | undefined {
  const { revision } = sidecarSet.spec.injectionStrategy ?? {}
  const { partition } = sidecarSet.spec.updateStrategy ?? {}
  if (revision?.policy !== 'Partial' || percentOf(partition) === undefined) return undefined
  const choice = choiceFor(sidecarSet, pod)
  return typeof choice === 'number' ? choice : undefined
}

/** Whether a pod is among the share (0 to 1) that gets the recorded content. */
function isDrawn(sidecarSet: SidecarSet, pod: Pod, share: number): boolean {
  const identity = podIdentity(sidecarSet, pod)
  if (identity === undefined) return true
  return (
    assign(identity.text, [
      { name: 'recorded', weight: share },
      { name: 'present', weight: 1 - share },
    ])?.name === 'recorded'
  )
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
  const tracks = tracksOf(sidecarSet).flatMap(
    (track) => contentOfTrack(sidecarSet, track, facts.revisions) ?? [],
  )
  const choice = choiceFor(sidecarSet, pod)
  if (choice === 'present') return [...tracks, sidecarSet]
  return [...tracks, injectedRevision(sidecarSet, facts.revisions), sidecarSet]
}

/** Which content those that are on no track get, or the share of pods (0 to 1) that gets the recorded one. */
function choiceFor({ metadata, spec }: SidecarSet, pod: Pod): 'present' | 'recorded' | number {
  const revision = spec.injectionStrategy?.revision
  if (!revision?.revisionName && !revision?.customVersion) return 'present'
  const { paused, selector, partition } = spec.updateStrategy ?? {}
  if (paused || revision.policy !== 'Partial') return 'recorded'
  if (selector && !selects(selector, pod)) return 'recorded'
  if (typeof partition !== 'string') return 'present'
  const percent = percentOf(partition)
  if (percent === undefined)
    throw new InjectionFailure(`SidecarSet ${metadata.name}`, `partition ${partition} is no percentage`)
  return percent === 0 ? 'present' : Math.min(percent, 100) / 100
}

function percentOf(partition: IntOrString | undefined): number | undefined {
  const percent = typeof partition === 'string' ? /^(\d+(?:\.\d+)?)%$/.exec(partition)?.[1] : undefined
  return percent === undefined ? undefined : Number(percent)
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

/** @throws InjectionFailure when what `injectionStrategy.revision` asks for is not recorded. */
function injectedRevision(sidecarSet: SidecarSet, revisions: RevisionSource | undefined): SidecarSet {
  const wish = sidecarSet.spec.injectionStrategy?.revision ?? {}
  const content = recordedContent(sidecarSet, wish, revisions)
  if (content !== undefined) return content
  throw new InjectionFailure(
    `SidecarSet ${sidecarSet.metadata.name}`,
    `injectionStrategy.revision asks for ${wish.revisionName || wish.customVersion}, which is not recorded`,
  )
}

/** @throws InjectionFailure when it is not recorded. */
function trackContent(
  sidecarSet: SidecarSet,
  track: Track,
  revisions: RevisionSource | undefined,
): SidecarSet {
  const content = contentOfTrack(sidecarSet, track, revisions)
  if (content !== undefined) return content
  throw new InjectionFailure(
    `SidecarSet ${sidecarSet.metadata.name}`,
    `track ${track.name} asks for ${describeWish(track)}, which is not recorded`,
  )
}

/**
 * The SidecarSet with the content of a track; `undefined` where that is not recorded. The same object for as long as nothing
 * changes. The present content counts before it is recorded.
 */
export function contentOfTrack(
  sidecarSet: SidecarSet,
  track: Track,
  revisions: RevisionSource | undefined,
): SidecarSet | undefined {
  return track.customVersion && track.customVersion === customVersionOf(sidecarSet)
    ? named(sidecarSet, revisions)
    : recordedContent(sidecarSet, track, revisions)
}

function recordedContent(
  sidecarSet: SidecarSet,
  { revisionName, customVersion }: RevisionWish,
  revisions: RevisionSource | undefined,
): SidecarSet | undefined {
  const wish = revisionName ? { revisionName } : { ...(customVersion && { customVersion }) }
  const found = revisions?.find(sidecarSet, wish)
  if (found === undefined) return undefined
  const known = restored.get(sidecarSet)?.get(found)
  if (known !== undefined) return known
  const content = sidecarSetAtRevision(sidecarSet, found)
  if (content === undefined) return undefined
  rememberRevisionName(content, found.metadata.name)
  const byRevision = restored.get(sidecarSet) ?? new WeakMap<ControllerRevision, SidecarSet>()
  restored.set(sidecarSet, byRevision.set(found, content))
  return content
}
