import type { Container, Pod } from '@outrigger/kube'
import { nanosOf } from '../amounts.ts'

const counted = ['cpu', 'memory']

/**
 * `Guaranteed` when every container limits cpu and memory and requests just that, `BestEffort` when none
 * asks for either, `Burstable` otherwise. The rule is that of `ComputePodQOS` in k8s.io/kubernetes.
 */
export function qualityOfService(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const spec = pod.spec
  let asks = false
  let guaranteed = true
  if (spec?.resources !== undefined) {
    const verdict = judge({ resources: spec.resources })
    asks = verdict.asks
    guaranteed = verdict.guaranteed
    if (asks) return guaranteed ? 'Guaranteed' : 'Burstable'
    guaranteed = true
  }
  for (const containers of [spec?.containers, spec?.initContainers])
    for (const container of containers ?? []) {
      const verdict = judge(container)
      asks ||= verdict.asks
      guaranteed &&= verdict.guaranteed
    }
  if (!asks) return 'BestEffort'
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

function judge({ resources }: Pick<Container, 'resources'>): { asks: boolean; guaranteed: boolean } {
  let asks = false
  let guaranteed = true
  for (const name of counted) {
    const limit = resources?.limits?.[name]
    const request = resources?.requests?.[name]
    if (limit === undefined && request === undefined) {
      guaranteed = false
      continue
    }
    const limited = nanosOf(limit)
    const requested = nanosOf(request)
    if (limited > 0n || requested > 0n) asks = true
    if (limited <= 0n || limited !== requested) guaranteed = false
  }
  return { asks, guaranteed }
}
