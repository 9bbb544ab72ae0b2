import { messageOf } from '@outrigger/foundation'
import {
  type FieldError,
  forbidden,
  invalid,
  isRecord,
  type JSONSchemaProps,
  required,
  type ValidationRule,
} from '@outrigger/kube'
import { estimateCost, maxSizeOf } from './cel/cel-cost.ts'
import { compileCel } from './cel/cel-program.ts'
import type { StructuralSchema } from './structural-schema.ts'

/** Limits of Kubernetes on the estimated cost of rules: of one, and of all in a schema. */
const maxRuleCost = 10_000_000
const maxTotalCost = 100_000_000

interface RuleCost {
  readonly field: string
  readonly cost: number
}

/** The x-kubernetes-validations of a schema that do not compile or could cost too much. */
export function checkRules(
  raw: JSONSchemaProps,
  schema: StructuralSchema,
  field: string,
  errors: FieldError[],
): void {
  if (!schema.hasRules) return
  const costs: RuleCost[] = []
  walkRules(raw, schema, field, 1, costs, errors)
  const total = costs.reduce((sum, { cost }) => sum + cost, 0)
  if (total <= maxTotalCost) return
  const notable = costs
    .filter(({ cost }) => cost >= maxTotalCost / 100)
    .sort((left, right) => right.cost - left.cost)
  for (const { field: path } of notable.slice(0, 4))
    errors.push(
      forbidden(
        path,
        'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema',
      ),
    )
  errors.push(
    forbidden(
      field,
      costMessage(
        'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema',
        total,
        maxTotalCost,
      ),
    ),
  )
}

/** `times`: how often the value can occur in one object. */
function walkRules(
  raw: JSONSchemaProps,
  schema: StructuralSchema,
  field: string,
  times: number,
  costs: RuleCost[],
  errors: FieldError[],
): void {
  if (!schema.hasRules) return
  checkRulesOfNode(raw['x-kubernetes-validations'] ?? [], schema, field, times, costs, errors)
  for (const [name, child] of Object.entries(raw.properties ?? {})) {
    const node = schema.properties?.[name]
    if (node?.checks !== undefined)
      walkRules(child, node, `${field}.properties[${name}]`, times, costs, errors)
  }
  const many = Math.min(Number.MAX_SAFE_INTEGER, times * maxSizeOf(schema))
  if (isRecord(raw.items) && schema.items !== undefined)
    walkRules(raw.items as JSONSchemaProps, schema.items, `${field}.items`, many, costs, errors)
  if (isRecord(raw.additionalProperties) && schema.values !== undefined)
    walkRules(
      raw.additionalProperties as JSONSchemaProps,
      schema.values,
      `${field}.additionalProperties`,
      many,
      costs,
      errors,
    )
}

function checkRulesOfNode(
  rules: readonly ValidationRule[],
  schema: StructuralSchema,
  field: string,
  times: number,
  costs: RuleCost[],
  errors: FieldError[],
): void {
  const pathOf = (index: number) => `${field}.x-kubernetes-validations[${index}]`
  const before = errors.length
  rules.forEach((rule, index) => {
    const path = pathOf(index)
    if (!rule.rule?.trim()) errors.push(required(`${path}.rule`, 'rule is not specified'))
    if (rule.message !== undefined && rule.message !== '' && rule.message.trim() === '')
      errors.push(invalid(`${path}.message`, rule.message, 'message must be non-empty if specified'))
    else if (rule.message?.trim().includes('\n'))
      errors.push(invalid(`${path}.message`, rule.message, 'message must not contain line breaks'))
    else if (rule.rule?.trim().includes('\n') && !rule.message?.trim())
      errors.push(required(`${path}.message`, 'message must be specified if rule contains line breaks'))
  })
  // Only rules that are complete are compiled.
  if (errors.length > before) return
  rules.forEach((rule, index) => {
    checkExpression(rule.rule, 'rule', pathOf(index), schema, times, costs, errors)
    if (rule.messageExpression)
      checkExpression(
        rule.messageExpression,
        'messageExpression',
        pathOf(index),
        schema,
        times,
        costs,
        errors,
      )
  })
}

function checkExpression(
  source: string,
  name: 'rule' | 'messageExpression',
  path: string,
  schema: StructuralSchema,
  times: number,
  costs: RuleCost[],
  errors: FieldError[],
): void {
  const field = `${path}.${name}`
  let cost: number
  try {
    const program = compileCel(source)
    const unknown = [...program.variables].find((variable) => !knownNames.has(variable))
    if (unknown !== undefined) throw new Error(`undeclared reference to '${unknown}'`)
    cost = Math.min(Number.MAX_SAFE_INTEGER, estimateCost(program.ast, schema).cost * times)
  } catch (error) {
    errors.push(invalid(field, source, `compilation failed: ${messageOf(error)}`))
    return
  }
  costs.push({ field, cost })
  if (cost > maxRuleCost)
    errors.push(forbidden(field, costMessage(`estimated ${name} cost`, cost, maxRuleCost)))
}

/** Variables of rules, and the names of types. */
const knownNames = new Set(
  'self oldSelf int uint double bool string bytes list map null_type type timestamp duration dyn optional math google'.split(
    ' ',
  ),
)

function costMessage(what: string, cost: number, limit: number): string {
  const factor = cost / limit
  const shown =
    factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`
  return `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`
}
