import {
  compileLabelSelector,
  type FieldError,
  forbidden,
  formatLabelSelector,
  invalid,
  type LabelMatcher,
  type LabelSelector,
  required,
  SelectorError,
} from '@outrigger/kube'
import { labelValueProblems, qualifiedNameProblems } from './name-rules.ts'

/** Collects what is wrong; validators push into it rather than join lists on the way that is almost always good. */
export type Errors = FieldError[]

/** A value outside a closed set, the set written in the order given (Kubernetes sorts only some of them). */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  return {
    type: 'unsupported',
    field,
    value,
    detail: `supported values: ${supported.map((choice) => JSON.stringify(choice)).join(', ')}`,
  }
}

/** A reference to something that is not there. */
export function notFoundValue(field: string, value: unknown): FieldError {
  return { type: 'not-found', field, value, detail: '' }
}

/** `must be greater than or equal to 0`. */
export function checkNotNegative(errors: Errors, field: string, value: number | undefined): void {
  if (value !== undefined && value < 0)
    errors.push(invalid(field, value, 'must be greater than or equal to 0'))
}

/** Each problem of a name as an error of its own. */
export function checkName(
  errors: Errors,
  field: string,
  name: string,
  problemsOf: (name: string) => readonly string[],
): void {
  for (const problem of problemsOf(name)) errors.push(invalid(field, name, problem))
}

/** Keys and values of a label map; all errors are reported on the map. */
export function checkLabels(
  errors: Errors,
  field: string,
  labels: Readonly<Record<string, string>> | undefined,
): void {
  for (const key in labels) {
    checkName(errors, field, key, qualifiedNameProblems)
    checkName(errors, field, labels[key] as string, labelValueProblems)
  }
}

/** A label selector: keys, operators and their values. */
export function checkLabelSelector(errors: Errors, field: string, selector: LabelSelector | undefined): void {
  if (selector === undefined) return
  checkLabels(errors, `${field}.matchLabels`, selector.matchLabels)
  selector.matchExpressions?.forEach((expression, index) => {
    const path = `${field}.matchExpressions[${index}]`
    const values = expression.values ?? []
    switch (expression.operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0)
          errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
        break
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0)
          errors.push(
            forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          )
        break
      default:
        errors.push(invalid(`${path}.operator`, expression.operator ?? '', 'not a valid selector operator'))
    }
    checkName(errors, `${path}.key`, expression.key ?? '', qualifiedNameProblems)
    values.forEach((value, at) => void checkName(errors, `${path}.values[${at}]`, value, labelValueProblems))
  })
}

/** Whether a selector selects nothing in particular: it has no requirement at all. */
export function isEmptySelector(selector: LabelSelector): boolean {
  return (
    Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  )
}

/**
 * Whether labels fulfil every requirement of a selector. An empty selector fits all; a missing one, and one that cannot
 * be used, nothing.
 */
export function selectorFits(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return compile(selector)?.matches(labels) ?? false
}

/** A selector as text, the way columns and Scale show it: `app=web,tier in (a,b)`; `<none>` is the caller's. */
export function formatSelector(selector: LabelSelector | undefined): string {
  return formatLabelSelector(compile(selector)?.requirements ?? [])
}

function compile(selector: LabelSelector | undefined): LabelMatcher | undefined {
  try {
    return compileLabelSelector(selector)
  } catch (error) {
    if (error instanceof SelectorError) return undefined
    throw error
  }
}

/** Whole numbers and percentages as `maxUnavailable` takes them. */
export function checkIntOrPercent(errors: Errors, field: string, value: number | string | undefined): void {
  if (value === undefined) return
  if (typeof value === 'number') checkNotNegative(errors, field, value)
  else if (!/^[0-9]+%$/.test(value))
    errors.push(
      invalid(
        field,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      ),
    )
}

/** The percentage of an int-or-percent text, or undefined for a plain number. */
export function percentOf(value: number | string | undefined): number | undefined {
  return typeof value === 'string' && /^[0-9]+%$/.test(value) ? Number(value.slice(0, -1)) : undefined
}

/** `field is immutable`, when it changed. */
export function checkImmutable(errors: Errors, field: string, value: unknown, isSame: boolean): void {
  if (!isSame) errors.push(invalid(field, value ?? null, 'field is immutable'))
}

/** 1 to 65535. */
export function checkPort(errors: Errors, field: string, port: number): void {
  if (!(port >= 1 && port <= 65535))
    errors.push(invalid(field, port, 'must be between 1 and 65535, inclusive'))
}
