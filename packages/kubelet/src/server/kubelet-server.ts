import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import type { PodRuntime } from '../runtime.ts'
import { checkClient } from './client-identity.ts'
import { serveContainerLog } from './container-log.ts'
import { serveStream } from './pod-streams.ts'
import type { ServedPods } from './served-pods.ts'
import { ServerError, sendError } from './server-error.ts'
import { statsSummary } from './stats-summary.ts'

export interface KubeletServerOptions {
  readonly host: string
  /** 0 takes any that is free. */
  readonly port: number
  /** PEM. */
  readonly tls: { readonly certificate: string; readonly key: string }
  /** PEM of the authority that signs clients, such as the API server. */
  readonly clientCa: string
  /** Common names that may call, beside members of `system:masters`. Defaults to `kube-apiserver-kubelet-client`. */
  readonly allowedNames?: readonly string[]
  readonly pods: ServedPods
  readonly runtime: PodRuntime
  readonly clock: Clock
  readonly logger: Logger
}

const defaultNames = ['kube-apiserver-kubelet-client', 'kube-apiserver']

/** The HTTPS endpoints by which the API server reaches the pods of a node. */
export class KubeletServer {
  readonly #options: KubeletServerOptions
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()

  constructor(options: KubeletServerOptions) {
    this.#options = options
    const { tls, clientCa } = options
    this.#server = createServer(
      { cert: tls.certificate, key: tls.key, ca: clientCa, requestCert: true, rejectUnauthorized: false },
      (request, answer) => void this.#serve(request, answer),
    )
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head))
    this.#server.on('secureConnection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('tlsClientError', () => {})
  }

  get port(): number {
    const address = this.#server.address()
    return address !== null && typeof address === 'object' ? (address as AddressInfo).port : 0
  }

  /** @throws Error when the port is taken */
  async listen(): Promise<void> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  /** Serves new connections with this certificate (PEM); those that are open keep theirs. */
  useCertificate({ certificate, key }: KubeletServerOptions['tls']): void {
    this.#server.setSecureContext({ cert: certificate, key, ca: this.#options.clientCa })
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'https://kubelet')
      if (url.pathname !== '/healthz') this.#check(request)
      await this.#route(url, request, answer)
    } catch (error) {
      if (!(error instanceof ServerError)) {
        this.#options.logger.warn('request failed', { path: request.url ?? '', error: messageOf(error) })
      }
      sendError(answer, error)
    }
  }

  async #route(url: URL, request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { pods, runtime, clock } = this.#options
    const parts = url.pathname
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent)
    const [first, second] = parts
    if (first === 'healthz' && parts.length === 1) return send(answer, 'text/plain', 'ok')
    if ((first === 'pods' || first === 'runningpods') && parts.length === 1) {
      const list = { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods.list() }
      return send(answer, 'application/json', `${JSON.stringify(list)}\n`)
    }
    if (first === 'stats' && second === 'summary') {
      const summary = await statsSummary(pods, runtime, clock)
      return send(answer, 'application/json', JSON.stringify(summary))
    }
    if (first === 'containerLogs' && parts.length === 4) {
      const path = { namespace: parts[1]!, pod: parts[2]!, container: parts[3]! }
      return serveContainerLog(path, url.searchParams, request, answer, { pods, runtime, clock })
    }
    if (streamVerbs.has(first ?? '')) throw new ServerError(400, 'Upgrade request required')
    throw new ServerError(404, '404 page not found')
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy())
    try {
      this.#check(request)
      const url = new URL(request.url ?? '/', 'https://kubelet')
      const { pods, runtime, clock, logger } = this.#options
      await serveStream(url, request, socket, head, { pods, runtime, clock, logger })
    } catch (error) {
      const code = error instanceof ServerError ? error.code : 500
      const message = messageOf(error)
      socket.end(
        `HTTP/1.1 ${code} ${code === 500 ? 'Internal Server Error' : 'Refused'}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(message)}\r\n\r\n${message}`,
      )
    }
  }

  #check(request: IncomingMessage): void {
    checkClient(request.socket as TLSSocket, { commonNames: this.#options.allowedNames ?? defaultNames })
  }
}

const streamVerbs = new Set(['exec', 'attach', 'portForward', 'run'])

function send(answer: ServerResponse, type: string, body: string): void {
  answer.writeHead(200, { 'content-type': type })
  answer.end(body)
}
