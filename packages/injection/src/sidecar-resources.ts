import { isNativeSidecar, podContainerNames, type SidecarSet } from '@outrigger/api'
import type { Container, Pod } from '@outrigger/kube'
import { measurableContainers, resourcesByPolicy } from './resources-policy.ts'

/** What a container that keeps running has of cpu, memory and so on. */
export interface SidecarResources {
  readonly list: 'initContainers' | 'containers'
  readonly name: string
  readonly resources: NonNullable<Container['resources']>
}

/**
 * The resources that injection of a content would give the containers of a pod which carries it, both of each pair of a hot upgrade;
 * plain init containers are left out. `others` are the other SidecarSets of the pod: their containers are not measured.
 * Requests that are not given are what the limits are, as the API server has it.
 *
 * @throws InjectionFailure when a resourcesPolicy has no value for this pod.
 */
export function sidecarResources(
  pod: Pod,
  content: SidecarSet,
  others: readonly SidecarSet[],
): SidecarResources[] {
  const measurable = measurableContainers(pod, [content, ...others])
  return (['containers', 'initContainers'] as const).flatMap((list) =>
    (content.spec[list] ?? [])
      .filter((sidecar) => list === 'containers' || isNativeSidecar(sidecar))
      .flatMap((sidecar) => {
        const { resourcesPolicy, resources = {} } = sidecar
        const given =
          resourcesPolicy === undefined
            ? resources
            : resourcesByPolicy(content.metadata.name, sidecar, resourcesPolicy, measurable)
        const requests = { ...given.limits, ...given.requests }
        return podContainerNames(sidecar, list).map((name) => ({
          list,
          name,
          resources: { ...(given.limits && { limits: given.limits }), requests },
        }))
      }),
  )
}
