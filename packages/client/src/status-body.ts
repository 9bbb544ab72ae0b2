import type { Status } from '@outrigger/kube'
import { ApiError } from './api-error.ts'

/** Whether a value is an object and not a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a refused request came back with. Bodies that are no Status (of a gateway, say) become the message. */
export function apiErrorFromAnswer(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): ApiError {
  return new ApiError(status, parseStatus(status, headers, body), retryAfter(headers))
}

/** What an ERROR event of a watch carries. */
export function apiErrorFromEvent(object: unknown): ApiError {
  const status = checkedStatus(isRecord(object) ? object : {})
  const seconds = status.details?.retryAfterSeconds
  return new ApiError(status.code ?? 500, status, seconds ? seconds * 1000 : undefined)
}

/** An HTML page in a few words; undefined for what is none. */
export function htmlPage(text: string): string | undefined {
  if (!/^\s*<(!doctype|html|head|body|!--)/i.test(text)) return undefined
  const title = /<title[^>]*>([^<]{1,200})<\/title/i
    .exec(text.slice(0, 16_384))?.[1]
    ?.replace(/\s+/g, ' ')
    .trim()
  return title ? `an HTML page (${title})` : 'an HTML page'
}

function parseStatus(code: number, headers: Readonly<Record<string, string>>, body: Buffer): Partial<Status> {
  const text = body.toString('utf8')
  try {
    const parsed: unknown = JSON.parse(text)
    if (isRecord(parsed) && parsed['kind'] === 'Status') return checkedStatus(parsed)
  } catch {
    // Not JSON: the text itself is all there is to say.
  }
  const answered = `the API server answered ${code}`
  const location = headers['location']
  if (code >= 300 && code < 400 && location !== undefined)
    return { code, message: `${answered} and points to ${address(location)}, which is not followed` }
  const page = htmlPage(text)
  if (page !== undefined) return { code, message: `${answered} with ${page}, as gateways do` }
  const message = text.trim().slice(0, 1024)
  return { code, message: message === '' ? answered : message }
}

/** A location without what is nobody's business: user name, password and query. */
function address(location: string): string {
  if (!URL.canParse(location)) return location.split('?')[0]?.slice(0, 256) ?? ''
  const { protocol, host, pathname } = new URL(location)
  return `${protocol}//${host}${pathname}`.slice(0, 256)
}

/** A Status whose fields we use are what they should be; those that are not are left out. */
function checkedStatus(record: Readonly<Record<string, unknown>>): Partial<Status> {
  const { code, message, reason, details, ...rest } = record
  return {
    ...rest,
    ...(typeof code === 'number' && Number.isInteger(code) && { code }),
    ...(typeof message === 'string' && { message }),
    ...(typeof reason === 'string' && { reason }),
    ...(isRecord(details) && { details: checkedDetails(details) }),
  }
}

function checkedDetails(details: Readonly<Record<string, unknown>>): NonNullable<Status['details']> {
  const { causes, retryAfterSeconds, ...rest } = details
  return {
    ...rest,
    ...(Array.isArray(causes) && { causes: causes.filter(isRecord) }),
    ...(typeof retryAfterSeconds === 'number' && retryAfterSeconds > 0 && { retryAfterSeconds }),
  }
}

/** Milliseconds of a Retry-After header in seconds, the only form API servers send. */
function retryAfter(headers: Readonly<Record<string, string>>): number | undefined {
  const seconds = Number(headers['retry-after'])
  return headers['retry-after'] !== undefined && Number.isFinite(seconds) && seconds >= 0
    ? seconds * 1000
    : undefined
}
