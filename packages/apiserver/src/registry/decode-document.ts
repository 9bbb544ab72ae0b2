import {
  apiVersionOf,
  checkTypes,
  duplicateFieldMessage,
  fieldErrorBody,
  fieldErrorReason,
  findUnknownFields,
  formatFieldError,
  invalid,
  isRecord,
  type KubeObject,
  pruneUnknown,
  unknownFieldMessage,
} from '@outrigger/kube'
import type { FieldValidation } from './request-options.ts'
import type { Resource } from './resource.ts'
import { badRequest, StatusError } from './status-error.ts'

/** A parsed body. */
export interface Document {
  readonly value: unknown
  /** Paths of fields that appear twice. */
  readonly duplicates: readonly string[]
  /** How errors show a strategic merge patch; others show the patched object as JSON. */
  describe?(): string
}

/** Where a document comes from, which decides how errors in it are put. */
export type DocumentSource = 'body' | 'patch' | 'apply'

/** 400 for a body that is no object of the resource. */
export function refuseDocument(resource: Resource, why: string): StatusError {
  return badRequest(
    `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: ${why}`,
  )
}

/** Fields of the top level by name; what lies below keeps its order. */
function sorted(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
}

/** 422 for a patch after which the object makes no sense. */
function refusePatched(shown: string, why: string): StatusError {
  const error = invalid('patch', shown, why)
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: ` "" is invalid: ${formatFieldError(error)}`,
    details: {
      causes: [{ reason: fieldErrorReason(error), message: fieldErrorBody(error), field: error.field }],
    },
  })
}

/**
 * Makes an object of a document: fields the schema does not know are dropped (from an apply they are kept,
 * for the merge to refuse), and reported or refused as `validation` says; types must fit for built-in kinds
 * (custom ones report that in their validation).
 *
 * The document's value is changed in place, unless nothing in it is wrong.
 *
 * @throws StatusError 400, or 422 for a patch
 */
export function decodeDocument(
  document: Document,
  resource: Resource,
  validation: FieldValidation,
  warnings: Set<string>,
  source: DocumentSource = 'body',
): KubeObject {
  const fields = isRecord(document.value) ? document.value : {}
  const refuse = (why: string) =>
    source === 'patch'
      ? refusePatched(document.describe?.() ?? JSON.stringify(sorted(fields)), why)
      : refuseDocument(resource, why)
  if (!resource.isCustom) {
    const reader = document.describe === undefined ? 'decoder' : 'converter'
    const problem = checkTypes(fields, resource.schema, reader)
    if (problem !== undefined) throw refuse(problem)
  }
  const unknown =
    source === 'apply'
      ? findUnknownFields(fields, resource.schema)
      : pruned(fields, resource, validation === 'Strict')
  reportStrictly([...document.duplicates.map(duplicateFieldMessage), ...unknown.map(unknownFieldMessage)])
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = fields
  return {
    kind: resource.kind,
    apiVersion: apiVersionOf(resource),
    metadata: (isRecord(metadata) ? metadata : {}) as unknown as KubeObject['metadata'],
    ...rest,
  }

  function reportStrictly(problems: readonly string[]): void {
    if (problems.length === 0 || validation === 'Ignore') return
    if (validation === 'Strict') throw refuse(`strict decoding error: ${problems.join(', ')}`)
    for (const problem of problems) warnings.add(problem)
  }
}

function pruned(fields: Record<string, unknown>, resource: Resource, isStrict: boolean): string[] {
  // A refusal shows the document as it came.
  const found = findUnknownFields(fields, resource.schema)
  if (found.length > 0 && !isStrict) pruneUnknown(fields, resource.schema)
  return resource.isCustom ? found.sort() : found
}
