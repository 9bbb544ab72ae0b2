import {
  type KubeObject,
  type Pod,
  type Quantity,
  type ResourceQuota,
  resources,
  type Service,
} from '@outrigger/kube'
import { formatNanos, nanosOf } from '../../kinds/amounts.ts'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { qualityOfService } from '../../kinds/pods/quality-of-service.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionAttributes, AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf } from './attribute-questions.ts'

/** What one new object takes of each quota resource, in billionths. */
type Usage = ReadonlyMap<string, bigint>
const one = 1_000_000_000n

/**
 * Refuses what would exceed a quota of the namespace and books what does not, in the quota's status. The books
 * are balanced by the quota controller; until it has written a status, what is in use is unknown and nothing
 * that is limited gets in.
 */
export function createResourceQuota({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'ResourceQuota',
    concerns: ({ operation, subresource, namespace, resource }) =>
      operation === 'CREATE' &&
      subresource === '' &&
      namespace !== '' &&
      resource.virtual === undefined &&
      !(resource.group === '' && resource.plural === 'events'),
    async validate(attributes) {
      let usage: Usage | undefined
      for (const quota of objects.list<ResourceQuota>(resources.resourceQuotas, attributes.namespace)) {
        const hard = quota.spec?.hard
        if (hard === undefined) continue
        usage ??= usageOf(attributes)
        const concerned = Object.keys(hard).filter((name) => concerns(name, usage as Usage, attributes))
        if (concerned.length === 0 || !fitsScopes(quota, attributes)) continue
        checkSpecified(attributes, quota, concerned)
        await book(objects, attributes, quota, concerned, usage)
      }
    },
  }
}

const computeNames = new Set(['cpu', 'memory', 'ephemeral-storage'])

/** Whether a quota resource counts this object: it takes some of it, or is a pod that must say how much. */
function concerns(name: string, usage: Usage, { resource }: AdmissionAttributes): boolean {
  if (usage.has(name)) return true
  if (resource.group !== '' || resource.plural !== 'pods') return false
  return isCompute(name)
}

function isCompute(name: string): boolean {
  const bare = name.replace(/^(requests|limits)\./, '')
  return computeNames.has(bare)
}

function usageOf({ resource, object }: AdmissionAttributes): Usage {
  const usage = new Map<string, bigint>()
  const qualified = resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
  usage.set(`count/${qualified}`, one)
  if (resource.group !== '') return usage
  usage.set(resource.plural, one)
  switch (resource.plural) {
    case 'pods':
      addPod(usage, object as Pod)
      break
    case 'services':
      addService(usage, object as Service)
      break
    case 'persistentvolumeclaims':
      addClaim(usage, object as KubeObject)
      break
  }
  return usage
}

function addPod(usage: Map<string, bigint>, pod: Pod): void {
  const spec = pod.spec
  for (const field of ['requests', 'limits'] as const) {
    const together = new Map<string, bigint>()
    for (const container of spec?.containers ?? [])
      for (const [name, amount] of Object.entries(container.resources?.[field] ?? {}))
        together.set(name, (together.get(name) ?? 0n) + nanosOf(amount))
    const sidecars = new Map<string, bigint>()
    const peak = new Map<string, bigint>()
    for (const container of spec?.initContainers ?? [])
      for (const [name, amount] of Object.entries(container.resources?.[field] ?? {})) {
        const before = sidecars.get(name) ?? 0n
        const now = before + nanosOf(amount)
        if (container.restartPolicy === 'Always') sidecars.set(name, now)
        if (now > (peak.get(name) ?? 0n)) peak.set(name, now)
      }
    for (const name of new Set([...together.keys(), ...peak.keys()])) {
      const running = (together.get(name) ?? 0n) + (sidecars.get(name) ?? 0n)
      const starting = peak.get(name) ?? 0n
      const most = (running > starting ? running : starting) + nanosOf(spec?.overhead?.[name])
      usage.set(`${field}.${name}`, most)
      if (field === 'requests') usage.set(name, most)
    }
  }
}

