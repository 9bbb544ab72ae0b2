import type { FieldError, JsonPatchOperation, KubeObject } from '@outrigger/kube'
import { fieldErrorBody, fieldErrorReason, formatFieldError } from '@outrigger/kube'

/** One write that the API server asks about, from an AdmissionReview of `admission.k8s.io/v1`. */
export interface AdmissionRequest {
  readonly uid: string
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string }
  readonly resource: { readonly group: string; readonly version: string; readonly resource: string }
  /** Empty for the resource itself. */
  readonly subResource: string
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  /** Empty while a generated name is not drawn yet. */
  readonly name: string
  /** Empty for cluster-scoped objects. */
  readonly namespace: string
  readonly user: { readonly name: string; readonly groups: readonly string[] }
  /** Absent on DELETE. */
  readonly object: KubeObject | undefined
  /** Absent on CREATE. */
  readonly oldObject: KubeObject | undefined
  readonly isDryRun: boolean
}

/** What a handler says to a request. */
export type AdmissionAnswer =
  | {
      readonly allowed: true
      /** Applied to the object by the API server. Empty or absent: nothing changes. */
      readonly patch?: readonly JsonPatchOperation[]
      /** Shown to whoever wrote the object. */
      readonly warnings?: readonly string[]
    }
  | {
      readonly allowed: false
      /** HTTP status of the answer the writer gets. */
      readonly code: number
      /** Kubernetes' one word: `Forbidden`, `Invalid`. */
      readonly reason: string
      readonly message: string
      readonly causes?: readonly AdmissionCause[]
      readonly warnings?: readonly string[]
    }

export interface AdmissionCause {
  readonly reason: string
  readonly message: string
  readonly field: string
}

/**
 * Answers one request. Must not change anything in the cluster: dry runs come here too. What it
 * throws is a defect: the API server then goes by the webhook's failurePolicy.
 */
export type AdmissionHandler = (
  request: AdmissionRequest,
  signal: AbortSignal,
) => Promise<AdmissionAnswer> | AdmissionAnswer

export const allow: AdmissionAnswer = { allowed: true }

/** A refusal that says which fields are wrong; 422 unless another code is given. */
export function refuse(what: string, errors: readonly FieldError[], code: 403 | 422 = 422): AdmissionAnswer {
  return {
    allowed: false,
    code,
    reason: code === 403 ? 'Forbidden' : 'Invalid',
    message: `${what} is ${code === 403 ? 'forbidden' : 'invalid'}: ${joined(errors.map(formatFieldError))}`,
    causes: errors.map((error) => ({
      reason: fieldErrorReason(error),
      message: fieldErrorBody(error),
      field: error.field,
    })),
  }
}

function joined(messages: readonly string[]): string {
  return messages.length === 1 ? (messages[0] ?? '') : `[${messages.join(', ')}]`
}
