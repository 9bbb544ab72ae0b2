import type { Container, Pod, PodStatus } from '@outrigger/kube'

const counted = ['cpu', 'memory'] as const

/** A pod's quality-of-service class, for servers that have not written it. */
export function qosClassOf(pod: Pod): NonNullable<PodStatus['qosClass']> {
  const containers: readonly Container[] = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  let hasAny = false
  let isGuaranteed = true
  for (const { resources } of containers) {
    for (const resource of counted) {
      const limit = resources?.limits?.[resource]
      const request = resources?.requests?.[resource] ?? limit
      if (request !== undefined || limit !== undefined) hasAny = true
      if (limit === undefined || String(request) !== String(limit)) isGuaranteed = false
    }
  }
  return !hasAny ? 'BestEffort' : isGuaranteed ? 'Guaranteed' : 'Burstable'
}
