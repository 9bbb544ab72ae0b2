import type { Status } from '@outrigger/kube'

/** The API server said no. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status, also for errors that arrive inside a watch. */
  readonly code: number
  /** Kubernetes' one-word reason: `NotFound`, `Conflict`, `AlreadyExists`; empty when there was none. */
  readonly reason: string
  readonly status: Partial<Status>
  /** Milliseconds the server asked us to wait, where it did. */
  readonly retryAfter: number | undefined

  constructor(code: number, status: Partial<Status>, retryAfter?: number) {
    super(status.message ?? `the API server answered ${code}`)
    this.code = code
    this.reason = status.reason ?? ''
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** How far a call had come when it failed. */
export type ConnectionPhase =
  /** No connection could be made; the request was not sent. */
  | 'connect'
  /**
   * Trying again does not help: a certificate was not accepted, the client is closed, the answer was
   * too large or no JSON.
   */
  | 'final'
  /** There was a connection, but the server certainly did not look at the request. */
  | 'unsent'
  /** The connection broke before the answer was complete; whether the request took effect is unknown. */
  | 'lost'
  /** No complete answer within the time allowed; whether the request took effect is unknown. */
  | 'timeout'

/** The API server did not answer: no connection, a broken one, or no word within the time allowed. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  readonly phase: ConnectionPhase

  /** `phase` defaults to `lost`, of which nothing can be concluded. */
  constructor(message: string, options?: ErrorOptions & { readonly phase?: ConnectionPhase }) {
    super(message, options)
    this.phase = options?.phase ?? 'lost'
  }
}

/** Milliseconds. A server that is only busy is asked again after this, however often it was. */
const longestPauseForBusy = 10_000
/** Milliseconds. Nobody is left alone for longer because an answer said so. */
const longestAskedFor = 60_000

/**
 * How long to wait after a failure that would otherwise call for a pause of `backoff` milliseconds: not less than the
 * server asked for, up to a minute; and where it was only busy (429, 503), never so long that what is to be done
 * stands still.
 */
export function pauseAfter(error: unknown, backoff: number): number {
  if (!(error instanceof ApiError)) return backoff
  const isBusy = error.code === 429 || error.code === 503
  const asked = Math.min(error.retryAfter ?? 0, longestAskedFor)
  return Math.max(asked, isBusy ? Math.min(backoff, longestPauseForBusy) : backoff)
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.code === 404
export const isConflict = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 409 && error.reason !== 'AlreadyExists'
export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof ApiError && error.reason === 'AlreadyExists'
export const isGone = (error: unknown): boolean => error instanceof ApiError && error.code === 410
