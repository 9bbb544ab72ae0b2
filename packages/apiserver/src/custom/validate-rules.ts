import { Optional } from '@marcbachmann/cel-js'
import { messageOf } from '@outrigger/foundation'
import { deepEqual, type FieldError, isRecord, type ValidationRule } from '@outrigger/kube'
import { type CelProgram, compileCel } from './cel/cel-program.ts'
import { toCel } from './cel/cel-value.ts'
import type { StructuralSchema } from './structural-schema.ts'

/** Rules of one object may be evaluated this often; lists without bounds end here. */
const maxEvaluations = 20_000
const maxErrors = 100
const maxMessageLength = 5 * 1024

interface Run {
  readonly errors: FieldError[]
  evaluations: number
}

/**
 * The x-kubernetes-validations that an object breaks. `old` is the stored object on update; rules about `oldSelf` run
 * only where there is something to compare with. Parts that did not change are not asked again, so that a rule
 * which was added later does not lock up old objects (ratcheting).
 */
export function validateRules(
  value: unknown,
  old: unknown,
  schema: StructuralSchema,
  field = '',
): readonly FieldError[] {
  const run: Run = { errors: [], evaluations: 0 }
  walk(value, old, schema, field, run, true)
  return run.errors.slice(0, maxErrors)
}

function walk(
  value: unknown,
  old: unknown,
  schema: StructuralSchema,
  field: string,
  run: Run,
  mayCompare: boolean,
): void {
  if (!schema.hasRules || value === undefined || value === null || run.errors.length >= maxErrors) return
  for (const rule of schema.rules) checkRule(rule, value, mayCompare ? old : undefined, schema, field, run)
  if (Array.isArray(value)) {
    const { items } = schema
    if (items?.hasRules !== true) return
    const previous = correlatedItems(value, old, schema)
    value.forEach((item, index) => {
      walk(item, previous?.(item), items, `${field}[${index}]`, run, previous !== undefined)
    })
    return
  }
  if (!isRecord(value)) return
  for (const name of Object.keys(value)) {
    const isDeclared = schema.properties !== undefined && Object.hasOwn(schema.properties, name)
    const inner = isDeclared ? schema.properties?.[name] : schema.values
    if (inner?.hasRules !== true) continue
    const before = isRecord(old) && Object.hasOwn(old, name) ? old[name] : undefined
    const path = isDeclared ? (field === '' ? name : `${field}.${name}`) : `${field}[${name}]`
    walk(value[name], before, inner, path, run, mayCompare)
  }
}

/** Finds the old item with the same keys. Items of other lists have no past. */
function correlatedItems(
  value: readonly unknown[],
  old: unknown,
  schema: StructuralSchema,
): ((item: unknown) => unknown) | undefined {
  const keys = schema.listMapKeys
  if (schema.listType !== 'map' || keys === undefined || !Array.isArray(old)) return undefined
  const identity = (item: unknown) =>
    isRecord(item)
      ? JSON.stringify(keys.map((key) => item[key] ?? schema.items?.properties?.[key]?.default ?? null))
      : ''
  if (value.length === 0) return undefined
  const byKeys = new Map(old.map((item) => [identity(item), item as unknown]))
  return (item) => byKeys.get(identity(item))
}

function checkRule(
  rule: ValidationRule,
  value: unknown,
  old: unknown,
  schema: StructuralSchema,
  field: string,
  run: Run,
): void {
  let program: CelProgram
  try {
    program = compileCel(rule.rule)
  } catch (error) {
    run.errors.push(failure(rule, schema, field, `${messageOf(error)} evaluating rule: ${rule.rule}`))
    return
  }
  const comparesOld = program.variables.has('oldSelf')
  if (comparesOld && old === undefined && rule.optionalOldSelf !== true) return
  if (!comparesOld && old !== undefined && deepEqual(value, old)) return
  if (++run.evaluations > maxEvaluations) {
    run.errors.push(
      failure(
        rule,
        schema,
        field,
        'validation failed due to running out of cost budget, no further validation rules will be run',
      ),
    )
    return
  }
  const variables = {
    self: toCel(value, schema),
    oldSelf:
      rule.optionalOldSelf === true
        ? old === undefined
          ? Optional.none()
          : Optional.of(toCel(old, schema))
        : old === undefined
          ? undefined
          : toCel(old, schema),
  }
  try {
    if (program.evaluate(variables) === true) return
  } catch (error) {
    run.errors.push(failure(rule, schema, field, `${messageOf(error)} evaluating rule: ${nameOfRule(rule)}`))
    return
  }
  run.errors.push(broken(rule, variables, value, field))
}

const nameOfRule = (rule: ValidationRule): string => rule.message?.trim() || rule.rule

function failure(rule: ValidationRule, schema: StructuralSchema, field: string, detail: string): FieldError {
  return {
    type: 'invalid',
    field: fieldOfRule(rule, field),
    value: schema.checks.type || 'object',
    detail,
  }
}

function broken(
  rule: ValidationRule,
  variables: Readonly<Record<string, unknown>>,
  value: unknown,
  field: string,
): FieldError {
  const detail = messageOfRule(rule, variables)
  const path = fieldOfRule(rule, field)
  // Whole objects and lists would only bury the message.
  const shown = typeof value === 'object' || rule.fieldPath ? {} : { value }
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return { type: 'forbidden', field: path, detail }
    case 'FieldValueRequired':
      return { type: 'required', field: path, detail }
    case 'FieldValueDuplicate':
      return { type: 'duplicate', field: path, ...shown, detail: '' }
    default:
      return { type: 'invalid', field: path, ...shown, detail }
  }
}

function fieldOfRule(rule: ValidationRule, field: string): string {
  const path = rule.fieldPath ? `${field}${rule.fieldPath}` : field
  const clean = path.startsWith('.') ? path.slice(1) : path
  return clean === '' ? '<nil>' : clean
}

function messageOfRule(rule: ValidationRule, variables: Readonly<Record<string, unknown>>): string {
  if (rule.messageExpression) {
    try {
      const text = compileCel(rule.messageExpression).evaluate(variables)
      if (typeof text === 'string') {
        const trimmed = text.trim()
        if (trimmed !== '' && trimmed.length <= maxMessageLength && !trimmed.includes('\n')) return trimmed
      }
    } catch {
      // A message that cannot be made gives way to the plain one.
    }
  }
  return rule.message?.trim() || `failed rule: ${rule.rule.trim()}`
}
