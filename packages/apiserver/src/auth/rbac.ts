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

/** The rules of one role that one binding gives to a subject. */
interface Grant {
  readonly rules: readonly PolicyRule[]
  /** Says which role is missing when the binding's role does not exist. */
  missing(): string | undefined
  /** Who gets it from where, for the reason of an answer. Put together only when somebody asks. */
  describe(): string
}

interface GrantsOfSubject {
  readonly everywhere: Grant[]
  readonly byNamespace: Map<string, Grant[]>
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
 * Answers from an index of grants by subject. The index is built anew when a role or binding was
 * written, and not otherwise. Aggregated cluster roles are put together here, so they are right
 * at once after a role with a matching label appears.
 */
export function createRbac(objects: Objects): Rbac {
  let index = new Map<string, GrantsOfSubject>()
  let builtFor = -1

  const generation = (): number =>
    objects.changes(stored.roles) +
    objects.changes(stored.clusterRoles) +
    objects.changes(stored.roleBindings) +
    objects.changes(stored.clusterRoleBindings)

  function currentIndex(): ReadonlyMap<string, GrantsOfSubject> {
    const now = generation()
    if (now !== builtFor) {
      index = buildIndex(objects)
      builtFor = now
    }
    return index
  }

  function* grantsFor(user: UserInfo, namespace: string): Generator<Grant> {
    const subjects = subjectsOf(user).map((key) => currentIndex().get(key))
    for (const grants of subjects) if (grants !== undefined) yield* grants.everywhere
    if (namespace === '') return
    for (const grants of subjects) yield* grants?.byNamespace.get(namespace) ?? []
  }

  return {
    generation,
    authorize(question) {
      const missing: string[] = []
      for (const grant of grantsFor(question.user, question.isResourceRequest ? question.namespace : '')) {
        for (const rule of grant.rules)
          if (ruleAllows(rule, question)) return { decision: 'allow', reason: grant.describe() }
        const absent = grant.missing()
        if (absent !== undefined) missing.push(absent)
      }
      return { decision: 'no-opinion', reason: missing.length === 0 ? '' : `RBAC: ${aggregate(missing)}` }
    },
    rulesFor: (user, namespace) => [...grantsFor(user, namespace)].flatMap(({ rules }) => rules),
    rulesOfRole(kind, namespace, name) {
      if (kind !== 'ClusterRole') {
        const role = objects.get<Role>(stored.roles, { namespace, name })
        return role === undefined ? undefined : (role.rules ?? [])
      }
      const role = objects.get<ClusterRole>(stored.clusterRoles, { namespace: '', name })
      return role === undefined ? undefined : effectiveRules(role, objects)
    },
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

function buildIndex(objects: Objects): Map<string, GrantsOfSubject> {
  const index = new Map<string, GrantsOfSubject>()
  const clusterRules = new Map<string, readonly PolicyRule[]>()
  const rulesOfClusterRole = (name: string): readonly PolicyRule[] | undefined => {
    const known = clusterRules.get(name)
    if (known !== undefined) return known
    const role = objects.get<ClusterRole>(stored.clusterRoles, { namespace: '', name })
    if (role === undefined) return undefined
    const rules = effectiveRules(role, objects)
    clusterRules.set(name, rules)
    return rules
  }
  const rulesOfOneRole = (namespace: string, name: string): readonly PolicyRule[] | undefined => {
    const role = objects.get<Role>(stored.roles, { namespace, name })
    return role === undefined ? undefined : (role.rules ?? [])
  }

  for (const binding of objects.list<ClusterRoleBinding>(stored.clusterRoleBindings)) {
    const rules =
      binding.roleRef.kind === 'ClusterRole' ? rulesOfClusterRole(binding.roleRef.name) : undefined
    for (const subject of binding.subjects ?? []) {
      grantsOf(index, subject, '')?.everywhere.push(grantOf(binding.roleRef, rules, binding, subject))
    }
  }
  for (const binding of objects.list<RoleBinding>(stored.roleBindings)) {
    const namespace = binding.metadata.namespace ?? ''
    const { kind, name } = binding.roleRef
    const rules = kind === 'ClusterRole' ? rulesOfClusterRole(name) : rulesOfOneRole(namespace, name)
    for (const subject of binding.subjects ?? []) {
      const grants = grantsOf(index, subject, namespace)
      if (grants === undefined) continue
      const grant = grantOf(binding.roleRef, rules, binding, subject)
      const list = grants.byNamespace.get(namespace)
      if (list === undefined) grants.byNamespace.set(namespace, [grant])
      else list.push(grant)
    }
  }
  return index
}

function grantsOf(
  index: Map<string, GrantsOfSubject>,
  subject: Subject,
  namespace: string,
): GrantsOfSubject | undefined {
  const key = subjectKey(subject, namespace)
  if (key === undefined) return undefined
  const known = index.get(key)
  if (known !== undefined) return known
  const fresh: GrantsOfSubject = { everywhere: [], byNamespace: new Map() }
  index.set(key, fresh)
  return fresh
}

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

function grantOf(
  role: { readonly kind: string; readonly name: string },
  rules: readonly PolicyRule[] | undefined,
  binding: RoleBinding | ClusterRoleBinding,
  subject: Subject,
): Grant {
  return {
    rules: rules ?? [],
    missing: () =>
      rules === undefined
        ? `${role.kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(role.name)} not found`
        : undefined,
    describe() {
      const { name, namespace = '' } = binding.metadata
      const from = JSON.stringify(namespace === '' ? name : `${name}/${namespace}`)
      const who =
        subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace || namespace}` : subject.name
      return `RBAC: allowed by ${namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding'} ${from} of ${role.kind} ${JSON.stringify(role.name)} to ${subject.kind} ${JSON.stringify(who)}`
    },
  }
}

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
