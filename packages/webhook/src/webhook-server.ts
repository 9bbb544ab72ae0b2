import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { KeyPair } from '@outrigger/certificates'
import { type Clock, deferred, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import type { AdmissionHandler } from './admission.ts'
import { reviewAdmission } from './admission-review.ts'
import type { CertificateSource } from './certificate-source.ts'
import { type Converter, reviewConversion } from './conversion-review.ts'
import { DeadlineWheel } from './deadline-wheel.ts'
import { type ExchangeContext, ReviewExchange, type ReviewRoute } from './review-exchange.ts'
import { PathCounter, type WebhookStatistics } from './webhook-statistics.ts'

export interface WebhookServerOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Port 0: any free one. Host defaults to all addresses. */
  readonly listen: { readonly host?: string; readonly port: number }
  readonly certificate: CertificateSource
  /** By path: `/mutate-pod`. */
  readonly handlers: Readonly<Record<string, AdmissionHandler>>
  /** By path: `/convert`. */
  readonly converters?: Readonly<Record<string, Converter>>
  /** Bytes a request may have. Defaults to 8 MiB: an update carries two objects of up to 3 MiB. */
  readonly maxBodyBytes?: number
  /** Milliseconds a request may take when the caller does not say. Defaults to 10,000. */
  readonly deadline?: number
  /** Requests worked on at a time; more are answered 503. Defaults to 1,000. */
  readonly maxInFlight?: number
  /** Milliseconds a caller may take for the handshake, and again for the headers of a request. Defaults to 10,000. */
  readonly headerDeadline?: number
}

/** Answers the reviews of an API server over HTTPS. */
export interface WebhookServer extends Runnable {
  /** Resolves once requests are answered; rejects when the address cannot be had. */
  readonly ready: Promise<void>
  /** Where it listens. @throws Error before `ready`. */
  readonly address: { readonly host: string; readonly port: number }
  /** For metrics. */
  readonly statistics: WebhookStatistics
}

/**
 * A server that does nothing before `run`. It takes over a changed certificate without dropping a
 * connection. On stop it takes no new requests and lets those under way finish, five seconds at most.
 */
export function createWebhookServer(options: WebhookServerOptions): WebhookServer {
  return new HttpsWebhookServer(options)
}

const stopGrace = 5_000
/** An API server keeps a handful; more than this is somebody else's mistake. */
const maxConnections = 4_096
/** Request targets remembered with their path and deadline: a caller uses one or two for each webhook. */
const maxTargets = 256

/** A request's path, and how long it may take in milliseconds. */
interface Target {
  readonly path: string
  readonly deadline: number
}

class HttpsWebhookServer implements WebhookServer {
  readonly name = 'webhook server'
  readonly #options: WebhookServerOptions
  readonly #ready = deferred()
  readonly #routes: ReadonlyMap<string, ReviewRoute>
  readonly #targets = new Map<string, Target>()
  readonly #context: ExchangeContext
  readonly #maxInFlight: number
  readonly #counts = { overloads: 0, unserved: 0, failedHandshakes: 0 }
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(options: WebhookServerOptions) {
    const { clock, logger, maxBodyBytes = 8 * 1024 * 1024, maxInFlight = 1_000 } = options
    this.#maxInFlight = maxInFlight
    this.#options = options
    this.#routes = new Map(routesOf(options).map((route) => [route.path, route]))
    this.#context = {
      clock,
      logger,
      wheel: new DeadlineWheel(clock),
      maxBodyBytes,
      totals: { inFlight: 0, tooLarge: { requests: 0, bytes: 0 } },
    }
    // Nobody may be waiting; the failure also comes out of `run`.
    this.#ready.promise.catch(() => {})
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  get address(): { host: string; port: number } {
    const address = this.#server?.address() as AddressInfo | null | undefined
    if (!address) throw new Error('the webhook server does not listen yet')
    return { host: address.address, port: address.port }
  }

