import { isRecord, type KubeObject } from '@outrigger/kube'
import type { AdmissionAnswer, AdmissionHandler, AdmissionRequest } from './admission.ts'
import { BadReview } from './bad-review.ts'

const apiVersion = 'admission.k8s.io/v1'
const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT']

/**
 * Answers an AdmissionReview with the handler's word, as the JSON to send back.
 *
 * @throws BadReview when the body is none.
 */
export async function reviewAdmission(
  body: unknown,
  handler: AdmissionHandler,
  signal: AbortSignal,
  counter?: ReviewCounter,
): Promise<string> {
  const request = parseAdmissionReview(body)
  const answer = await handler(request, signal)
  const text = formatAdmissionReview(request.uid, answer)
  counter?.decided(request.operation, answer.allowed)
  return text
}

/** Hears of each review that was decided. */
export interface ReviewCounter {
  decided(operation: string, isAllowed: boolean): void
}

/** @throws BadReview */
export function parseAdmissionReview(body: unknown): AdmissionRequest {
  if (!isRecord(body) || body['kind'] !== 'AdmissionReview')
    throw new BadReview('the body is not an AdmissionReview')
  if (body['apiVersion'] !== apiVersion) throw new BadReview(`apiVersion must be ${apiVersion}`)
  const request = body['request']
  if (!isRecord(request)) throw new BadReview('request is missing')
  const operation = request['operation']
  if (typeof operation !== 'string' || !operations.includes(operation))
    throw new BadReview(`request.operation must be one of ${operations.join(', ')}`)
  const kind = isRecord(request['kind']) ? request['kind'] : {}
  const resource = isRecord(request['resource']) ? request['resource'] : {}
  const user = isRecord(request['userInfo']) ? request['userInfo'] : {}
  const groups: unknown[] = Array.isArray(user['groups']) ? user['groups'] : []
  return {
    uid: text(request['uid'], 'request.uid'),
    kind: {
      group: optional(kind['group']),
      version: optional(kind['version']),
      kind: text(kind['kind'], 'request.kind.kind'),
    },
    resource: {
      group: optional(resource['group']),
      version: optional(resource['version']),
      resource: text(resource['resource'], 'request.resource.resource'),
    },
    subResource: optional(request['subResource']),
    operation: operation as AdmissionRequest['operation'],
    name: optional(request['name']),
    namespace: optional(request['namespace']),
    user: {
      name: optional(user['username']),
      groups: groups.filter((group) => typeof group === 'string'),
    },
    object: parseObject(request['object'], 'request.object'),
    oldObject: parseObject(request['oldObject'], 'request.oldObject'),
    isDryRun: request['dryRun'] === true,
  }
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '') throw new BadReview(`${field} must be a text`)
  return value
}

function optional(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function parseObject(value: unknown, field: string): KubeObject | undefined {
  if (value === undefined || value === null) return undefined
  if (!isRecord(value) || !isRecord(value['metadata']))
    throw new BadReview(`${field} must be an object with metadata`)
  return value as unknown as KubeObject
}

/** The API server cuts longer ones and drops what is beyond 4,096 characters in all. */
const maxWarningLength = 256
const maxWarnings = 12

/** The review to send back, as JSON. The patch, most of it, is base64 and needs no second pass of an encoder. */
export function formatAdmissionReview(uid: string, answer: AdmissionAnswer): string {
  const { warnings } = answer
  const head = `{"kind":"AdmissionReview","apiVersion":"${apiVersion}","response":{"uid":${JSON.stringify(uid)},"allowed":${answer.allowed}`
  const said = warnings !== undefined && warnings.length > 0 ? formatWarnings(warnings) : ''
  return `${head}${said}${answer.allowed ? formatPatch(answer.patch) : formatRefusal(answer)}}}`
}

function formatWarnings(warnings: readonly string[]): string {
  const short = warnings
    .slice(0, maxWarnings)
    .map((warning) =>
      warning.length > maxWarningLength ? `${warning.slice(0, maxWarningLength - 3)}...` : warning,
    )
  return `,"warnings":${JSON.stringify(short)}`
}

function formatPatch(patch: readonly unknown[] | undefined): string {
  if (patch === undefined || patch.length === 0) return ''
  return `,"patchType":"JSONPatch","patch":"${Buffer.from(JSON.stringify(patch)).toString('base64')}"`
}

function formatRefusal({
  code,
  reason,
  message,
  causes,
}: Extract<AdmissionAnswer, { allowed: false }>): string {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    code,
    reason,
    message,
    ...(causes?.length && { details: { causes } }),
  }
  return `,"status":${JSON.stringify(status)}`
}
