import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { ConnectionError } from './api-error.ts'
import type { ClientCertificate, ConnectionConfig } from './connection-config.ts'
import { connectError, tlsOptions } from './tls-connector.ts'
import { plainHeaders, type Transport, type TransportAnswer, type TransportRequest } from './transport.ts'

/** HTTP/1.1 over connections that are kept: for servers that do not speak HTTP/2. */
export class Http1Transport implements Transport {
  readonly #config: ConnectionConfig
  readonly #certificate: () => ClientCertificate | undefined
  readonly #url: URL
  #agent: HttpAgent | HttpsAgent

  constructor(config: ConnectionConfig, certificate: () => ClientCertificate | undefined) {
    this.#config = config
    this.#certificate = certificate
    this.#url = new URL(config.server)
    this.#agent = this.#createAgent()
  }

  refresh(): void {
    // Connections in use end by themselves once nothing keeps them.
    this.#agent = this.#createAgent()
  }

  async close(): Promise<void> {
    this.#agent.destroy()
  }

  send(request: TransportRequest): Promise<TransportAnswer> {
    const { signal } = request
    if (signal.aborted) return Promise.reject(signal.reason)
    const send = this.#url.protocol === 'http:' ? httpRequest : httpsRequest
    return new Promise((resolve, reject) => {
      let isConnected = false
      let answer: IncomingMessage | undefined
      const outgoing = send(this.#url, {
        method: request.method,
        path: request.path,
        headers: {
          ...request.headers,
          ...(request.body !== undefined && { 'content-length': Buffer.byteLength(request.body) }),
        },
        agent: this.#agent,
      })
      const onAbort = () => {
        answer?.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
        outgoing.destroy()
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      outgoing.once('socket', (socket) => {
        if (outgoing.reusedSocket) isConnected = true
        else
          socket.once(this.#url.protocol === 'http:' ? 'connect' : 'secureConnect', () => {
            isConnected = true
          })
      })
      outgoing.once('response', (incoming) => {
        answer = incoming
        resolve({ status: incoming.statusCode ?? 0, headers: plainHeaders(incoming.headers), body: incoming })
      })
      outgoing.on('error', (error) => {
        signal.removeEventListener('abort', onAbort)
        if (!isConnected) return reject(connectError(this.#config.server, error))
        reject(new ConnectionError(`connection lost: ${error.message}`, { cause: error, phase: 'lost' }))
      })
      outgoing.once('close', () => signal.removeEventListener('abort', onAbort))
      outgoing.end(request.body)
    })
  }

  #createAgent(): HttpAgent | HttpsAgent {
    if (this.#url.protocol === 'http:') return new HttpAgent({ keepAlive: true })
    return new HttpsAgent({
      ...tlsOptions(this.#config, this.#certificate()),
      keepAlive: true,
      ALPNProtocols: ['http/1.1'],
    })
  }
}
