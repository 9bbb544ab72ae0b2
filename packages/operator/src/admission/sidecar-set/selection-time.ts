import { namespaceSelectorOf, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import { deepEqual } from '@outrigger/kube'

const key = sidecarSetAnnotations.selectsSince

/**
 * The SidecarSet with the time since when it selects the pods it selects, where that is later than its creation. Nobody else
 * has a say in it: what a manifest brings is dropped, what an update leaves out comes back. `now` is RFC 3339.
 */
export function withSelectionTime(
  sidecarSet: SidecarSet,
  old: SidecarSet | undefined,
  now: string,
): SidecarSet {
  const before = old?.metadata.annotations?.[key]
  const since = old !== undefined && !selectAlike(sidecarSet, old) ? now : before
  if (sidecarSet.metadata.annotations?.[key] === since) return sidecarSet
  const { [key]: _, ...others } = sidecarSet.metadata.annotations ?? {}
  const annotations = since === undefined ? others : { ...others, [key]: since }
  return { ...sidecarSet, metadata: { ...sidecarSet.metadata, annotations } }
}

/** Whether both are injected into the same pods. */
export function selectAlike(left: SidecarSet, right: SidecarSet): boolean {
  const { canary, base } = sidecarSetAnnotations
  const annotation = ({ metadata }: SidecarSet, name: string) => metadata.annotations?.[name] ?? ''
  return (
    annotation(left, canary) === annotation(right, canary) &&
    annotation(left, base) === annotation(right, base) &&
    (left.spec.injectionStrategy?.paused ?? false) === (right.spec.injectionStrategy?.paused ?? false) &&
    deepEqual(left.spec.selector, right.spec.selector) &&
    deepEqual(namespaceSelectorOf(left.spec), namespaceSelectorOf(right.spec))
  )
}
