import {
  addQuantities,
  type KubeObject,
  type PersistentVolumeClaim,
  type Pod,
  podLimits,
  podRequests,
  qosClassOf,
  type ResourceQuota,
  type Service,
} from '@outrigger/kube'
import { isPodFinished } from '../pods/pod-state.ts'

/** What one object takes of each quota resource. */
export type Usage = Readonly<Record<string, string | number>>

/** The resource (`pods`, `deployments.apps`) whose objects a quota resource counts or measures. */
export function countedResource(name: string): string {
  if (name.startsWith('count/')) return name.slice('count/'.length)
  if (name.startsWith('services.')) return 'services'
  if (name === 'requests.storage' || name.includes('.storageclass.storage.k8s.io/'))
    return 'persistentvolumeclaims'
  return objectCounts.has(name) ? name : 'pods'
}

const objectCounts = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
])

/** What an object takes, `resource` being its `resource` or `resource.group`. Finished pods take nothing. */
export function usageOf(resource: string, object: KubeObject): Usage {
  const counts: Usage = { [`count/${resource}`]: 1 }
  switch (resource) {
    case 'pods':
      return podUsage(object as Pod)
    case 'services':
      return { ...counts, ...serviceUsage(object as Service) }
    case 'persistentvolumeclaims':
      return { ...counts, ...claimUsage(object as PersistentVolumeClaim) }
    default:
      return objectCounts.has(resource) ? { ...counts, [resource]: 1 } : counts
  }
}

function podUsage(pod: Pod): Usage {
  // An object that exists counts as one even when it has ended; what it took is free again.
  const usage: Record<string, string | number> = { 'count/pods': 1 }
  if (isPodFinished(pod)) return usage
  usage['pods'] = 1
  for (const [name, amount] of Object.entries(podRequests(pod))) {
    usage[`requests.${name}`] = amount
    usage[name] = amount
  }
  for (const [name, amount] of Object.entries(podLimits(pod))) usage[`limits.${name}`] = amount
  return usage
}

function serviceUsage({ spec }: Service): Usage {
  const isBalanced = spec.type === 'LoadBalancer'
  const hasNodePorts =
    spec.type === 'NodePort' || (isBalanced && spec.allocateLoadBalancerNodePorts !== false)
  return {
    services: 1,
    ...(isBalanced && { 'services.loadbalancers': 1 }),
    ...(hasNodePorts && { 'services.nodeports': (spec.ports ?? []).length }),
  }
}

function claimUsage({ spec }: PersistentVolumeClaim): Usage {
  const wanted = spec.resources?.requests?.['storage'] ?? 0
  const storageClass = spec.storageClassName
  const prefix = `${storageClass}.storageclass.storage.k8s.io`
  return {
    persistentvolumeclaims: 1,
    'requests.storage': wanted,
    ...(storageClass && { [`${prefix}/requests.storage`]: wanted, [`${prefix}/persistentvolumeclaims`]: 1 }),
  }
}

/** Whether the quota's scopes take the object in. Scopes concern pods only. */
export function isInScope({ spec }: ResourceQuota, resource: string, object: KubeObject): boolean {
  const scopes = spec.scopes ?? []
  const expressions = spec.scopeSelector?.matchExpressions ?? []
  if (scopes.length === 0 && expressions.length === 0) return true
  if (resource !== 'pods') return false
  const pod = object as Pod
  return (
    scopes.every((scope) => hasScope(pod, scope)) &&
    expressions.every(({ scopeName, operator, values = [] }) => {
      if (scopeName !== 'PriorityClass') return hasScope(pod, scopeName) === (operator !== 'DoesNotExist')
      const name = pod.spec.priorityClassName ?? ''
      if (operator === 'In') return values.includes(name)
      if (operator === 'NotIn') return !values.includes(name)
      return (operator === 'Exists') === (name !== '')
    })
  )
}

function hasScope({ spec }: Pod, scope: string): boolean {
  switch (scope) {
    case 'BestEffort':
      return qosClassOf({ spec }) === 'BestEffort'
    case 'NotBestEffort':
      return qosClassOf({ spec }) !== 'BestEffort'
    case 'Terminating':
      return spec.activeDeadlineSeconds !== undefined
    case 'NotTerminating':
      return spec.activeDeadlineSeconds === undefined
    case 'PriorityClass':
      return Boolean(spec.priorityClassName)
    default:
      return scope === 'CrossNamespacePodAffinity' && hasForeignAffinity(spec.affinity)
  }
}

function hasForeignAffinity(affinity: Pod['spec']['affinity']): boolean {
  const terms = [affinity?.podAffinity, affinity?.podAntiAffinity].flatMap((each) => [
    ...(each?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(each?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ podAffinityTerm }) => podAffinityTerm,
    ),
  ])
  return terms.some(
    ({ namespaces = [], namespaceSelector }) => namespaces.length > 0 || namespaceSelector !== undefined,
  )
}

/** How much of each limited resource the objects take together. Resources nothing takes of are `0`. */
export function totalUsage(
  quota: ResourceQuota,
  objects: ReadonlyMap<string, readonly KubeObject[]>,
): Record<string, string> {
  const names = Object.keys(quota.spec.hard ?? {})
  const total: Record<string, string> = Object.fromEntries(names.map((name) => [name, '0']))
  for (const [resource, list] of objects)
    for (const object of list) {
      if (!isInScope(quota, resource, object)) continue
      for (const [name, amount] of Object.entries(usageOf(resource, object)))
        if (total[name] !== undefined) total[name] = addQuantities(total[name], amount)
    }
  return total
}
