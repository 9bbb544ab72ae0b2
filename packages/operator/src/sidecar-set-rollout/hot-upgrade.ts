import { type ManagedSidecar, podAnnotations, type SidecarContainer } from '@outrigger/api'
import type { Container, Pod } from '@outrigger/kube'
import type { ConsistencyJudge } from '../sidecar-set-status/consistency.ts'
import { workingContainers } from '../sidecar-set-status/pod-annotations.ts'
import { otherContainer } from '../sidecar-set-status/pod-view.ts'

/** One container of a pod gets another image. */
export interface ImageChange {
  readonly list: 'initContainers' | 'containers'
  readonly name: string
  readonly image: string
}

/** What a hot upgrade does with the two containers of one sidecar. */
export interface HotUpgradeStep {
  readonly images: readonly ImageChange[]
  /** The container that works from now on. */
  readonly working: string
  readonly annotations: Readonly<Record<string, string>>
}

const versionKey = (container: string) => `${podAnnotations.versionPrefix}${container}`
const alternativeKey = (container: string) => `${podAnnotations.versionAltPrefix}${container}`

/**
 * Starts the new image in the idle container, beside the working one; `undefined` when nothing is to be done. Going
 * back to the image that still runs in the other container is done by emptying the new one again. The processes tell old from
 * new by a number that grows from step to step: `version`, or the next one where the pod has that already.
 */
export function hotUpgradeStep(
  pod: Pod,
  { list, sidecar }: ManagedSidecar,
  judge: ConsistencyJudge,
  version: string,
): HotUpgradeStep | undefined {
  const target = targetOf(pod, list, sidecar, judge)
  const sibling = target === `${sidecar.name}-1` ? `${sidecar.name}-2` : `${sidecar.name}-1`
  const image = sidecar.image ?? ''
  if (imageOf(pod, list, sibling) === image) {
    if (workingContainers(pod)[sidecar.name] === sibling) return undefined
    return emptied(pod, list, sidecar, target, sibling)
  }
  const isSame = imageOf(pod, list, target) === image
  const before = pod.metadata.annotations?.[versionKey(sibling)] ?? '0'
  const step = laterOf(version, before)
  return {
    images: isSame ? [] : [{ list, name: target, image }],
    working: target,
    annotations: {
      [versionKey(target)]: step,
      [alternativeKey(target)]: before,
      [alternativeKey(sibling)]: step,
    },
  }
}

/** The version, if it comes after what was there before; else what follows on that. */
function laterOf(version: string, before: string): string {
  const isNumber = (text: string) => /^\d+$/.test(text)
  if (!isNumber(version) || !isNumber(before) || BigInt(version) > BigInt(before)) return version
  return String(BigInt(before) + 1n)
}

/** Empties the container that the last step left, once the other one serves; `undefined` when it is empty already. */
export function hotResetStep(pod: Pod, { list, sidecar }: ManagedSidecar): HotUpgradeStep | undefined {
  const other = otherContainer(pod, sidecar.name)
  if (imageOf(pod, list, other) === sidecar.upgradeStrategy?.hotUpgradeEmptyImage) return undefined
  const working = other === `${sidecar.name}-1` ? `${sidecar.name}-2` : `${sidecar.name}-1`
  return emptied(pod, list, sidecar, other, working)
}

function targetOf(
  pod: Pod,
  list: ImageChange['list'],
  { name, upgradeStrategy }: SidecarContainer,
  judge: ConsistencyJudge,
): string {
  const both = [`${name}-1`, `${name}-2`] as const
  const empty = both.find(
    (container) => imageOf(pod, list, container) === upgradeStrategy?.hotUpgradeEmptyImage,
  )
  if (empty !== undefined) return empty
  const [first, second] = both.map((container) => isServing(pod, list, container, judge))
  if (first !== second) return first ? both[1] : both[0]
  return otherContainer(pod, name)
}

function isServing(pod: Pod, list: ImageChange['list'], container: string, judge: ConsistencyJudge): boolean {
  const statuses = pod.status?.[list === 'containers' ? 'containerStatuses' : 'initContainerStatuses']
  const isReady = statuses?.some(({ name, ready }) => name === container && ready) ?? false
  return isReady && judge.isConsistent(container)
}

function emptied(
  pod: Pod,
  list: ImageChange['list'],
  { upgradeStrategy }: SidecarContainer,
  old: string,
  working: string,
): HotUpgradeStep {
  const image = upgradeStrategy?.hotUpgradeEmptyImage ?? ''
  return {
    images: imageOf(pod, list, old) === image ? [] : [{ list, name: old, image }],
    working,
    annotations: { [versionKey(old)]: '0', [alternativeKey(working)]: '0' },
  }
}

function imageOf(pod: Pod, list: ImageChange['list'], container: string): string | undefined {
  return pod.spec[list]?.find(({ name }: Container) => name === container)?.image
}
