import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from '@outrigger/kube'
import { createLabelTest } from '../admission/webhook/label-selector.ts'
import type { Objects } from '../registry/objects.ts'
import type { AuthorizationAnswer, AuthorizationQuestion, Authorizer, UserInfo } from './identity.ts'
import { ruleAllows } from './rbac-rules.ts'
import { userNameOf } from './service-account-tokens.ts'

export const rbacGroup = 'rbac.authorization.k8s.io'
const stored = {
  roles: { group: rbacGroup, resource: 'roles' },
  clusterRoles: { group: rbacGroup, resource: 'clusterroles' },
  roleBindings: { group: rbacGroup, resource: 'rolebindings' },
  clusterRoleBindings: { group: rbacGroup, resource: 'clusterrolebindings' },
} as const

/** What one binding gives to a subject. */
interface Grant {
  readonly binding: Binding
  readonly subject: Subject
}

type Binding = RoleBinding | ClusterRoleBinding
type GrantsBySubject = ReadonlyMap<string, readonly Grant[]>

/** The bindings of one namespace, or of the whole cluster, by subject. */
interface BindingIndex {
  /** The number of binding writes this was checked against. */
  checkedFor: number
  readonly bindings: readonly Binding[]
  readonly grants: GrantsBySubject
}

/** Role based access control over the stored roles and bindings. */
export interface Rbac extends Authorizer {
  authorize(question: AuthorizationQuestion): AuthorizationAnswer
  /** All rules a user has in a namespace; cluster-wide ones alone when it is empty. */
  rulesFor(user: UserInfo, namespace: string): readonly PolicyRule[]
  /** The rules of a role with aggregation resolved; undefined when there is no such role. */
  rulesOfRole(kind: string, namespace: string, name: string): readonly PolicyRule[] | undefined
  /** Rises with every change to a role or binding: answers given under another number may be wrong now. */
  generation(): number
}

/**
 * Answers from indexes of grants by subject: one for the cluster and one for each namespace that was asked about.
 * After a binding was written an index is built anew only if it is about other bindings than before. Roles are looked
 * up when they are needed; aggregated cluster roles are put together here, so they are right at once after a role
 * with a matching label appears.
 */
export function createRbac(objects: Objects): Rbac {
  const grantsIn = createGrants(objects)
  const rulesOfRole = createRoleRules(objects)
  const rulesOf = ({ binding: { roleRef, metadata } }: Grant) =>
    roleRef.kind === 'ClusterRole' || metadata.namespace
      ? rulesOfRole(roleRef.kind, metadata.namespace ?? '', roleRef.name)
      : undefined

  function* grantsFor(user: UserInfo, namespace: string): Generator<Grant> {
    const subjects = subjectsOf(user)
    for (const scope of namespace === '' ? [''] : ['', namespace]) {
      const grants = grantsIn(scope)
      if (grants.size > 0) for (const subject of subjects) yield* grants.get(subject) ?? []
    }
  }

  return {
    generation: () =>
      objects.changes(stored.roles) +
      objects.changes(stored.clusterRoles) +
      objects.changes(stored.roleBindings) +
      objects.changes(stored.clusterRoleBindings),
    authorize(question) {
      const missing: string[] = []
      for (const grant of grantsFor(question.user, question.isResourceRequest ? question.namespace : '')) {
        const rules = rulesOf(grant)
        if (rules === undefined) missing.push(describeMissing(grant))
        else if (rules.some((rule) => ruleAllows(rule, question)))
          return { decision: 'allow', reason: describe(grant) }
      }
      return { decision: 'no-opinion', reason: missing.length === 0 ? '' : `RBAC: ${aggregate(missing)}` }
    },
    rulesFor: (user, namespace) => [...grantsFor(user, namespace)].flatMap((grant) => rulesOf(grant) ?? []),
    rulesOfRole,
  }
}

/** The grants of a namespace, or of the whole cluster for the empty one. */
function createGrants(objects: Objects): (namespace: string) => GrantsBySubject {
  const indexes = new Map<string, BindingIndex>()
  return (namespace) => {
    const resource = namespace === '' ? stored.clusterRoleBindings : stored.roleBindings
    const now = objects.changes(resource)
    const known = indexes.get(namespace)
    if (known?.checkedFor === now) return known.grants
    const bindings = [...objects.list<Binding>(resource, namespace === '' ? undefined : namespace)]
    if (known !== undefined && isSameList(bindings, known.bindings)) {
      known.checkedFor = now
      return known.grants
    }
    // Namespaces are whatever a request says; only those that have bindings are remembered.
    if (bindings.length === 0) {
      indexes.delete(namespace)
      return noGrants
    }
    const grants = indexBySubject(bindings)
    indexes.set(namespace, { checkedFor: now, bindings, grants })
    return grants
  }
}

