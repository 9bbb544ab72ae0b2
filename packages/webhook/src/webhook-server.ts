import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  type Clock,
  DeadlineExceeded,
  deferred,
  type Logger,
  messageOf,
  type Runnable,
  withDeadline,
} from '@outrigger/foundation'
import type { AdmissionHandler } from './admission.ts'
import { reviewAdmission } from './admission-review.ts'
import { BadReview } from './bad-review.ts'
import type { CertificateSource } from './certificate-source.ts'
import { type Converter, reviewConversion } from './conversion-review.ts'
import { readBody } from './read-body.ts'

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
}

/** Answers the reviews of an API server over HTTPS. */
export interface WebhookServer extends Runnable {
  /** Resolves once requests are answered; rejects when the address cannot be had. */
  readonly ready: Promise<void>
  /** Where it listens. @throws Error before `ready`. */
  readonly address: { readonly host: string; readonly port: number }
}

/**
 * A server that does nothing before `run`. It takes over a changed certificate without dropping a
 * connection. On stop it takes no new requests and lets those under way finish, five seconds at most.
 */
export function createWebhookServer(options: WebhookServerOptions): WebhookServer {
  return new HttpsWebhookServer(options)
}

const stopGrace = 5_000

class HttpsWebhookServer implements WebhookServer {
  readonly name = 'webhook server'
  readonly #options: WebhookServerOptions
  readonly #ready = deferred()
  readonly #stopping = new AbortController()
  #server: Server | undefined
  #inFlight = 0

  constructor(options: WebhookServerOptions) {
    this.#options = options
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

  async run(signal: AbortSignal): Promise<void> {
    const { certificate, listen } = this.#options
    const pair = await untilAborted(certificate.current(), signal)
    if (pair === undefined) return
    const server = createServer(
      { ...secureContextOf(pair), keepAliveTimeout: 90_000, headersTimeout: 10_000, requestTimeout: 30_000 },
      (request, response) => void this.#answer(request, response),
    )
    server.on('tlsClientError', () => {})
    server.on('clientError', (_, socket) => socket.destroy())
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
      this.#stopping.abort()
      server.closeAllConnections()
    })
    await closed
    cancel()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { maxInFlight = 1_000, logger } = this.#options
    if (this.#inFlight >= maxInFlight) return send(response, 503, 'too many requests at a time')
    this.#inFlight++
    try {
      await this.#route(request, response)
    } catch (error) {
      const status = error instanceof BadReview ? 400 : error instanceof DeadlineExceeded ? 504 : 500
      if (status !== 400)
        logger.error('review could not be answered', {
          path: request.url,
          error: messageOf(error),
          ...(status === 500 && error instanceof Error && { stack: error.stack }),
        })
      // A defect is answered as such and not as a refusal: whether the write goes through is for failurePolicy to say.
      if (!response.headersSent) send(response, status, messageOf(error))
    } finally {
      this.#inFlight--
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { handlers, converters = {}, clock, maxBodyBytes = 8 * 1024 * 1024 } = this.#options
    const { pathname, searchParams } = new URL(request.url ?? '/', 'https://webhook')
    if (request.method === 'GET' && (pathname === '/healthz' || pathname === '/readyz'))
      return send(response, 200, 'ok')
    const handler = Object.hasOwn(handlers, pathname) ? handlers[pathname] : undefined
    const converter = Object.hasOwn(converters, pathname) ? converters[pathname] : undefined
    if (handler === undefined && converter === undefined)
      return send(response, 404, `nothing is served at ${pathname}`)
    if (request.method !== 'POST') return send(response, 405, 'reviews are sent by POST')
    const deadline = deadlineOf(searchParams.get('timeout'), this.#options.deadline ?? 10_000)
    const review = await withDeadline(
      clock,
      deadline,
      `review at ${pathname}`,
      async (signal) => {
        const body = await readBody(request, maxBodyBytes)
        if (handler !== undefined) return reviewAdmission(body, handler, signal)
        return converter && reviewConversion(body, converter)
      },
      this.#stopping.signal,
    )
    const content = JSON.stringify(review)
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(content),
    })
    response.end(content)
  }
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

/** The caller's own time-out (`10s`, `500ms`), less what the way back takes. */
function deadlineOf(timeout: string | null, fallback: number): number {
  const match = /^(\d+)(ms|s)$/.exec(timeout ?? '')
  if (match === null) return fallback
  const milliseconds = Number(match[1]) * (match[2] === 's' ? 1_000 : 1)
  return Math.min(30_000, Math.max(100, milliseconds - 200))
}

function send(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`${message}\n`)
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
