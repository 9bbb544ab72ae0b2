import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { KubeObject, ObjectKey } from '@outrigger/kube'
import type { UserInfo } from '../auth/identity.ts'
import type { Resource } from './resource.ts'

/** A request for a `connect` subresource, authorized, with the object it names. */
export interface ConnectRequest {
  readonly method: string
  /** `get`, `create`, ... as RBAC has it. */
  readonly verb: string
  readonly resource: Resource
  readonly key: ObjectKey
  readonly subresource: string
  /** What the path has behind the subresource, without a leading slash: `proxy/metrics` -> `metrics`. */
  readonly path: string
  readonly query: URLSearchParams
  readonly user: UserInfo
  /** The pod, node or service, frozen. */
  readonly object: KubeObject
  /** Aborts when the client went away or the server stops. */
  readonly signal: AbortSignal
}

/** Where the answer goes: an ordinary response, or the raw socket of an upgrade. */
export type ConnectExchange =
  | {
      readonly type: 'response'
      readonly request: IncomingMessage | Http2ServerRequest
      readonly response: ServerResponse | Http2ServerResponse
    }
  | {
      readonly type: 'upgrade'
      readonly request: IncomingMessage
      readonly socket: Duplex
      /** What the client sent behind the headers. */
      readonly head: Buffer
    }

/**
 * Serves exec, attach, portforward, log and proxy. Resolves when the exchange is over. May throw a
 * StatusError as long as nothing was answered.
 */
export type ConnectHandler = (request: ConnectRequest, exchange: ConnectExchange) => Promise<void>