  get statistics(): WebhookStatistics {
    return {
      webhooks: [...this.#routes.values()].map(({ counter }) => counter.read()),
      tooLarge: { ...this.#context.totals.tooLarge },
      ...this.#counts,
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { certificate, listen } = this.#options
    const pair = await untilAborted(certificate.current(), signal)
    if (pair === undefined) return
    const server = this.#createServer(pair)
    this.#server = server
    const forget = certificate.onChange(() => void this.#reload(server))
    try {
      await listening(server, listen)
      this.#options.logger.info('webhook server listens', { ...this.address })
      this.#ready.resolve()
      await untilAborted(new Promise<never>(() => {}), signal)
    } catch (error) {
      this.#ready.reject(error)
      throw error
    } finally {
      forget()
      await this.#stop(server)
    }
  }

  #createServer(pair: KeyPair): Server {
    const { headerDeadline = 10_000 } = this.#options
    const server = createServer(
      {
        ...secureContextOf(pair),
        keepAliveTimeout: 90_000,
        handshakeTimeout: headerDeadline,
        headersTimeout: headerDeadline,
        requestTimeout: Math.max(headerDeadline, 40_000),
        connectionsCheckingInterval: Math.min(headerDeadline, 2_000),
      },
      (request, response) => this.#receive(request, response),
    )
    server.maxConnections = maxConnections
    // Those in the middle of a handshake are known to nobody else, and would hold up the stop.
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    server.on('tlsClientError', () => this.#counts.failedHandshakes++)
    server.on('clientError', endBadConnection)
    return server
  }

  async #reload(server: Server): Promise<void> {
    try {
      server.setSecureContext(secureContextOf(await this.#options.certificate.current()))
      this.#options.logger.info('webhook server took over a new certificate')
    } catch (error) {
      this.#options.logger.error('new webhook certificate cannot be used', { error: messageOf(error) })
    }
  }

  async #stop(server: Server): Promise<void> {
    if (!server.listening) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeIdleConnections()
    const cancel = this.#options.clock.after(stopGrace, () => {
      this.#context.wheel.expireAll()
      for (const socket of this.#sockets) socket.destroy()
    })
    await closed
    cancel()
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const { path, deadline } = this.#targetOf(request.url ?? '/')
    const route = this.#routes.get(path)
    if (route === undefined) this.#answerOther(path, request, response)
    else if (request.method !== 'POST') send(request, response, 405, 'reviews are sent by POST')
    else if (this.#context.totals.inFlight >= this.#maxInFlight) {
      this.#counts.overloads++
      route.counter.answered(503, 0)
      send(request, response, 503, `${this.#maxInFlight} reviews are under way, which is the limit`)
    } else new ReviewExchange(route, deadline, request, response, this.#context)
  }

  #answerOther(path: string, request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'GET' && (path === '/healthz' || path === '/readyz')) {
      send(request, response, 200, 'ok')
    } else {
      this.#counts.unserved++
      send(request, response, 404, 'nothing is served at this path')
    }
  }

  #targetOf(url: string): Target {
    const known = this.#targets.get(url)
    if (known !== undefined) return known
    const target = parseTarget(url, this.#options.deadline ?? 10_000)
    if (this.#targets.size < maxTargets && this.#routes.has(target.path)) this.#targets.set(url, target)
    return target
  }
}

function routesOf({ handlers, converters = {} }: WebhookServerOptions): ReviewRoute[] {
  return [
    ...Object.entries(handlers).map(([path, handler]): ReviewRoute => {
      const counter = new PathCounter(path, 'admission')
      return { path, counter, answer: (body, signal) => reviewAdmission(body, handler, signal, counter) }
    }),
    ...Object.entries(converters).map(([path, converter]): ReviewRoute => {
      const counter = new PathCounter(path, 'conversion')
      return { path, counter, answer: (body) => reviewConversion(body, converter, counter) }
    }),
  ]
}

/** Says why before it hangs up on somebody who does not speak HTTP, or too slowly. */
function endBadConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Without a finished handshake nothing can be said.
  const isHttp = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || error.code?.startsWith('HPE_') === true
  if (!isHttp || !socket.writable) return void socket.destroy()
  const [status, message] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? ['408 Request Timeout', 'the request did not arrive in time']
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? ['431 Request Header Fields Too Large', 'the headers are too large']
        : ['400 Bad Request', 'this is not an HTTP request']
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${message.length + 1}\r\n\r\n${message}\n`,
    () => socket.destroy(),
  )
}

function secureContextOf({ certificate, privateKey }: { certificate: string; privateKey: string }) {
  return { cert: certificate, key: privateKey, minVersion: 'TLSv1.2' as const }
}

function listening(server: Server, { host, port }: WebhookServerOptions['listen']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function parseTarget(url: string, fallback: number): Target {
  // A text that is no URL (`//`) is no path of ours either.
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  const timeout = query < 0 ? null : new URLSearchParams(url.slice(query)).get('timeout')
  return { path, deadline: deadlineOf(timeout, fallback) }
}

/** The caller's own time-out (`10s`, `500ms`), less what the way back takes. */
function deadlineOf(timeout: string | null, fallback: number): number {
  const match = /^(\d+)(ms|s)$/.exec(timeout ?? '')
  if (match === null) return fallback
  const milliseconds = Number(match[1]) * (match[2] === 's' ? 1_000 : 1)
  return Math.min(30_000, Math.max(100, milliseconds - 200))
}

/** Answers without reading the body. */
function send(request: IncomingMessage, response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(message) + 1,
    ...(status === 405 && { allow: 'POST' }),
  })
  response.end(`${message}\n`)
  request.resume()
}

/** `undefined` when the signal aborts first. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return undefined
  const gone = deferred<undefined>()
  const onAbort = () => gone.resolve(undefined)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, gone.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
