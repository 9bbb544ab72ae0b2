import type { Status } from '@outrigger/kube'
import { ApiError } from './api-error.ts'

/** Whether a value is an object and not a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a refused request came back with. Bodies that are no Status (of a proxy, say) become the message. */
export function apiErrorFromAnswer(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): ApiError {
  return new ApiError(status, parseStatus(status, body), retryAfter(headers))
}

/** What an ERROR event of a watch carries. */
export function apiErrorFromEvent(object: unknown): ApiError {
  const status: Partial<Status> = isRecord(object) ? object : {}
  const code = typeof status.code === 'number' ? status.code : 500
  const seconds = status.details?.retryAfterSeconds
  return new ApiError(code, status, seconds ? seconds * 1000 : undefined)
}

function parseStatus(code: number, body: Buffer): Partial<Status> {
  const text = body.toString('utf8')
  try {
    const parsed: unknown = JSON.parse(text)
    if (isRecord(parsed) && parsed['kind'] === 'Status') return parsed
  } catch {
    // Not JSON: the text itself is all there is to say.
  }
  const message = text.trim().slice(0, 1024)
  return { code, message: message === '' ? `the API server answered ${code}` : message }
}

/** Milliseconds of a Retry-After header in seconds, the only form API servers send. */
function retryAfter(headers: Readonly<Record<string, string>>): number | undefined {
  const seconds = Number(headers['retry-after'])
  return headers['retry-after'] !== undefined && Number.isFinite(seconds) && seconds >= 0
    ? seconds * 1000
    : undefined
}
