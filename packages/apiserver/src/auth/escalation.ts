import type {
  ClusterRole,
  ClusterRoleBinding,
  KubeObject,
  PolicyRule,
  Role,
  RoleBinding,
} from '@outrigger/kube'
import type { AdmissionAttributes, AdmissionPlugin } from '../admission/plugin.ts'
import { forbidden } from '../registry/status-error.ts'
import type { Authorization } from './authorization.ts'
import type { AuthorizationQuestion, UserInfo } from './identity.ts'
import { rbacGroup } from './rbac.ts'
import { formatRule, uncoveredRules } from './rbac-rules.ts'

/** Refusals name at most this many missing rules. */
const maxNamedRules = 20

/**
 * Keeps people from giving away rights that they do not have themselves: who writes a role must hold its
 * rules or the verb `escalate`, who writes a binding must hold the rules of its role or the verb `bind`.
 */
export function createEscalationCheck(authorization: Authorization): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    concerns: (attributes) =>
      attributes.resource.group === rbacGroup &&
      attributes.subresource === '' &&
      (attributes.operation === 'CREATE' || attributes.operation === 'UPDATE') &&
      !attributes.user.groups.includes('system:masters'),
    validate(attributes) {
      switch (attributes.resource.kind) {
        case 'Role':
        case 'ClusterRole':
          return checkRole(attributes, authorization)
        case 'RoleBinding':
        case 'ClusterRoleBinding':
          return checkBinding(attributes, authorization)
      }
    },
  }
}

function checkRole(attributes: AdmissionAttributes, authorization: Authorization): void {
  const role = attributes.object as (Role & ClusterRole) | undefined
  const old = attributes.oldObject as (Role & ClusterRole) | undefined
  if (role === undefined) return
  const added = uncoveredRules(old?.rules ?? [], role.rules ?? [])
  const aggregates = role.aggregationRule !== undefined && role.aggregationRule !== null
  const aggregationChanged =
    aggregates && JSON.stringify(role.aggregationRule) !== JSON.stringify(old?.aggregationRule)
  if (added.length === 0 && !aggregationChanged) return
  if (isAllowed(attributes, authorization, 'escalate', attributes.resource.plural, attributes.name)) return
  // Whoever writes an aggregation rule gives away whatever will ever carry its labels.
  if (aggregationChanged)
    demand(attributes, authorization, [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ])
  demand(attributes, authorization, role.rules ?? [])
}

function checkBinding(attributes: AdmissionAttributes, authorization: Authorization): void {
  const binding = attributes.object as RoleBinding | ClusterRoleBinding | undefined
  const old = attributes.oldObject as RoleBinding | ClusterRoleBinding | undefined
  if (binding === undefined) return
  if (old !== undefined && sameGrant(binding, old)) return
  const { kind, name } = binding.roleRef
  const plural = kind === 'ClusterRole' ? 'clusterroles' : 'roles'
  if (isAllowed(attributes, authorization, 'bind', plural, name)) return
  const rules = authorization.rbac.rulesOfRole(kind, attributes.namespace, name)
  if (rules === undefined) {
    throw forbidden(
      subjectOf(attributes),
      attributes.name,
      `${kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(name)} not found`,
    )
  }
  demand(attributes, authorization, rules)
}

const sameGrant = (
  left: RoleBinding | ClusterRoleBinding,
  right: RoleBinding | ClusterRoleBinding,
): boolean =>
  JSON.stringify([left.subjects ?? [], left.roleRef]) ===
  JSON.stringify([right.subjects ?? [], right.roleRef])

const subjectOf = ({ resource }: AdmissionAttributes) => ({
  group: resource.group,
  resource: resource.plural,
})

function isAllowed(
  attributes: AdmissionAttributes,
  authorization: Authorization,
  verb: string,
  resource: string,
  name: string,
): boolean {
  const question: AuthorizationQuestion = {
    user: attributes.user,
    verb,
    group: rbacGroup,
    version: 'v1',
    resource,
    subresource: '',
    namespace: attributes.namespace,
    name,
    path: '',
    isResourceRequest: true,
  }
  return authorization.authorize(question).decision === 'allow'
}

function demand(
  attributes: AdmissionAttributes,
  authorization: Authorization,
  wanted: readonly PolicyRule[],
): void {
  const owned = authorization.rbac.rulesFor(attributes.user, attributes.namespace)
  const missing = uncoveredRules(owned, wanted)
  if (missing.length === 0) return
  const named = missing.slice(0, maxNamedRules).map(formatRule)
  if (missing.length > maxNamedRules) named.push(`and ${missing.length - maxNamedRules} more`)
  throw forbidden(
    subjectOf(attributes),
    nameOf(attributes),
    `user ${JSON.stringify(attributes.user.name)} (${describeGroups(attributes.user)}) is attempting to grant RBAC permissions not currently held:\n${named.join('\n')}`,
  )
}

const nameOf = (attributes: AdmissionAttributes): string =>
  attributes.name || ((attributes.object as KubeObject | undefined)?.metadata.name ?? '')

const describeGroups = (user: UserInfo): string =>
  `groups=[${user.groups.map((group) => JSON.stringify(group)).join(' ')}]`
