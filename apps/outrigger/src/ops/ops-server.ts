import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { aborted, deferred, type Logger, messageOf, type Runnable, UserError } from '@outrigger/foundation'
import type { ListenAddress } from './listen-address.ts'

/** What a path answers. */
export interface OpsAnswer {
  readonly status: number
  readonly contentType?: string
  readonly body: string
}

export interface OpsServerOptions {
  readonly name: string
  readonly listen: ListenAddress
  /** By path, without the query. */
  readonly pages: Readonly<Record<string, () => OpsAnswer | Promise<OpsAnswer>>>
  readonly logger: Logger
}

/** A small HTTP server for probes and scrapers. */
export interface OpsServer extends Runnable {
  /** Resolves with the port once it answers; rejects when the address cannot be had. */
  readonly ready: Promise<number>
}

/** A server that does nothing before `run`. It answers GET and HEAD only and reads no bodies. */
export function createOpsServer(options: OpsServerOptions): OpsServer {
  const ready = deferred<number>()
  // The failure also comes out of `run`.
  ready.promise.catch(() => {})
  return {
    name: options.name,
    ready: ready.promise,
    run: async (signal) => {
      const server = createServer(
        { headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 90_000 },
        (request, response) => void answer(options, request, response),
      )
      server.on('clientError', (_, socket) => socket.destroy())
      try {
        const port = await listen(server, options.listen)
        options.logger.info(`${options.name} listens`, { port })
        ready.resolve(port)
        await aborted(signal)
      } catch (error) {
        ready.reject(error)
        throw error
      } finally {
        await close(server)
      }
    },
  }
}

async function answer(options: OpsServerOptions, request: IncomingMessage, response: ServerResponse) {
  try {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    const page = Object.hasOwn(options.pages, path) ? options.pages[path] : undefined
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return send(response, { status: 405, body: 'only GET\n' })
    if (page === undefined) return send(response, { status: 404, body: 'not found\n' })
    send(response, await page())
  } catch (error) {
    options.logger.error('page could not be made', { path: request.url, error: messageOf(error) })
    if (!response.headersSent) send(response, { status: 500, body: 'internal error\n' })
  }
}

function send(response: ServerResponse, { status, contentType, body }: OpsAnswer): void {
  response.writeHead(status, {
    'content-type': contentType ?? 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

function listen(server: Server, { host, port }: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(refusal(error, port)))
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function refusal(error: Error, port: number): Error {
  if (!('code' in error) || error.code !== 'EADDRINUSE') return error
  return new UserError(
    `port ${port} is taken`,
    'choose another with --metrics-addr and --health-probe-addr, or 0 for none',
    { cause: error },
  )
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeAllConnections()
  await closed
}
