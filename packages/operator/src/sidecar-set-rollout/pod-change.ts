import { podAnnotations, type SidecarSet } from '@outrigger/api'
import { injectionAnnotations, parseRecords, patchAnnotations } from '@outrigger/injection'
import { isRecord, type Pod } from '@outrigger/kube'
import { ConsistencyJudge } from '../sidecar-set-status/consistency.ts'
import { formatMap, inPlaceStates, workingContainers } from '../sidecar-set-status/pod-annotations.ts'
import type { PodTarget } from '../sidecar-set-status/pod-target.ts'
import { resizeMarkOf, withResizeMark } from '../sidecar-set-status/resize-mark.ts'
import { type HotUpgradeStep, hotResetStep, hotUpgradeStep, type ImageChange } from './hot-upgrade.ts'

/** What one write does to a pod. */
export interface PodChange {
  readonly images: readonly ImageChange[]
  /** Set one by one, or taken away where `null`; other annotations stay. */
  readonly annotations: Readonly<Record<string, string | null>>
}

/**
 * Brings a pod's sidecars to the images of a content, with the records that go with it and the annotations the
 * content patches. Records are renewed even where no image differs. What a resize has begun is thereby complete.
 *
 * @throws InjectionFailure when annotations that are there cannot be read or merged.
 */
export function upgradeChange(pod: Pod, target: PodTarget, time: string, version: string): PodChange {
  const { content } = target
  const judge = new ConsistencyJudge(pod, content.metadata.name)
  const hot = target.hot.flatMap((sidecar) => {
    const step = hotUpgradeStep(pod, sidecar, judge, version)
    return step === undefined ? [] : [{ name: sidecar.sidecar.name, step }]
  })
  const cold = coldChanges(pod, target)
  const images = [...cold, ...hot.flatMap(({ step }) => step.images)]
  const before = pod.metadata.annotations ?? {}
  const patched = patchAnnotations(before, [content])
  const records = injectionAnnotations(before, [content], time)
  const { [podAnnotations.hash]: hash = '', [podAnnotations.hashWithoutImage]: hashWithoutImage = '' } =
    records
  const renewed = { revision: target.hash, updateTimestamp: time }
  return {
    images,
    annotations: {
      ...difference(before, patched),
      ...hotAnnotations(pod, hot),
      [podAnnotations.hash]: hash,
      // Only a resize changes what this one is made of; its time alone is no reason to write it.
      ...(hasOtherHash(before, content, target) && { [podAnnotations.hashWithoutImage]: hashWithoutImage }),
      ...(resizeMarkOf(pod, content.metadata.name) && {
        [podAnnotations.resize]: withResizeMark(pod, content.metadata.name, undefined),
      }),
      [podAnnotations.inPlaceUpdateState]: inPlaceState(pod, target, images, judge, renewed),
    },
  }
}

function hasOtherHash(
  annotations: Readonly<Record<string, string>>,
  { metadata }: SidecarSet,
  { hashWithoutImage }: PodTarget,
): boolean {
  const recorded = parseRecords(annotations[podAnnotations.hashWithoutImage])?.get(metadata.name)
  return recorded?.hash !== hashWithoutImage
}

/** Whether bringing a pod to this content in place ends containers that serve. Hot upgrades do not, most resizes neither. */
export function restartsContainers(pod: Pod, target: PodTarget, way: 'images' | 'resize'): boolean {
  if (coldChanges(pod, target).length > 0) return true
  const asksForRestart = ({ sidecar }: PodTarget['managed'][number]) =>
    sidecar.resizePolicy?.some(({ restartPolicy }) => restartPolicy !== 'NotRequired') ?? false
  return way === 'resize' && target.managed.some(asksForRestart)
}

function coldChanges(pod: Pod, { managed, hot }: PodTarget): ImageChange[] {
  return managed
    .filter((sidecar) => !hot.includes(sidecar))
    .flatMap(({ list, sidecar }): ImageChange[] => {
      const container = pod.spec[list]?.find(({ name }) => name === sidecar.name)
      if (container === undefined || container.image === sidecar.image) return []
      return [{ list, name: sidecar.name, image: sidecar.image ?? '' }]
    })
}

/** Empties the containers that hot upgrades have left. */
export function resetChange(pod: Pod, target: PodTarget): PodChange {
  const hot = target.hot.flatMap((sidecar) => {
    const step = hotResetStep(pod, sidecar)
    return step === undefined ? [] : [{ name: sidecar.sidecar.name, step }]
  })
  const images = hot.flatMap(({ step }) => step.images)
  const judge = new ConsistencyJudge(pod, target.content.metadata.name)
  return {
    images,
    annotations: {
      ...hotAnnotations(pod, hot),
      [podAnnotations.inPlaceUpdateState]: inPlaceState(pod, target, images, judge),
    },
  }
}

/** A strategic merge patch, refused by the API server if the pod is another one or has changed since. */
export function patchBodyOf({ metadata }: Pod, { images, annotations }: PodChange): unknown {
  const inList = (list: ImageChange['list']) =>
    images.filter((change) => change.list === list).map(({ name, image }) => ({ name, image }))
  const [containers, initContainers] = [inList('containers'), inList('initContainers')]
  return {
    metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, annotations },
    ...(images.length > 0 && {
      spec: {
        ...(containers.length > 0 && { containers }),
        ...(initContainers.length > 0 && { initContainers }),
      },
    }),
  }
}

function difference(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): Record<string, string> {
  if (before === after) return {}
  return Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value))
}

function hotAnnotations(
  pod: Pod,
  steps: readonly { readonly name: string; readonly step: HotUpgradeStep }[],
): Record<string, string> {
  if (steps.length === 0) return {}
  const working = { ...workingContainers(pod) }
  const annotations: Record<string, string> = {}
  for (const { name, step } of steps) {
    working[name] = step.working
    Object.assign(annotations, step.annotations)
  }
  return { ...annotations, [podAnnotations.workingHotUpgradeContainer]: formatMap(working) }
}

/**
 * What each changed container ran before: how the node is later known to have acted. Entries of other containers
 * stay, except that of a container which has settled on another name of the same image: a new time would unsettle it.
 */
function inPlaceState(
  pod: Pod,
  { content }: PodTarget,
  images: readonly ImageChange[],
  judge: ConsistencyJudge,
  renewed: Readonly<Record<string, string>> = {},
): string {
  const { name } = content.metadata
  const states = inPlaceStates(pod) ?? {}
  const before = isRecord(states[name]) ? states[name] : {}
  const recorded = isRecord(before['lastContainerStatuses']) ? before['lastContainerStatuses'] : {}
  const isRenewed = Object.keys(renewed).length > 0
  const kept = Object.entries(recorded).filter(([container, entry]) => {
    const hasSameImage = isRecord(entry) && entry['imageID'] === imageIdOf(pod, container)
    return !(isRenewed && hasSameImage && judge.isConsistent(container))
  })
  const now = images.map(({ name: container }) => {
    const imageID = imageIdOf(pod, container)
    return [container, imageID ? { imageID } : {}] as const
  })
  const { revision, updateTimestamp, lastContainerStatuses: _, ...others } = before
  const entries = new Map<string, unknown>([...kept, ...now])
  const lastContainerStatuses = Object.fromEntries(
    [...entries].sort(([one], [other]) => (one < other ? -1 : 1)),
  )
  const state = { revision, updateTimestamp, ...renewed, lastContainerStatuses, ...others }
  return formatMap({ ...states, [name]: state })
}

function imageIdOf({ status }: Pod, container: string): string | undefined {
  return [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].find(
    ({ name }) => name === container,
  )?.imageID
}
