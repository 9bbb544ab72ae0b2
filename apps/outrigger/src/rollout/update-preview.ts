import { type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import {
  compileSidecarSet,
  isActive,
  matchSidecarSet,
  type NamespaceFacts,
  revisionNameOf,
} from '@outrigger/injection'
import { keyOf, type Pod } from '@outrigger/kube'
import { injectedSidecarSets, ownerOf, takesInRunningPods } from '@outrigger/operator'
import { type MovingWay, wayWords } from './change-way.ts'
import { type ChangedField, changedFields } from './changed-fields.ts'
import { judgeRollout, type PodProgress, type RecordedContents } from './rollout-state.ts'
import type { TrackCount } from './track-count.ts'

/** What a new content of a SidecarSet would mean for one running pod. */
export interface PodEffect {
  /** `namespace/name`. */
  readonly pod: string
  readonly effect:
    | (typeof wayWords)[MovingWay]
    | 'held back'
    | 'on recreation'
    | 'newly matched'
    | 'no longer matched'
    | 'unchanged'
  readonly reason: string
}

/** What a new content of a SidecarSet would mean. */
export interface UpdatePreview {
  readonly sidecarSet: string
  readonly change: 'create' | 'update' | 'none'
  /** Names of the revisions; `before` is empty when it would be created. */
  readonly revision: { readonly before: string; readonly after: string }
  /** What is different; empty when it would be created. */
  readonly changes: readonly ChangedField[]
  readonly totals: Readonly<Record<PodEffect['effect'] | 'not selected', number>>
  /** How many pods may change at the same time. */
  readonly atOnce: number
  /** All but those that are not selected. */
  readonly pods: readonly PodEffect[]
  /** How the pods that carry it would be divided; empty without tracks. */
  readonly tracks: readonly TrackCount[]
}

/** Compares a SidecarSet, as admission would store it, with the pods there are and what they carry, as far as that is recorded. */
export function previewUpdate(
  next: SidecarSet,
  current: SidecarSet | undefined,
  pods: readonly Pod[],
  namespaceOf: (name: string) => NamespaceFacts,
  recorded?: RecordedContents,
  canResize = true,
): UpdatePreview {
  const { name } = next.metadata
  const rollout = judgeRollout(next, pods, namespaceOf, recorded, canResize)
  const progress = new Map(rollout.pods.map((one) => [one.pod, one]))
  const compiled = compileSidecarSet(next)
  const totals: Record<PodEffect['effect'] | 'not selected', number> = {
    'in place': 0,
    'resized in place': 0,
    'made anew': 0,
    'held back': 0,
    'on recreation': 0,
    'newly matched': 0,
    'no longer matched': 0,
    unchanged: 0,
    'not selected': 0,
  }
  const effects: PodEffect[] = []
  for (const pod of pods) {
    if (!isActive(pod)) continue
    const known = progress.get(keyOf(pod))
    const verdict = matchSidecarSet(
      compiled,
      pod.metadata.labels ?? {},
      namespaceOf(pod.metadata.namespace ?? 'default'),
    )
    const effect =
      known === undefined
        ? strangerEffect(verdict, injectedSidecarSets(pod).includes(name), newPodFor(pod, next))
        : carrierEffect(known, rollout.budget.allowed)
    totals[effect?.effect ?? 'not selected']++
    if (effect !== undefined) effects.push({ pod: keyOf(pod), ...effect })
  }
  const before = current === undefined ? '' : revisionNameOf(current)
  return {
    sidecarSet: name,
    change: current === undefined ? 'create' : hasSameSpec(current, next) ? 'none' : 'update',
    revision: { before, after: revisionNameOf(next) },
    changes: current === undefined ? [] : changedFields(current.spec, next),
    totals,
    atOnce: rollout.budget.allowed,
    pods: effects.sort((left, right) => (left.pod < right.pod ? -1 : 1)),
    tracks: rollout.tracks,
  }
}

type Effect = Omit<PodEffect, 'pod'>

function strangerEffect(
  { isInjected, reason }: { readonly isInjected: boolean; readonly reason: string },
  carries: boolean,
  newPod: string,
): Effect | undefined {
  if (carries)
    return { effect: 'no longer matched', reason: `keeps what it has and is not updated any more: ${reason}` }
  return isInjected
    ? { effect: 'newly matched', reason: `gets the sidecars when it is recreated${newPod}` }
    : undefined
}

/** Who makes a new pod in place of one that runs without the SidecarSet. */
function newPodFor(pod: Pod, sidecarSet: SidecarSet): string {
  if (!takesInRunningPods(sidecarSet)) return ''
  const owner = ownerOf(pod)
  return owner.isReplaceable
    ? ': a manager with --evict-missed-pods evicts it for that'
    : `: it is not evicted for that, as ${owner.reason}`
}

const differing: Readonly<Record<MovingWay, string>> = {
  images: 'only images differ',
  resize: 'nothing but cpu, memory and images differs',
  recreate: 'it needs a new pod',
}

function carrierEffect({ standing, fate, way, track, reason, drain }: PodProgress, atOnce: number): Effect {
  const moving = way === 'wait' ? 'images' : way
  const notes = [
    differing[moving],
    ...(track === undefined ? [] : [`on track ${track}`]),
    ...(drain === undefined ? [] : [drain]),
  ]
  const inPlace: Effect = { effect: wayWords[moving], reason: notes.join('; ') }
  // Waiting for one's turn is no obstacle, as long as turns come.
  if (fate === 'waits-for-budget' && atOnce > 0) return inPlace
  switch (standing) {
    case 'current':
    case 'changing':
      return { effect: 'unchanged', reason }
    case 'waiting':
      return inPlace
    case 'held back':
      return { effect: 'held back', reason }
    case 'recreate':
      return { effect: 'on recreation', reason }
  }
}

function hasSameSpec(current: SidecarSet, next: SidecarSet): boolean {
  const { tracks, assignBy, onImageChange, onResourcesChange, onOtherChange } = sidecarSetAnnotations
  const isSame = [tracks, assignBy, onImageChange, onResourcesChange, onOtherChange].every(
    (key) => current.metadata.annotations?.[key] === next.metadata.annotations?.[key],
  )
  if (!isSame) return false
  return current.metadata.generation !== undefined && next.metadata.generation !== undefined
    ? current.metadata.generation === next.metadata.generation
    : JSON.stringify(current.spec) === JSON.stringify(next.spec)
}
