import type { GroupVersionKind } from './builtin-schema.ts'
import type { Status, UserInfo } from './generated/kinds.ts'

/** A resource in one version, as reviews name it. */
export interface GroupVersionResource {
  readonly group: string
  readonly version: string
  readonly resource: string
}

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

/** What is asked: `admission.k8s.io/v1`, AdmissionRequest. */
export interface AdmissionRequest {
  readonly uid: string
  readonly kind: GroupVersionKind
  readonly resource: GroupVersionResource
  readonly subResource?: string
  readonly requestKind?: GroupVersionKind
  readonly requestResource?: GroupVersionResource
  readonly requestSubResource?: string
  readonly name?: string
  readonly namespace?: string
  readonly operation: AdmissionOperation
  readonly userInfo: UserInfo
  readonly object?: unknown
  readonly oldObject?: unknown
  readonly dryRun?: boolean
  readonly options?: unknown
}

/** What is answered: `admission.k8s.io/v1`, AdmissionResponse. */
export interface AdmissionResponse {
  readonly uid: string
  readonly allowed: boolean
  /** Why not: `message`, `reason` and `code` reach the client. */
  readonly status?: Partial<Status>
  /** Base64 of a JSON patch. */
  readonly patch?: string
  readonly patchType?: 'JSONPatch'
  readonly auditAnnotations?: Readonly<Record<string, string>>
  readonly warnings?: readonly string[]
}

/** The message of a webhook, both ways. */
export interface AdmissionReview {
  readonly apiVersion: 'admission.k8s.io/v1'
  readonly kind: 'AdmissionReview'
  readonly request?: AdmissionRequest
  readonly response?: AdmissionResponse
}

/** `apiextensions.k8s.io/v1`: objects to be brought into another version. */
export interface ConversionRequest {
  readonly uid: string
  readonly desiredAPIVersion: string
  readonly objects: readonly unknown[]
}

/** The objects in the version asked for, in the same order, or why not. */
export interface ConversionResponse {
  readonly uid: string
  readonly convertedObjects?: readonly unknown[]
  readonly result: Pick<Status, 'status'> & Partial<Status>
}

/** The message of a conversion webhook, both ways. */
export interface ConversionReview {
  readonly apiVersion: 'apiextensions.k8s.io/v1'
  readonly kind: 'ConversionReview'
  readonly request?: ConversionRequest
  readonly response?: ConversionResponse
}
