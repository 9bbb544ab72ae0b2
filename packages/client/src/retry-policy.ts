import { ApiError, ConnectionError } from './api-error.ts'

/** Attempts at one call, the first included. */
export const mostAttempts = 5
/** The same where the server says each time when to come back: what client-go allows. */
const mostInvitedAttempts = 10

const firstPause = 100
const longestPause = 30_000
/** A server that names a time wants no more patience than this on top of it. */
const longestPoliteness = 2_000

/**
 * How long to wait before asking again, in milliseconds; undefined when the error is final.
 *
 * Reading may always be repeated. A write is repeated only if it had no effect: it was not sent, or the server turned
 * it away and said when to come back (as client-go has it): by 429 any, by 503, which a gateway may also say of a
 * server it lost, such as do nothing when done twice.
 */
export function retryPause(
  method: string,
  attempt: number,
  error: unknown,
  contentType?: string,
): number | undefined {
  if (error instanceof ApiError) {
    const isRepeatable = repeatable.has(method) && contentType !== jsonPatch
    return pauseAfterRefusal(method, attempt, error, isRepeatable)
  }
  if (attempt >= mostAttempts) return undefined
  const plain = plainPause(attempt)
  if (!(error instanceof ConnectionError)) return undefined
  switch (error.phase) {
    case 'unsent':
      return attempt === 1 ? 0 : plain
    case 'connect':
      return attempt <= 2 ? plain : undefined
    case 'lost':
      return method === 'GET' && attempt <= 2 ? plain : undefined
    case 'final':
    case 'timeout':
      return undefined
  }
}

const plainPause = (attempt: number) => Math.min(longestPause, firstPause * 2 ** (attempt - 1))

function pauseAfterRefusal(
  method: string,
  attempt: number,
  { code, retryAfter }: ApiError,
  isRepeatable: boolean,
): number | undefined {
  const isPassing = code === 429 || (code >= 502 && code <= 504)
  if (!isPassing) return undefined
  if (retryAfter === undefined)
    return method === 'GET' && attempt < mostAttempts ? plainPause(attempt) : undefined
  if (retryAfter > longestPause || attempt >= mostInvitedAttempts) return undefined
  const isSafe = method === 'GET' || code === 429 || (code === 503 && isRepeatable)
  return isSafe ? Math.max(retryAfter, Math.min(longestPoliteness, plainPause(attempt))) : undefined
}

/** A deletion is not among them: it could meet another object of the same name. */
const repeatable: ReadonlySet<string> = new Set(['PUT', 'PATCH'])
/** Its `add` and `remove` count places in lists, so done twice it does twice as much. */
const jsonPatch = 'application/json-patch+json'