function addService(usage: Map<string, bigint>, { spec }: Service): void {
  if (spec?.type === 'LoadBalancer') usage.set('services.loadbalancers', one)
  if (
    spec?.type === 'NodePort' ||
    (spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
  )
    usage.set('services.nodeports', BigInt((spec.ports ?? []).length) * one)
}

function addClaim(usage: Map<string, bigint>, claim: KubeObject): void {
  const { spec } = claim as KubeObject & {
    spec?: { storageClassName?: string; resources?: { requests?: Record<string, string> } }
  }
  const wanted = nanosOf(spec?.resources?.requests?.storage)
  usage.set('requests.storage', wanted)
  if (spec?.storageClassName) {
    const prefix = `${spec.storageClassName}.storageclass.storage.k8s.io`
    usage.set(`${prefix}/requests.storage`, wanted)
    usage.set(`${prefix}/persistentvolumeclaims`, one)
  }
}

function fitsScopes(quota: ResourceQuota, { object, resource }: AdmissionAttributes): boolean {
  const { scopes = [], scopeSelector } = quota.spec ?? {}
  const expressions = scopeSelector?.matchExpressions ?? []
  if (scopes.length === 0 && expressions.length === 0) return true
  if (resource.plural !== 'pods') return false
  const pod = object as Pod
  const fits = (scope: string): boolean => {
    switch (scope) {
      case 'BestEffort':
        return qualityOfService(pod) === 'BestEffort'
      case 'NotBestEffort':
        return qualityOfService(pod) !== 'BestEffort'
      case 'Terminating':
        return pod.spec?.activeDeadlineSeconds !== undefined
      case 'NotTerminating':
        return pod.spec?.activeDeadlineSeconds === undefined
      default:
        return scope === 'PriorityClass' && Boolean(pod.spec?.priorityClassName)
    }
  }
  return (
    scopes.every(fits) &&
    expressions.every(({ scopeName, operator, values = [] }) => {
      if (scopeName !== 'PriorityClass') return fits(scopeName)
      const name = pod.spec?.priorityClassName ?? ''
      if (operator === 'In') return values.includes(name)
      if (operator === 'NotIn') return !values.includes(name)
      return (operator === 'Exists') === (name !== '')
    })
  )
}

/** Every container must say what it takes of compute resources that are limited. */
function checkSpecified(
  attributes: AdmissionAttributes,
  quota: ResourceQuota,
  concerned: readonly string[],
): void {
  if (attributes.resource.plural !== 'pods') return
  const pod = attributes.object as Pod
  const missing: string[] = []
  for (const name of concerned.filter(isCompute).sort()) {
    const field = name.startsWith('limits.') ? 'limits' : 'requests'
    const bare = name.replace(/^(requests|limits)\./, '')
    const silent = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]
      .filter(({ resources }) => resources?.[field]?.[bare] === undefined)
      .map((container) => container.name)
    if (silent.length > 0) missing.push(`${name} for: ${silent.sort().join(',')}`)
  }
  if (missing.length > 0)
    throw forbidden(
      subjectOf(attributes),
      nameOf(attributes),
      `failed quota: ${quota.metadata.name}: must specify ${missing.join('; ')}`,
    )
}

async function book(
  objects: KindsEnvironment['objects'],
  attributes: AdmissionAttributes,
  quota: ResourceQuota,
  concerned: readonly string[],
  usage: Usage,
): Promise<void> {
  const names = concerned.filter((name) => (usage.get(name) ?? 0n) > 0n)
  if (attributes.isDryRun) {
    withUsage(attributes, quota, names, usage)
    return
  }
  const key = { namespace: attributes.namespace, name: quota.metadata.name ?? '' }
  await objects.write<ResourceQuota>(resources.resourceQuotas, key, (current) =>
    current === undefined ? undefined : withUsage(attributes, current, names, usage),
  )
}

/** The quota with the new object booked. Throws when there is no room. */
function withUsage(
  attributes: AdmissionAttributes,
  quota: ResourceQuota,
  names: readonly string[],
  usage: Usage,
): ResourceQuota {
  const { hard = {}, used = {} } = quota.status ?? {}
  const unknown = names.filter((name) => hard[name] === undefined || used[name] === undefined)
  if (unknown.length > 0)
    throw forbidden(
      subjectOf(attributes),
      nameOf(attributes),
      `status unknown for quota: ${quota.metadata.name}, resources: ${unknown.sort().join(',')}`,
    )
  const next: Record<string, Quantity> = { ...used }
  const exceeded: string[] = []
  for (const name of names) {
    const total = nanosOf(used[name]) + (usage.get(name) ?? 0n)
    if (total > nanosOf(hard[name])) exceeded.push(name)
    next[name] = formatNanos(total, hard[name])
  }
  if (exceeded.length > 0) throw overQuota(attributes, quota, exceeded.sort(), usage)
  return { ...quota, status: { ...quota.status, used: next } }
}

function overQuota(
  attributes: AdmissionAttributes,
  { metadata, status }: ResourceQuota,
  names: readonly string[],
  usage: Usage,
): Error {
  const list = (amount: (name: string) => Quantity) =>
    names.map((name) => `${name}=${amount(name)}`).join(',')
  const requested = list((name) => formatNanos(usage.get(name) ?? 0n, status?.hard?.[name]))
  const used = list((name) => status?.used?.[name] ?? '0')
  const limited = list((name) => status?.hard?.[name] ?? '0')
  return forbidden(
    subjectOf(attributes),
    nameOf(attributes),
    `exceeded quota: ${metadata.name}, requested: ${requested}, used: ${used}, limited: ${limited}`,
  )
}
