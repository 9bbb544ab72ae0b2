import { type Container, deepEqual } from '@outrigger/kube'
import { isNativeSidecar, type SidecarContainer, type SidecarSetSpec } from './sidecar-set.ts'

/**
 * What it takes to bring a running pod from one content to another: nothing, new images, other amounts of cpu and memory (with
 * or without new images), or more than a running pod can be given.
 */
export type ChangeClass = 'none' | 'images' | 'resources' | 'other'

/** How two contents of a SidecarSet differ, as far as a running pod is concerned. */
export interface ContentChange {
  readonly changeClass: ChangeClass
  readonly hasNewImages: boolean
}

/** The parts of a SidecarSet that pods are made of; of a recorded content there is nothing else. */
export type SidecarSetContent = Pick<
  SidecarSetSpec,
  'containers' | 'initContainers' | 'volumes' | 'imagePullSecrets'
>

export interface ClassOptions {
  /** Whether images of native sidecars change in place. */
  readonly updatesNativeSidecars: boolean
}

type List = 'containers' | 'initContainers'

/** What can be changed of a running container's resources. Source: the `resize` subresource of pods. */
const resizable: ReadonlySet<string> = new Set(['cpu', 'memory'])

/**
 * Compares two contents, given in the form that revisions record. Volumes that no container mounts bring nothing to a pod,
 * and annotations patched into pods go along with every change in place; both are left out. A plain init container has run:
 * no pod can be given another.
 */
export function changeBetween(
  before: SidecarSetContent,
  after: SidecarSetContent,
  { updatesNativeSidecars }: ClassOptions,
): ContentChange {
  const other: ContentChange = { changeClass: 'other', hasNewImages: false }
  if (!deepEqual(mountedVolumes(before), mountedVolumes(after))) return other
  if (!deepEqual(before.imagePullSecrets ?? [], after.imagePullSecrets ?? [])) return other
  let hasNewImages = false
  let hasNewAmounts = false
  for (const list of ['containers', 'initContainers'] as const) {
    const [left, right] = [before[list] ?? [], after[list] ?? []]
    if (left.length !== right.length) return other
    for (const [i, old] of left.entries()) {
      const next = right[i]
      if (next === undefined || !deepEqual(fixedPart(old, list), fixedPart(next, list))) return other
      const isNewImage = old.image !== next.image
      if (isNewImage && list === 'initContainers' && !updatesNativeSidecars) return other
      hasNewImages ||= isNewImage
      hasNewAmounts ||= !deepEqual(amountsOf(old), amountsOf(next))
    }
  }
  return { changeClass: hasNewAmounts ? 'resources' : hasNewImages ? 'images' : 'none', hasNewImages }
}

/**
 * The class of a change of one field of a container, for telling people: `path` leads from the container to the field, items of
 * lists among it.
 */
export function fieldClass(
  list: List,
  path: readonly string[],
  container: Pick<Container, 'restartPolicy'>,
  { updatesNativeSidecars }: ClassOptions,
): Exclude<ChangeClass, 'none'> {
  const isNative = isNativeSidecar(container)
  const [first = '', ...rest] = path
  if (first === 'image' && rest.length === 0)
    return list === 'containers' || (isNative && updatesNativeSidecars) ? 'images' : 'other'
  if (list === 'initContainers' && !isNative) return 'other'
  if (first === 'resourcesPolicy') return 'resources'
  if (first !== 'resources') return 'other'
  const [side, name] = rest
  return side !== 'claims' && (name === undefined || resizable.has(name)) ? 'resources' : 'other'
}

/** What cannot be changed in a running pod. */
function fixedPart(sidecar: SidecarContainer, list: List): object {
  if (list === 'initContainers' && !isNativeSidecar(sidecar)) return sidecar
  const { image: _, resources, resourcesPolicy: _policy, ...fixed } = sidecar
  return {
    ...fixed,
    resources: {
      claims: resources?.claims ?? [],
      limits: amountsIn(resources?.limits, (name) => !resizable.has(name)),
      requests: amountsIn(resources?.requests, (name) => !resizable.has(name)),
    },
  }
}

function amountsOf({ resources, resourcesPolicy }: SidecarContainer): object {
  const isResizable = (name: string) => resizable.has(name)
  return {
    limits: amountsIn(resources?.limits, isResizable),
    requests: amountsIn(resources?.requests, isResizable),
    policy: resourcesPolicy ?? null,
  }
}

function amountsIn(
  amounts: Readonly<Record<string, string | number>> | undefined,
  isWanted: (name: string) => boolean,
): Record<string, string | number> {
  return Object.fromEntries(Object.entries(amounts ?? {}).filter(([name]) => isWanted(name)))
}

function mountedVolumes({ containers, initContainers, volumes }: SidecarSetContent): object[] {
  const mounted = new Set(
    [...(containers ?? []), ...(initContainers ?? [])].flatMap(({ volumeMounts, volumeDevices }) =>
      [...(volumeMounts ?? []), ...(volumeDevices ?? [])].map(({ name }) => name),
    ),
  )
  return (volumes ?? []).filter(({ name }) => mounted.has(name))
}
