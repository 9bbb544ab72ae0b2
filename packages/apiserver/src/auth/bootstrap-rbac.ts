import type { ClusterRole, ClusterRoleBinding, KubeObject, PolicyRule, Subject } from '@outrigger/kube'
import type { Objects } from '../registry/objects.ts'
import { bootstrapClusterRoleBindings, bootstrapClusterRoles } from './bootstrap-roles.ts'
import { rbacGroup } from './rbac.ts'
import { uncoveredRules } from './rbac-rules.ts'
import { writeAggregatedRules } from './role-aggregation.ts'

const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate'

/**
 * Makes sure the default roles and bindings of Kubernetes exist. What an administrator added to one stays; what
 * was taken away comes back, unless the annotation `rbac.authorization.kubernetes.io/autoupdate` is `false`.
 */
export async function ensureBootstrapRbac(objects: Objects): Promise<void> {
  for (const wanted of bootstrapClusterRoles()) {
    await objects.write<ClusterRole>(
      { group: rbacGroup, resource: 'clusterroles' },
      { namespace: '', name: wanted.metadata.name },
      (current) => (current === undefined ? wanted : completeRole(current, wanted)),
    )
  }
  for (const wanted of bootstrapClusterRoleBindings()) {
    await objects.write<ClusterRoleBinding>(
      { group: rbacGroup, resource: 'clusterrolebindings' },
      { namespace: '', name: wanted.metadata.name },
      (current) => (current === undefined ? wanted : completeBinding(current, wanted)),
    )
  }
  await writeAggregatedRules(objects)
}

function completeRole(current: ClusterRole, wanted: ClusterRole): ClusterRole | undefined {
  if (isLeftAlone(current)) return undefined
  const missing: readonly PolicyRule[] =
    wanted.aggregationRule === undefined ? uncoveredRules(current.rules ?? [], wanted.rules ?? []) : []
  const aggregates = current.aggregationRule !== undefined && current.aggregationRule !== null
  const lacksAggregation = wanted.aggregationRule !== undefined && !aggregates
  if (missing.length === 0 && !lacksAggregation && !lacksLabels(current, wanted)) return undefined
  return {
    ...withLabels(current, wanted),
    ...(lacksAggregation ? { aggregationRule: wanted.aggregationRule } : {}),
    rules: [...(current.rules ?? []), ...missing],
  } as ClusterRole
}

function completeBinding(
  current: ClusterRoleBinding,
  wanted: ClusterRoleBinding,
): ClusterRoleBinding | undefined {
  if (isLeftAlone(current)) return undefined
  const keyOf = ({ kind, name, namespace }: Subject) => `${kind} ${namespace ?? ''} ${name}`
  const present = new Set((current.subjects ?? []).map(keyOf))
  const missing = (wanted.subjects ?? []).filter((subject) => !present.has(keyOf(subject)))
  if (missing.length === 0 && !lacksLabels(current, wanted)) return undefined
  const subjects = [...(current.subjects ?? []), ...missing]
  return { ...withLabels(current, wanted), ...(subjects.length === 0 ? {} : { subjects }) }
}

const isLeftAlone = (object: KubeObject): boolean => object.metadata.annotations?.[autoUpdate] === 'false'

function lacksLabels(current: KubeObject, wanted: KubeObject): boolean {
  return Object.entries(wanted.metadata.labels ?? {}).some(
    ([key, value]) => current.metadata.labels?.[key] !== value,
  )
}

function withLabels<T extends KubeObject>(current: T, wanted: T): T {
  return {
    ...current,
    metadata: {
      ...current.metadata,
      labels: { ...current.metadata.labels, ...wanted.metadata.labels },
      annotations: { ...wanted.metadata.annotations, ...current.metadata.annotations },
    },
  }
}
