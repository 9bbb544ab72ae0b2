import {
  type Container,
  type LimitRange,
  type LimitRangeItem,
  type PersistentVolumeClaim,
  type Pod,
  type Quantity,
  resources,
} from '@outrigger/kube'
import { formatNanos, nanosOf } from '../../kinds/amounts.ts'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf, writes } from './attribute-questions.ts'

type Amounts = Readonly<Record<string, Quantity>>
const annotation = 'kubernetes.io/limit-ranger'

/** Fills in and enforces the limits a namespace sets for its containers, pods and claims. */
export function createLimitRanger({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'LimitRanger',
    concerns: (attributes) =>
      writes(attributes, '', 'pods', 'CREATE') ||
      writes(attributes, '', 'persistentvolumeclaims', 'CREATE', 'UPDATE'),
    mutate({ resource, namespace, object }) {
      if (resource.plural !== 'pods') return
      for (const range of objects.list<LimitRange>(resources.limitRanges, namespace))
        applyDefaults(object as Pod, range)
    },
    validate(attributes) {
      const errors: string[] = []
      for (const range of objects.list<LimitRange>(resources.limitRanges, attributes.namespace))
        for (const item of range.spec?.limits ?? [])
          if (attributes.resource.plural === 'pods') checkPod(errors, attributes.object as Pod, item)
          else if (item.type === 'PersistentVolumeClaim')
            checkClaim(errors, attributes.object as PersistentVolumeClaim, item)
      if (errors.length === 0) return
      const why = errors.length === 1 ? (errors[0] as string) : `[${errors.join(', ')}]`
      throw forbidden(subjectOf(attributes), nameOf(attributes), why)
    },
  }
}

function applyDefaults(pod: Pod, range: LimitRange): void {
  const requests: Record<string, string> = {}
  const limits: Record<string, string> = {}
  for (const item of range.spec?.limits ?? []) {
    if (item.type !== 'Container') continue
    Object.assign(requests, item.defaultRequest)
    Object.assign(limits, item.default)
  }
  const said: string[] = []
  for (const container of pod.spec?.containers ?? [])
    said.push(...fill(container, requests, limits, 'container'))
  for (const container of pod.spec?.initContainers ?? [])
    said.push(...fill(container, requests, limits, 'init container'))
  if (said.length > 0)
    pod.metadata.annotations = {
      ...pod.metadata.annotations,
      [annotation]: `LimitRanger plugin set: ${said.join('; ')}`,
    }
}

function fill(container: Container, requests: Amounts, limits: Amounts, what: string): string[] {
  const resources = { ...container.resources }
  const said: string[] = []
  for (const [field, defaults, word] of [
    ['requests', requests, 'request'],
    ['limits', limits, 'limit'],
  ] as const) {
    const missing = Object.keys(defaults)
      .filter((name) => resources[field]?.[name] === undefined)
      .sort()
    if (missing.length === 0) continue
    resources[field] = { ...resources[field] }
    for (const name of missing) resources[field][name] = defaults[name] as string
    said.push(`${missing.join(', ')} ${word} for ${what} ${container.name}`)
  }
  container.resources = resources
  return said
}

function checkPod(errors: string[], pod: Pod, item: LimitRangeItem): void {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]
  if (item.type === 'Container') {
    for (const { resources } of containers)
      checkItem(errors, item, resources?.requests ?? {}, resources?.limits ?? {})
  } else if (item.type === 'Pod')
    checkItem(errors, item, podTotals(pod, 'requests'), podTotals(pod, 'limits'))
}

/** What a pod needs at most at one time: its containers together, or the largest init container alone. */
function podTotals(pod: Pod, field: 'requests' | 'limits'): Amounts {
  const sums = new Map<string, { nanos: bigint; like: Quantity }>()
  const add = (containers: readonly Container[]) => {
    for (const { resources } of containers)
      for (const [name, amount] of Object.entries(resources?.[field] ?? {})) {
        const sum = sums.get(name)
        sums.set(name, { nanos: (sum?.nanos ?? 0n) + nanosOf(amount), like: sum?.like ?? amount })
      }
  }
  const init = pod.spec?.initContainers ?? []
  add(pod.spec?.containers ?? [])
  add(init.filter(({ restartPolicy }) => restartPolicy === 'Always'))
  for (const { resources } of init)
    for (const [name, amount] of Object.entries(resources?.[field] ?? {}))
      if (nanosOf(amount) > (sums.get(name)?.nanos ?? 0n))
        sums.set(name, { nanos: nanosOf(amount), like: amount })
  return Object.fromEntries([...sums].map(([name, { nanos, like }]) => [name, formatNanos(nanos, like)]))
}

function checkItem(errors: string[], item: LimitRangeItem, requests: Amounts, limits: Amounts): void {
  const { type } = item
  for (const name in item.min) {
    const min = item.min[name] as string
    const request = requests[name]
    const limit = limits[name]
    const rule = `minimum ${name} usage per ${type} is ${min}`
    if (request === undefined) errors.push(`${rule}.  No request is specified`)
    else if (nanosOf(request) < nanosOf(min)) errors.push(`${rule}, but request is ${request}`)
    if (limit !== undefined && nanosOf(limit) < nanosOf(min)) errors.push(`${rule}, but limit is ${limit}`)
  }
  for (const name in item.max) {
    const max = item.max[name] as string
    const limit = limits[name]
    const request = requests[name]
    const rule = `maximum ${name} usage per ${type} is ${max}`
    if (limit === undefined) errors.push(`${rule}.  No limit is specified`)
    else if (nanosOf(limit) > nanosOf(max)) errors.push(`${rule}, but limit is ${limit}`)
    if (request !== undefined && nanosOf(request) > nanosOf(max))
      errors.push(`${rule}, but request is ${request}`)
  }
  for (const name in item.maxLimitRequestRatio) {
    const ratio = item.maxLimitRequestRatio[name] as string
    const request = nanosOf(requests[name])
    const limit = nanosOf(limits[name])
    const rule = `${name} max limit to request ratio per ${type} is ${ratio}`
    if (request === 0n || limit === 0n) errors.push(`${rule}, but no request is specified or request is 0`)
    else {
      const given = Number(limit) / Number(request)
      if (given > Number(nanosOf(ratio)) / 1e9)
        errors.push(`${rule}, but provided ratio is ${given.toFixed(6)}`)
    }
  }
}

function checkClaim(errors: string[], claim: PersistentVolumeClaim, item: LimitRangeItem): void {
  const wanted = claim.spec?.resources?.requests ?? {}
  for (const name in item.min)
    if (nanosOf(wanted[name]) < nanosOf(item.min[name]))
      errors.push(
        `minimum ${name} usage per ${item.type} is ${item.min[name]}, but request is ${wanted[name] ?? '0'}`,
      )
  for (const name in item.max)
    if (nanosOf(wanted[name]) > nanosOf(item.max[name]))
      errors.push(
        `maximum ${name} usage per ${item.type} is ${item.max[name]}, but request is ${wanted[name]}`,
      )
}
