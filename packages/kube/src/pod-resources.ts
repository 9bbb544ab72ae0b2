import type { Container, Pod, ResourceRequirements } from './generated/kinds.ts'
import { addQuantities, compareQuantities, parseQuantity, type Quantity } from './quantity.ts'

/** Amounts by resource name: cpu, memory, example.com/gpu. */
export type ResourceAmounts = Readonly<Record<string, Quantity>>

type Amounts = Record<string, Quantity>
type Kind = 'requests' | 'limits'
type PodShape = Pick<Pod, 'spec'>

/**
 * What a pod asks for, as the scheduler counts it: the larger of what runs together in the end (containers
 * and sidecars) and what runs while each init container does (sidecars started before it and itself), plus
 * overhead. Amounts set for the whole pod win.
 */
export function podRequests(pod: PodShape): ResourceAmounts {
  return podAmounts(pod, 'requests')
}

/** What a pod may use. A resource counts only where limits are set; overhead adds to limits that are there. */
export function podLimits(pod: PodShape): ResourceAmounts {
  return podAmounts(pod, 'limits')
}

function podAmounts(pod: PodShape, kind: Kind): ResourceAmounts {
  const together: Amounts = {}
  for (const container of pod.spec.containers) addAll(together, amountsOf(container, kind))
  const sidecars: Amounts = {}
  const start: Amounts = {}
  for (const container of pod.spec.initContainers ?? []) {
    const own = amountsOf(container, kind)
    if (isSidecar(container)) {
      addAll(together, own)
      addAll(sidecars, own)
      raiseTo(start, sidecars)
    } else {
      const meanwhile: Amounts = { ...sidecars }
      addAll(meanwhile, own)
      raiseTo(start, meanwhile)
    }
  }
  raiseTo(together, start)
  for (const [name, amount] of Object.entries(parsedAmounts(pod.spec.resources?.[kind])))
    together[name] = amount
  const overhead = parsedAmounts(pod.spec.overhead)
  for (const [name, amount] of Object.entries(overhead)) {
    const sum = together[name]
    if (sum !== undefined) together[name] = addQuantities(sum, amount)
    else if (kind === 'requests') together[name] = amount
  }
  return together
}

/** Whether an init container stays beside the containers (a native sidecar). */
export function isSidecar(container: Pick<Container, 'restartPolicy'>): boolean {
  return container.restartPolicy === 'Always'
}

/** A container asks for what it is limited to when it does not say otherwise. */
function amountsOf(container: Pick<Container, 'resources'>, kind: Kind): Amounts {
  const own = parsedAmounts(container.resources?.[kind])
  if (kind === 'limits') return own
  return { ...parsedAmounts(container.resources?.limits), ...own }
}

function parsedAmounts(list: ResourceRequirements['requests']): Amounts {
  const amounts: Amounts = {}
  for (const name in list) amounts[name] = parseQuantity(list[name] ?? '0')
  return amounts
}

function addAll(sum: Amounts, amounts: Amounts): void {
  for (const name in amounts) {
    const amount = amounts[name] as Quantity
    const before = sum[name]
    sum[name] = before === undefined ? amount : addQuantities(before, amount)
  }
}

function raiseTo(amounts: Amounts, least: Amounts): void {
  for (const name in least) {
    const amount = least[name] as Quantity
    const before = amounts[name]
    if (before === undefined || compareQuantities(before, amount) < 0) amounts[name] = amount
  }
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort'

const qosResources = ['cpu', 'memory'] as const

/**
 * The quality of service class, by cpu and memory of all containers, init containers included: Guaranteed
 * when each has limits and requests and they are equal, BestEffort when none has any, else Burstable. Pod-level
 * resources, if there are any, decide alone.
 */
export function qosClassOf(pod: PodShape): QosClass {
  if (pod.spec.resources !== undefined && hasAmounts(pod.spec.resources)) return classOf([pod.spec.resources])
  return classOf(
    [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map(({ resources }) => resources ?? {}),
  )
}

function classOf(all: readonly ResourceRequirements[]): QosClass {
  if (!all.some(hasAmounts)) return 'BestEffort'
  return all.every(isGuaranteed) ? 'Guaranteed' : 'Burstable'
}

function hasAmounts(resources: ResourceRequirements): boolean {
  return qosResources.some(
    (name) => isPositive(resources.requests?.[name]) || isPositive(resources.limits?.[name]),
  )
}

function isGuaranteed(resources: ResourceRequirements): boolean {
  return qosResources.every((name) => {
    const limit = resources.limits?.[name]
    if (!isPositive(limit) || limit === undefined) return false
    const request = resources.requests?.[name] ?? limit
    return compareQuantities(parseQuantity(request), parseQuantity(limit)) === 0
  })
}

function isPositive(value: string | number | undefined): boolean {
  return value !== undefined && parseQuantity(value).nanos > 0n
}
