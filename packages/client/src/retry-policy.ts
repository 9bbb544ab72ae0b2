import { ApiError, ConnectionError } from './api-error.ts'

/** Attempts at one call, the first included. */
export const mostAttempts = 5

const firstPause = 100
const longestPause = 30_000

/**
 * How long to wait before asking again, in milliseconds; undefined when the error is final.
 *
 * Reading may always be repeated. A write is repeated only if it certainly had no effect: it was not
 * sent, or the server turned it away with 429 and said when to come back (as client-go does).
 */
export function retryPause(method: string, attempt: number, error: unknown): number | undefined {
  if (attempt >= mostAttempts) return undefined
  const isRead = method === 'GET'
  const plain = Math.min(longestPause, firstPause * 2 ** (attempt - 1))
  if (error instanceof ApiError) {
    if (error.retryAfter !== undefined && error.retryAfter > longestPause) return undefined
    if (error.code === 429 && error.retryAfter !== undefined) return Math.max(error.retryAfter, plain)
    const isPassing = error.code === 429 || (error.code >= 502 && error.code <= 504)
    return isRead && isPassing ? Math.max(error.retryAfter ?? 0, plain) : undefined
  }
  if (!(error instanceof ConnectionError)) return undefined
  switch (error.phase) {
    case 'unsent':
      return attempt === 1 ? 0 : plain
    case 'connect':
      return attempt <= 2 ? plain : undefined
    case 'lost':
      return isRead && attempt <= 2 ? plain : undefined
    case 'final':
    case 'timeout':
      return undefined
  }
}
