import type { PolicyRule } from '@outrigger/kube'
import type { AuthorizationQuestion } from './identity.ts'

/** What of a request rules look at. */
export type RuleQuestion = Pick<
  AuthorizationQuestion,
  'verb' | 'group' | 'resource' | 'subresource' | 'name' | 'path' | 'isResourceRequest'
>

/** Whether one rule allows the request, as the RBAC authorizer of Kubernetes reads it. */
export function ruleAllows(rule: PolicyRule, question: RuleQuestion): boolean {
  if (!includes(rule.verbs, question.verb)) return false
  if (!question.isResourceRequest) return matchesPath(rule, question.path)
  return (
    includes(rule.apiGroups, question.group) &&
    matchesResource(rule, question.resource, question.subresource) &&
    (rule.resourceNames === undefined ||
      rule.resourceNames === null ||
      rule.resourceNames.length === 0 ||
      rule.resourceNames.includes(question.name))
  )
}

function includes(list: readonly string[] | undefined, wanted: string): boolean {
  return list?.some((entry) => entry === '*' || entry === wanted) ?? false
}

function matchesResource(rule: PolicyRule, resource: string, subresource: string): boolean {
  const combined = subresource === '' ? resource : `${resource}/${subresource}`
  for (const entry of rule.resources ?? []) {
    if (entry === '*' || entry === combined) return true
    // "*/scale" is the subresource of everything.
    if (subresource !== '' && entry.length === subresource.length + 2 && entry === `*/${subresource}`)
      return true
  }
  return false
}

function matchesPath(rule: PolicyRule, path: string): boolean {
  return (
    rule.nonResourceURLs?.some(
      (entry) =>
        entry === '*' || entry === path || (entry.endsWith('*') && path.startsWith(entry.slice(0, -1))),
    ) ?? false
  )
}

/**
 * Those parts of `wanted` that `owned` does not cover, one verb, group and resource each. Empty: whoever owns
 * `owned` may hand out `wanted`.
 */
export function uncoveredRules(
  owned: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): readonly PolicyRule[] {
  return wanted.flatMap(breakDown).filter((part) => !owned.some((rule) => covers(rule, part)))
}

function breakDown(rule: PolicyRule): readonly PolicyRule[] {
  const parts: PolicyRule[] = []
  for (const verb of rule.verbs ?? []) {
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] }
        if (rule.resourceNames === undefined || rule.resourceNames.length === 0) parts.push(part)
        else for (const name of rule.resourceNames) parts.push({ ...part, resourceNames: [name] })
      }
    }
    for (const url of rule.nonResourceURLs ?? []) parts.push({ nonResourceURLs: [url], verbs: [verb] })
  }
  return parts
}

/** `part` has one verb and one group and resource, or one URL. */
function covers(rule: PolicyRule, part: PolicyRule): boolean {
  if (!includes(rule.verbs, part.verbs[0] ?? '')) return false
  const url = part.nonResourceURLs?.[0]
  if (url !== undefined) return matchesPath(rule, url)
  if (!includes(rule.apiGroups, part.apiGroups?.[0] ?? '')) return false
  const [resource = '', subresource = ''] = (part.resources?.[0] ?? '').split('/', 2)
  if (!matchesResource(rule, resource, subresource)) return false
  if (rule.resourceNames === undefined || rule.resourceNames.length === 0) return true
  const name = part.resourceNames?.[0]
  return name !== undefined && rule.resourceNames.includes(name)
}

/** A rule as Kubernetes prints it in refusals: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`. */
export function formatRule(rule: PolicyRule): string {
  const list = (entries: readonly string[]) => `[${entries.map((entry) => JSON.stringify(entry)).join(' ')}]`
  const parts: string[] = []
  if (rule.nonResourceURLs?.length) parts.push(`NonResourceURLs:${list(rule.nonResourceURLs)}`)
  if (rule.apiGroups?.length) parts.push(`APIGroups:${list(rule.apiGroups)}`)
  if (rule.resources?.length) parts.push(`Resources:${list(rule.resources)}`)
  if (rule.resourceNames?.length) parts.push(`ResourceNames:${list(rule.resourceNames)}`)
  if (rule.verbs?.length) parts.push(`Verbs:${list(rule.verbs)}`)
  return `{${parts.join(', ')}}`
}
