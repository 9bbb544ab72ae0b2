import {
  type FieldError,
  fieldErrorBody,
  fieldErrorReason,
  formatFieldError,
  type Status,
  type StatusDetails,
} from '@outrigger/kube'

/** A refusal on its way to the client as a `Status` object. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly status: Status
  /** Extra response headers, such as Retry-After. */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: Omit<Status, 'apiVersion' | 'kind' | 'metadata' | 'status'>,
    headers: Record<string, string> = {},
  ) {
    super(status.message)
    const { message, reason, details: facts, code, ...others } = status
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === undefined ? {} : { reason }),
      ...(facts === undefined ? {} : { details: facts }),
      ...others,
      code,
    } as Status
    this.headers = headers
  }

  get code(): number {
    return this.status.code ?? 500
  }
}

interface Subject {
  readonly group: string
  /** Plural for what was asked for by path, kind for what was sent. */
  readonly resource: string
}

const qualified = (subject: Subject) =>
  subject.group === '' ? subject.resource : `${subject.resource}.${subject.group}`
const details = (subject: Subject, name: string): StatusDetails => ({
  ...(name === '' ? {} : { name }),
  ...(subject.group === '' ? {} : { group: subject.group }),
  kind: subject.resource,
})

export const notFound = (subject: Subject, name: string): StatusError =>
  new StatusError({
    code: 404,
    reason: 'NotFound',
    message: `${qualified(subject)} "${name}" not found`,
    details: details(subject, name),
  })

export const alreadyExists = (subject: Subject, name: string): StatusError =>
  new StatusError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${qualified(subject)} "${name}" already exists`,
    details: details(subject, name),
  })

export const conflict = (subject: Subject, name: string, why: string): StatusError =>
  new StatusError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`,
    details: details(subject, name),
  })

export const forbidden = (subject: Subject, name: string, why: string): StatusError =>
  new StatusError({
    code: 403,
    reason: 'Forbidden',
    message:
      name === ''
        ? `${qualified(subject)} is forbidden: ${why}`
        : `${qualified(subject)} "${name}" is forbidden: ${why}`,
    details: details(subject, name),
  })

export const badRequest = (message: string): StatusError =>
  new StatusError({ code: 400, reason: 'BadRequest', message })

/** 404 for a path that no resource has. */
export const unknownResource = (): StatusError =>
  new StatusError({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  })

export const methodNotAllowed = (): StatusError =>
  new StatusError({
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
    details: {},
  })

export const internalError = (message: string): StatusError =>
  new StatusError({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ message }] },
  })

/** 422 with one cause per field. `subject.resource` is the kind. */
export function invalidObject(subject: Subject, name: string, errors: readonly FieldError[]): StatusError {
  const texts = [...new Set(errors.map(formatFieldError))]
  const summary = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: `${qualified(subject)} "${name}" is invalid: ${summary}`,
    details: {
      ...details(subject, name),
      causes: errors.map((error) => ({
        reason: fieldErrorReason(error),
        message: fieldErrorBody(error),
        field: error.field,
      })),
    },
  })
}
