import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Clock, type Logger, UserError } from '@outrigger/foundation'
import type { PeerCertificate } from '../auth/identity.ts'
import type { AnyRequest } from './connection.ts'
import type { Router } from './router.ts'

export interface HttpsServerOptions {
  readonly host: string
  /** 0 for any free one. */
  readonly port: number
  /** PEM. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  /** PEM of the authorities whose client certificates count; without it client certificates mean nothing. */
  readonly clientAuthorities?: string
  readonly clock: Clock
  readonly logger: Logger
}

/** Milliseconds connections get to end by themselves when the server stops. */
const gracePeriod = 2_000
const maxHeaderBytes = 64 * 1024
const maxConcurrentStreams = 1_000

/** A listening HTTPS server (HTTP/2 and HTTP/1.1 on one port). */
export interface ListeningServer {
  readonly port: number
  /** Replaces the certificate for new connections. */
  setCertificate(certificate: string, key: string): void
  /** Refuses new work, lets running requests end for a moment, then closes every connection. */
  close(): Promise<void>
}

/** Opens the port. Throws a UserError when it is taken. */
export async function listen(options: HttpsServerOptions, router: Router): Promise<ListeningServer> {
  const server = createServer(options)
  const sessions = new Set<ServerHttp2Session>()
  const sockets = new Set<TLSSocket>()
  const certificates = new WeakMap<object, PeerCertificate>()
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    const certificate = certificateOf(socket)
    if (certificate !== undefined) certificates.set(socket, certificate)
  })
  server.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    session.on('error', () => session.destroy())
    // The proxy that `session.socket` is hides the socket's identity.
    const certificate = certificateOf(session.socket as TLSSocket)
    if (certificate !== undefined) certificates.set(session, certificate)
  })
  const peerOf = (request: AnyRequest) =>
    certificates.get(request.httpVersionMajor === 2 ? (sessionOf(request) ?? request) : request.socket)
  server.on('request', (request, response) => {
    response.on('error', () => {})
    router.serve(request, response, peerOf(request))
  })
  server.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => {
    router.upgrade(request, socket, head, certificates.get(request.socket))
  })
  await open(server, options)
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (certificate, key) => server.setSecureContext({ cert: certificate, key }),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const session of sessions) session.close()
      const idle = router.idle()
      const waiting = new AbortController()
      await Promise.race([idle, options.clock.sleep(gracePeriod, waiting.signal).catch(() => {})])
      waiting.abort()
      for (const session of sessions) session.destroy()
      for (const socket of sockets) socket.destroy()
      await closed
      await idle
    },
  }
}

function createServer(options: HttpsServerOptions): Http2SecureServer {
  return createSecureServer({
    allowHTTP1: true,
    cert: options.certificate,
    key: options.key,
    minVersion: 'TLSv1.2',
    ...(options.clientAuthorities === undefined
      ? {}
      : { ca: options.clientAuthorities, requestCert: true, rejectUnauthorized: false }),
    maxHeaderSize: maxHeaderBytes,
    maxHeaderListPairs: 256,
    settings: { maxConcurrentStreams, initialWindowSize: 1024 * 1024, maxHeaderListSize: maxHeaderBytes },
  } as Parameters<typeof createSecureServer>[0])
}

function open(server: Http2SecureServer, { host, port }: HttpsServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new UserError(`port ${port} of ${host} is taken`, 'choose another port or stop who uses it')
          : new UserError(
              `cannot listen on port ${port} of ${host}: ${error.message}`,
              'choose another address',
              {
                cause: error,
              },
            ),
      ),
    )
    server.listen(port, host, () => resolve())
  })
}

function sessionOf(request: AnyRequest): object | undefined {
  return 'stream' in request ? request.stream?.session : undefined
}

function certificateOf(socket: TLSSocket): PeerCertificate | undefined {
  if (!socket.authorized) return undefined
  const raw = socket.getPeerCertificate()?.raw
  if (raw === undefined) return undefined
  const certificate = new X509Certificate(raw)
  const fields = certificate.subject.split('\n').map((line) => {
    const equals = line.indexOf('=')
    return [line.slice(0, equals), line.slice(equals + 1)] as const
  })
  return {
    commonName: fields.find(([name]) => name === 'CN')?.[1] ?? '',
    organizations: fields.filter(([name]) => name === 'O').map(([, value]) => value),
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}