const noGrants: GrantsBySubject = new Map()

const isSameList = (one: readonly unknown[], other: readonly unknown[]) =>
  one.length === other.length && one.every((item, index) => item === other[index])

function indexBySubject(bindings: readonly Binding[]): GrantsBySubject {
  const grants = new Map<string, Grant[]>()
  for (const binding of bindings) {
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, binding.metadata.namespace ?? '')
      if (key === undefined) continue
      const list = grants.get(key)
      if (list === undefined) grants.set(key, [{ binding, subject }])
      else list.push({ binding, subject })
    }
  }
  return grants
}

/** The rules of roles by name. Those of aggregated cluster roles are kept until a cluster role is written. */
function createRoleRules(objects: Objects): Rbac['rulesOfRole'] {
  const aggregated = new Map<string, readonly PolicyRule[]>()
  let keptFor = -1
  return (kind, namespace, name) => {
    if (kind !== 'ClusterRole') {
      const role = objects.get<Role>(stored.roles, { namespace, name })
      return role === undefined ? undefined : (role.rules ?? [])
    }
    const role = objects.get<ClusterRole>(stored.clusterRoles, { namespace: '', name })
    if (role === undefined) return undefined
    if (!role.aggregationRule) return role.rules ?? []
    const now = objects.changes(stored.clusterRoles)
    if (now !== keptFor) aggregated.clear()
    keptFor = now
    const rules = aggregated.get(name) ?? effectiveRules(role, objects)
    aggregated.set(name, rules)
    return rules
  }
}

function aggregate(messages: readonly string[]): string {
  const unique = [...new Set(messages)]
  return unique.length === 1 ? (unique[0] ?? '') : `[${unique.join(', ')}]`
}

const subjectsOf = (user: UserInfo): readonly string[] => [
  `User ${user.name}`,
  ...user.groups.map((group) => `Group ${group}`),
]

function subjectKey(subject: Subject, namespace: string): string | undefined {
  switch (subject.kind) {
    case 'User':
    case 'Group':
      return `${subject.kind} ${subject.name}`
    case 'ServiceAccount': {
      const home = subject.namespace || namespace
      return home === '' ? undefined : `User ${userNameOf(home, subject.name)}`
    }
    default:
      return undefined
  }
}

/** Who gets what from where, for the reason of an answer. */
function describe({ binding, subject }: Grant): string {
  const { name, namespace = '' } = binding.metadata
  const from = JSON.stringify(namespace === '' ? name : `${name}/${namespace}`)
  const who =
    subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace || namespace}` : subject.name
  const kind = namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding'
  const role = `${binding.roleRef.kind} ${JSON.stringify(binding.roleRef.name)}`
  return `RBAC: allowed by ${kind} ${from} of ${role} to ${subject.kind} ${JSON.stringify(who)}`
}

const describeMissing = ({ binding: { roleRef } }: Grant) =>
  `${roleRef.kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(roleRef.name)} not found`

/**
 * The rules of a cluster role. With an aggregation rule they are those of all cluster roles its
 * selectors choose, aggregated ones included.
 */
export function effectiveRules(
  role: ClusterRole,
  objects: Objects,
  visited: ReadonlySet<string> = new Set(),
): readonly PolicyRule[] {
  const selectors = role.aggregationRule?.clusterRoleSelectors
  if (selectors === undefined || selectors === null) return role.rules ?? []
  const seen = new Set(visited).add(role.metadata.name)
  const tests = selectors.map(createLabelTest)
  const chosen: ClusterRole[] = []
  for (const candidate of objects.list<ClusterRole>(stored.clusterRoles)) {
    if (seen.has(candidate.metadata.name)) continue
    if (tests.some((test) => test === undefined || test(candidate.metadata.labels))) chosen.push(candidate)
  }
  return chosen
    .sort((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1))
    .flatMap((candidate) => effectiveRules(candidate, objects, seen))
}
