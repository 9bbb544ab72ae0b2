import { setMaxListeners } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '@outrigger/foundation'
import { ConnectionError } from './api-error.ts'
import type { ConnectionConfig } from './connection-config.ts'
import type { Connector } from './connector.ts'
import { Http1Connections } from './http1-connections.ts'
import { proxyRefusal } from './proxy-tunnel.ts'
import { plainHeaders, type Transport, type TransportAnswer, type TransportRequest } from './transport.ts'

/** HTTP/1.1 over connections that are kept: for servers that do not speak HTTP/2. */
export class Http1Transport implements Transport {
  readonly #config: ConnectionConfig
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #url: URL
  readonly #closing = new AbortController()
  #connections: Http1Connections
  #first: Duplex | undefined

  /** `first` is a connection that is open already: the next request takes it. */
  constructor(config: ConnectionConfig, connector: Connector, clock: Clock, first?: Duplex) {
    // As many connections as there are may be opened at the same time.
    setMaxListeners(0, this.#closing.signal)
    this.#first = first
    this.#config = config
    this.#connector = connector
    this.#clock = clock
    this.#url = new URL(config.server)
    this.#connections = this.#newConnections()
  }

  refresh(): void {
    this.#first?.destroy()
    const old = this.#connections
    this.#connections = this.#newConnections()
    // Those in use end by themselves after their request.
    for (const idle of Object.values(old.freeSockets)) for (const socket of idle ?? []) socket.destroy()
  }

  async close(): Promise<void> {
    this.#closing.abort(new ConnectionError('the client is closed', { phase: 'final' }))
    this.#first?.destroy()
    this.#connections.destroy()
  }

  async send(request: TransportRequest): Promise<TransportAnswer> {
    request.signal.throwIfAborted()
    const connections = this.#connections
    const endTurn = await connections.turn(request.signal)
    return this.#exchange(request, connections, endTurn)
  }

  #exchange(
    request: TransportRequest,
    connections: Http1Connections,
    endTurn: () => void,
  ): Promise<TransportAnswer> {
    const { signal } = request
    const { forwarding } = this.#connector
    return new Promise((resolve, reject) => {
      let isConnected = false
      let answer: IncomingMessage | undefined
      // The connections bring TLS along, so Node need only know that it speaks HTTP.
      const outgoing = httpRequest({
        method: request.method,
        host: this.#url.hostname,
        path: forwarding === undefined ? request.path : `${this.#url.origin}${request.path}`,
        headers: {
          host: this.#url.host,
          ...request.headers,
          ...forwarding,
          ...(request.body !== undefined && { 'content-length': Buffer.byteLength(request.body) }),
        },
        agent: connections,
      })
      const onAbort = () => {
        answer?.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
        outgoing.destroy()
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      outgoing.once('socket', () => {
        isConnected = true
      })
      outgoing.once('response', (incoming) => {
        const status = incoming.statusCode ?? 0
        if (status === 407 && this.#config.proxy !== undefined) {
          incoming.destroy()
          return reject(proxyRefusal(this.#config.proxy, status))
        }
        answer = incoming
        resolve({ status, headers: plainHeaders(incoming.headers), body: incoming })
      })
      outgoing.on('error', (error) => {
        if (error instanceof ConnectionError) return reject(error)
        // Without a connection nothing was sent.
        const phase = isConnected ? 'lost' : 'connect'
        reject(new ConnectionError(`connection lost: ${error.message}`, { cause: error, phase }))
      })
      outgoing.once('close', () => {
        signal.removeEventListener('abort', onAbort)
        endTurn()
      })
      outgoing.end(request.body)
    })
  }

  #newConnections(): Http1Connections {
    const { signal } = this.#closing
    return new Http1Connections(this.#clock, async () => {
      const first = this.#first
      this.#first = undefined
      if (first !== undefined && !first.destroyed) return first
      if (this.#connector.isTls) return this.#connector.openTls(['http/1.1'], signal)
      if (this.#connector.forwarding !== undefined) return this.#connector.openToProxy(signal)
      return this.#connector.openPlain(signal)
    })
  }
}
