import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod } from './generated/kinds.ts'

type Labels = Readonly<Record<string, string>>

/** What node selectors look at. */
export type NodeFacts = Pick<Node, 'metadata'>

/** Whether some term of a node selector selects the node. No terms select nothing. */
export function matchesNodeSelector(selector: NodeSelector, node: NodeFacts): boolean {
  return selector.nodeSelectorTerms.some((term) => matchesNodeSelectorTerm(term, node))
}

/** Whether all conditions of a term hold. A term without conditions selects nothing. */
export function matchesNodeSelectorTerm(term: NodeSelectorTerm, node: NodeFacts): boolean {
  const expressions = term.matchExpressions ?? []
  const fields = term.matchFields ?? []
  if (expressions.length === 0 && fields.length === 0) return false
  return (
    expressions.every((condition) => requirementMatches(condition, node.metadata.labels ?? {})) &&
    fields.every((condition) => requirementMatches(condition, { 'metadata.name': node.metadata.name }))
  )
}

/** Whether a pod's nodeSelector and required node affinity admit the node. */
export function podAdmitsNode(pod: Pick<Pod, 'spec'>, node: NodeFacts): boolean {
  const labels = node.metadata.labels ?? {}
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {}))
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return required === undefined || matchesNodeSelector(required, node)
}

/** The sum of the weights of preferred terms that select the node. An empty term prefers every node. */
export function preferredNodeWeight(pod: Pick<Pod, 'spec'>, node: NodeFacts): number {
  const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  let weight = 0
  for (const term of preferred) {
    const isEmpty =
      (term.preference.matchExpressions ?? []).length === 0 &&
      (term.preference.matchFields ?? []).length === 0
    if (isEmpty || matchesNodeSelectorTerm(term.preference, node)) weight += term.weight
  }
  return weight
}

function requirementMatches(condition: NodeSelectorRequirement, labels: Labels): boolean {
  const { key, values = [] } = condition
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (condition.operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
    case 'Lt':
      return compareIntegers(value, values[0], condition.operator)
    default:
      return false
  }
}

function compareIntegers(
  value: string | undefined,
  bound: string | undefined,
  operator: 'Gt' | 'Lt',
): boolean {
  const integer = /^-?\d{1,19}$/
  if (value === undefined || bound === undefined || !integer.test(value) || !integer.test(bound)) return false
  return operator === 'Gt' ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound)
}
