import { isInjected } from '@outrigger/injection'
import type { Container, Pod } from '@outrigger/kube'

/** What to do about sidecars that keep a pod from its end. */
export const nativeRemedy =
  'inject what must not outlive them as native sidecars (initContainers with restartPolicy: Always)'

/** Variables with which a container on a virtual node ends after all others; see the guide on start and stop order. */
const endsLast: readonly (readonly [name: string, value: RegExp])[] = [
  ['ECI_CONTAINER_TYPE', /^sidecar$/],
  ['ECI_SIDECAR_CONTAINER', /^true$/i],
  ['__IS_SIDECAR__', /^true$/i],
]

/**
 * Injected containers that may run on when the pod's own have ended, in a pod that is to end: one of a Job, say. Native sidecars
 * do not, nor does a container whose variables say so, if the pod certainly runs on a virtual node.
 */
export function outlivingSidecars({ spec }: Pod, isOnVirtualNode: boolean): Container[] {
  if ((spec.restartPolicy ?? 'Always') === 'Always') return []
  return spec.containers.filter(
    (container) => isInjected(container) && !(isOnVirtualNode && saysItEndsLast(container)),
  )
}

function saysItEndsLast({ env = [] }: Container): boolean {
  return env.some(({ name, value = '' }) =>
    endsLast.some(([variable, pattern]) => variable === name && pattern.test(value)),
  )
}
