import { type ClusterRole, deepEqual, invalid, type Role, type RoleBinding, required } from '@outrigger/kube'
import { checkLabelSelector, checkName, type Errors, notSupported } from '../field-checks.ts'
import type { KindBuilder, KindBuilders } from '../kind-definition.ts'
import { pathSegmentProblems, subdomainProblems } from '../name-rules.ts'
import { createStrategy } from '../strategy.ts'

const group = 'rbac.authorization.k8s.io'

const roleKind =
  (isNamespaced: boolean): KindBuilder =>
  (schema) => ({
    strategy: createStrategy<Role | ClusterRole>({
      schema,
      createsOnUpdate: true,
      nameProblems: pathSegmentProblems,
      validate(role) {
        const errors: Errors = []
        role.rules?.forEach((rule, index) => {
          const at = `rules[${index}]`
          if ((rule.verbs ?? []).length === 0)
            errors.push(required(`${at}.verbs`, 'verbs must contain at least one value'))
          if ((rule.nonResourceURLs ?? []).length > 0) {
            if (isNamespaced)
              errors.push(
                invalid(
                  `${at}.nonResourceURLs`,
                  rule.nonResourceURLs,
                  'namespaced rules cannot apply to non-resource URLs',
                ),
              )
            if (
              (rule.apiGroups ?? []).length +
                (rule.resources ?? []).length +
                (rule.resourceNames ?? []).length >
              0
            )
              errors.push(
                invalid(
                  `${at}.nonResourceURLs`,
                  rule.nonResourceURLs,
                  'rules cannot apply to both regular resources and non-resource URLs',
                ),
              )
            return
          }
          if ((rule.apiGroups ?? []).length === 0)
            errors.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'))
          if ((rule.resources ?? []).length === 0)
            errors.push(required(`${at}.resources`, 'resource rules must supply at least one resource'))
        })
        const selectors = (role as ClusterRole).aggregationRule?.clusterRoleSelectors
        if ((role as ClusterRole).aggregationRule !== undefined && (selectors ?? []).length === 0)
          errors.push(
            required(
              'aggregationRule.clusterRoleSelectors',
              'at least one clusterRoleSelector required if aggregationRule is non-nil',
            ),
          )
        selectors?.forEach((selector, index) => {
          checkLabelSelector(errors, `aggregationRule.clusterRoleSelectors[${index}]`, selector)
        })
        return errors
      },
    }),
  })

const bindingKind =
  (isNamespaced: boolean): KindBuilder =>
  (schema) => ({
    strategy: createStrategy<RoleBinding>({
      schema,
      createsOnUpdate: true,
      nameProblems: pathSegmentProblems,
      applyDefaults(binding) {
        if (binding.roleRef !== undefined && !binding.roleRef.apiGroup) binding.roleRef.apiGroup = group
        for (const subject of binding.subjects ?? [])
          if (!subject.apiGroup && (subject.kind === 'User' || subject.kind === 'Group'))
            subject.apiGroup = group
      },
      validate: (binding) => bindingErrors(binding, isNamespaced),
      validateUpdate(binding, old) {
        if (deepEqual(binding.roleRef, old.roleRef)) return []
        const { apiGroup, kind, name } = binding.roleRef
        return [invalid('roleRef', { APIGroup: apiGroup, Kind: kind, Name: name }, 'cannot change roleRef')]
      },
    }),
  })

function bindingErrors(binding: RoleBinding, isNamespaced: boolean): Errors {
  const errors: Errors = []
  const { roleRef, subjects } = binding
  if (roleRef?.apiGroup !== group)
    errors.push(notSupported('roleRef.apiGroup', roleRef?.apiGroup ?? '', [group]))
  const kinds = isNamespaced ? ['Role', 'ClusterRole'] : ['ClusterRole']
  if (!kinds.includes(roleRef?.kind ?? ''))
    errors.push(notSupported('roleRef.kind', roleRef?.kind ?? '', kinds))
  if (!roleRef?.name) errors.push(required('roleRef.name'))
  else checkName(errors, 'roleRef.name', roleRef.name, pathSegmentProblems)
  subjects?.forEach((subject, index) => {
    const at = `subjects[${index}]`
    if (!subject.name) errors.push(required(`${at}.name`))
    switch (subject.kind) {
      case 'ServiceAccount':
        if (subject.name) checkName(errors, `${at}.name`, subject.name, subdomainProblems)
        if (subject.apiGroup) errors.push(notSupported(`${at}.apiGroup`, subject.apiGroup, ['']))
        if (!isNamespaced && !subject.namespace) errors.push(required(`${at}.namespace`))
        break
      case 'User':
      case 'Group':
        if (subject.apiGroup !== group)
          errors.push(notSupported(`${at}.apiGroup`, subject.apiGroup ?? '', [group]))
        break
      default:
        errors.push(notSupported(`${at}.kind`, subject.kind ?? '', ['ServiceAccount', 'User', 'Group']))
    }
  })
  return errors
}

/** Who may do what. */
export const rbacKinds: KindBuilders = {
  'rbac.authorization.k8s.io/v1/roles': roleKind(true),
  'rbac.authorization.k8s.io/v1/clusterroles': roleKind(false),
  'rbac.authorization.k8s.io/v1/rolebindings': bindingKind(true),
  'rbac.authorization.k8s.io/v1/clusterrolebindings': bindingKind(false),
}
