/** One thing wrong with one field, as `k8s.io/apimachinery/pkg/util/validation/field` has it. */
export interface FieldError {
  readonly type: FieldErrorType
  /** Path from the object's root: `spec.containers[0].name`. */
  readonly field: string
  /** The offending value; left out for `required`, `forbidden` and where it would be noise. */
  readonly value?: unknown
  readonly detail: string
}

export type FieldErrorType =
  | 'required'
  | 'invalid'
  | 'unsupported'
  | 'duplicate'
  | 'forbidden'
  | 'not-found'
  | 'too-long'
  | 'too-many'
  | 'type-invalid'
  | 'internal'

interface Wording {
  readonly reason: string
  readonly title: string
  readonly showsValue: boolean
}

const wordings: Readonly<Record<FieldErrorType, Wording>> = {
  required: { reason: 'FieldValueRequired', title: 'Required value', showsValue: false },
  invalid: { reason: 'FieldValueInvalid', title: 'Invalid value', showsValue: true },
  unsupported: { reason: 'FieldValueNotSupported', title: 'Unsupported value', showsValue: true },
  duplicate: { reason: 'FieldValueDuplicate', title: 'Duplicate value', showsValue: true },
  forbidden: { reason: 'FieldValueForbidden', title: 'Forbidden', showsValue: false },
  'not-found': { reason: 'FieldValueNotFound', title: 'Not found', showsValue: true },
  'too-long': { reason: 'FieldValueTooLong', title: 'Too long', showsValue: false },
  'too-many': { reason: 'FieldValueTooMany', title: 'Too many', showsValue: true },
  'type-invalid': { reason: 'FieldValueTypeInvalid', title: 'Invalid value', showsValue: true },
  internal: { reason: 'InternalError', title: 'Internal error', showsValue: false },
}

/** `Invalid value: "x": must be ...`, the text a cause carries. */
export function fieldErrorBody(error: FieldError): string {
  const wording = wordings[error.type]
  const value = wording.showsValue && error.value !== undefined ? `: ${showValue(error.value)}` : ''
  return error.detail === '' ? `${wording.title}${value}` : `${wording.title}${value}: ${error.detail}`
}

/** `spec.x: Invalid value: "x": must be ...`, the text a message carries. */
export function formatFieldError(error: FieldError): string {
  return `${error.field}: ${fieldErrorBody(error)}`
}

/** The machine-readable reason of a cause: `FieldValueInvalid`. */
export function fieldErrorReason(error: FieldError): string {
  return wordings[error.type].reason
}

function showValue(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value))
}

export const required = (field: string, detail = ''): FieldError => ({ type: 'required', field, detail })
export const invalid = (field: string, value: unknown, detail: string): FieldError => ({
  type: 'invalid',
  field,
  value,
  detail,
})
export const duplicate = (field: string, value: unknown): FieldError => ({
  type: 'duplicate',
  field,
  value,
  detail: '',
})
export const forbidden = (field: string, detail: string): FieldError => ({ type: 'forbidden', field, detail })
export const tooLong = (field: string, max: number): FieldError => ({
  type: 'too-long',
  field,
  detail: `may not be more than ${max} bytes`,
})

/** A value outside a closed set, with the set spelled out as Kubernetes does. */
export function unsupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  return {
    type: 'unsupported',
    field,
    value,
    detail: `supported values: ${[...supported]
      .sort()
      .map((choice) => JSON.stringify(choice))
      .join(', ')}`,
  }
}
