import type { KubeObject } from '@outrigger/kube'
import { showUser } from '../../auth/reviews.ts'
import type { AdmissionAttributes } from '../plugin.ts'
import type { WebhookMatch } from './compiled-webhook.ts'
import { isRecord } from './record.ts'

/** The request half of an AdmissionReview v1. */
export interface ReviewRequest {
  readonly uid: string
  readonly [field: string]: unknown
}

/** Puts a request into the words of `admission.k8s.io/v1`. `object` and `oldObject` are in the version the rule asked for. */
export function createReviewRequest(
  uid: string,
  attributes: AdmissionAttributes,
  match: WebhookMatch,
  object: KubeObject | undefined,
  oldObject: KubeObject | undefined,
): ReviewRequest {
  const { resource, subresource } = attributes
  const asked = kindOf(attributes.object ?? attributes.oldObject, resource)
  const isOther = match.resource !== resource
  const sent = isOther ? kindOf(object ?? oldObject, match.resource) : asked
  return {
    uid,
    kind: sent,
    resource: {
      group: match.resource.group,
      version: match.resource.version,
      resource: match.resource.plural,
    },
    ...(subresource === '' ? {} : { subResource: subresource }),
    requestKind: asked,
    requestResource: { group: resource.group, version: resource.version, resource: resource.plural },
    ...(subresource === '' ? {} : { requestSubResource: subresource }),
    ...(attributes.name === '' ? {} : { name: attributes.name }),
    ...(namespaceOf(attributes) === '' ? {} : { namespace: namespaceOf(attributes) }),
    operation: attributes.operation,
    userInfo: showUser(attributes.user),
    object: object ?? null,
    oldObject: oldObject ?? null,
    dryRun: attributes.isDryRun,
    options: Object.keys(attributes.options).length === 0 ? null : attributes.options,
  }
}

/** A Namespace is reviewed inside itself. */
export function namespaceOf(attributes: AdmissionAttributes): string {
  const { resource } = attributes
  return resource.group === '' && resource.plural === 'namespaces' ? attributes.name : attributes.namespace
}

function kindOf(object: KubeObject | undefined, resource: AdmissionAttributes['resource']) {
  const { apiVersion, kind } = object ?? {}
  if (apiVersion === undefined || kind === undefined || apiVersion === '' || kind === '')
    return { group: resource.group, version: resource.version, kind: resource.kind }
  const slash = apiVersion.indexOf('/')
  return slash < 0
    ? { group: '', version: apiVersion, kind }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind }
}

/** What a webhook answered, checked. */
export interface ReviewAnswer {
  readonly allowed: boolean
  /** Operations of a JSON patch; undefined when nothing is to change. */
  readonly patch: unknown
  readonly warnings: readonly string[]
  readonly status: ReviewStatus | undefined
}

export interface ReviewStatus {
  readonly code?: number
  readonly reason?: string
  readonly message?: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** Checks an answer. @throws Error in the words of kube-apiserver when it is no proper AdmissionReview. */
export function parseReviewAnswer(answer: unknown, uid: string): ReviewAnswer {
  if (!isRecord(answer)) throw new Error('webhook response is not an AdmissionReview')
  const { kind, apiVersion, response } = answer
  if (kind !== 'AdmissionReview' || apiVersion !== 'admission.k8s.io/v1')
    throw new Error(
      `expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${String(apiVersion)}, Kind=${String(kind)}`,
    )
  if (!isRecord(response)) throw new Error('webhook response was absent')
  if (response['uid'] !== uid)
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'])}`)
  const { patch, patchType, allowed, status, warnings } = response
  const hasPatch = typeof patch === 'string' && patch !== ''
  if (hasPatch && patchType !== 'JSONPatch')
    throw new Error(
      patchType === undefined || patchType === null
        ? 'webhook returned response.patch but not response.patchType'
        : `webhook returned invalid response.patchType of ${JSON.stringify(patchType)}`,
    )
  if (!hasPatch && patchType !== undefined && patchType !== null)
    throw new Error('webhook returned response.patchType but not response.patch')
  return {
    allowed: allowed === true,
    patch: hasPatch ? parsePatch(patch) : undefined,
    warnings: Array.isArray(warnings) ? warnings.filter((text) => typeof text === 'string') : [],
    status: isRecord(status) ? (status as ReviewStatus) : undefined,
  }
}

function parsePatch(patch: string): unknown {
  const operations: unknown = JSON.parse(Buffer.from(patch, 'base64').toString('utf8'))
  return Array.isArray(operations) && operations.length === 0 ? undefined : operations
}
