import type { Container, Pod, PodSpec } from './generated/kinds.ts'
import { addQuantities, compareQuantities, maxQuantity } from './quantity.ts'

/** Amounts by resource name. */
export type ResourceAmounts = Readonly<Record<string, string | number>>

/**
 * What the pod as a whole asks for: the larger of what it needs while an init container runs (beside the
 * native sidecars started before it) and of all sidecars and containers together, plus overhead.
 * Pod-level requests, where given, replace the sum. Source: KEP-753, KEP-2837.
 */
export function podRequests(pod: { readonly spec: PodSpec }): ResourceAmounts {
  return podAmounts(pod.spec, 'requests')
}

/** The pod's limits by the same arithmetic. A resource that some container does not limit may be used beyond it. */
export function podLimits(pod: { readonly spec: PodSpec }): ResourceAmounts {
  return podAmounts(pod.spec, 'limits')
}

function podAmounts(spec: PodSpec, kind: 'requests' | 'limits'): ResourceAmounts {
  const amountsOf = ({ resources }: Container): ResourceAmounts =>
    // Who is limited and asks for nothing asks for the limit; the server writes that down by default.
    kind === 'requests' ? { ...resources?.limits, ...resources?.requests } : (resources?.limits ?? {})
  let sidecars: ResourceAmounts = {}
  let peak: ResourceAmounts = {}
  for (const init of spec.initContainers ?? []) {
    const during = add(sidecars, amountsOf(init))
    peak = max(peak, during)
    if (isSidecar(init)) sidecars = during
  }
  const running = (spec.containers ?? []).reduce((sum, container) => add(sum, amountsOf(container)), sidecars)
  const total = { ...max(peak, running), ...spec.resources?.[kind] }
  return spec.overhead === undefined
    ? total
    : add(total, kind === 'limits' ? onlyKeysOf(total, spec.overhead) : spec.overhead)
}

function add(left: ResourceAmounts, right: ResourceAmounts): ResourceAmounts {
  return merge(left, right, addQuantities)
}

function max(left: ResourceAmounts, right: ResourceAmounts): ResourceAmounts {
  return merge(left, right, maxQuantity)
}

function merge(
  left: ResourceAmounts,
  right: ResourceAmounts,
  combine: (a: string | number, b: string | number) => string | number,
): ResourceAmounts {
  const merged: Record<string, string | number> = { ...left }
  for (const [name, amount] of Object.entries(right)) {
    const already = merged[name]
    merged[name] = already === undefined ? amount : combine(already, amount)
  }
  return merged
}

function onlyKeysOf(keys: ResourceAmounts, amounts: ResourceAmounts): ResourceAmounts {
  return Object.fromEntries(Object.entries(amounts).filter(([name]) => name in keys))
}

/** Whether an init container stays beside the containers (a native sidecar). */
export function isSidecar(container: Pick<Container, 'restartPolicy'>): boolean {
  return container.restartPolicy === 'Always'
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort'

/** The pod's quality of service, from CPU and memory of all its containers. Source: core/v1 `ComputePodQOS`. */
export function qosClassOf(pod: Pick<Pod, 'spec'>): QosClass {
  const containers =
    pod.spec.resources === undefined
      ? [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
      : [{ resources: pod.spec.resources }]
  let isGuaranteed = true
  let hasAny = false
  for (const { resources } of containers) {
    for (const name of ['cpu', 'memory']) {
      const limit = resources?.limits?.[name] ?? 0
      const request = resources?.requests?.[name] ?? limit
      if (compareQuantities(request, 0) > 0 || compareQuantities(limit, 0) > 0) hasAny = true
      if (compareQuantities(limit, 0) <= 0 || compareQuantities(request, limit) !== 0) isGuaranteed = false
    }
  }
  if (!hasAny) return 'BestEffort'
  return isGuaranteed ? 'Guaranteed' : 'Burstable'
}
