import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm } from './generated/kinds.ts'

/** Whether one term accepts the node. A term without requirements accepts none. Source: component-helpers `nodeaffinity`. */
export function matchesNodeSelectorTerm(term: NodeSelectorTerm, node: Node): boolean {
  const expressions = term.matchExpressions ?? []
  const fields = term.matchFields ?? []
  if (expressions.length === 0 && fields.length === 0) return false
  const labels = node.metadata.labels ?? {}
  return (
    expressions.every((requirement) => matches(requirement, labels[requirement.key])) &&
    fields.every(
      (requirement) => requirement.key === 'metadata.name' && matches(requirement, node.metadata.name),
    )
  )
}

/** Whether any term accepts the node. */
export function matchesNodeSelector(selector: NodeSelector, node: Node): boolean {
  return selector.nodeSelectorTerms.some((term) => matchesNodeSelectorTerm(term, node))
}

function matches(requirement: NodeSelectorRequirement, value: string | undefined): boolean {
  const values = requirement.values ?? []
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return compareWhole(value, values[0], (left, right) => left > right)
    case 'Lt':
      return compareWhole(value, values[0], (left, right) => left < right)
    default:
      return false
  }
}

function compareWhole(
  left: string | undefined,
  right: string | undefined,
  holds: (left: bigint, right: bigint) => boolean,
): boolean {
  const whole = /^-?\d{1,19}$/
  return (
    left !== undefined &&
    right !== undefined &&
    whole.test(left) &&
    whole.test(right) &&
    holds(BigInt(left), BigInt(right))
  )
}
