import type { Readable } from 'node:stream'

export type OutgoingHeaders = Readonly<Record<string, string | string[]>>

/** One HTTP request. */
export interface TransportRequest {
  readonly method: string
  /** Begins with a slash; may have a query. */
  readonly path: string
  /** Names in lower case; a list is sent as several headers. */
  readonly headers: OutgoingHeaders
  readonly body?: string | Uint8Array
  /** Aborting frees the stream at once, also while the body arrives. */
  readonly signal: AbortSignal
}

/** One HTTP answer whose body is still arriving. Whoever stops reading early must destroy `body`. */
export interface TransportAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable
}

/** Carries requests to one server over connections it keeps. */
export interface Transport {
  /** @throws ConnectionError or the signal's reason. */
  send(request: TransportRequest): Promise<TransportAnswer>
  /** New requests use new connections; those under way may finish. */
  refresh(): void
  close(): Promise<void>
}

/** The headers of an answer with repeated ones joined and HTTP/2's own left out. */
export function plainHeaders(
  headers: Readonly<Record<string, string | readonly string[] | number | undefined>>,
): Record<string, string> {
  const plain: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':')) continue
    plain[name] = typeof value === 'object' ? value.join(', ') : String(value)
  }
  return plain
}
