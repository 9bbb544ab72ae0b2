import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import { createServer, type Server } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { ConnectionConfig } from '../connection-config.ts'

type Pem = 'ca' | 'server' | 'server-key' | 'client' | 'client-key'

/**
 * A certificate of `testdata`, as PEM. They are for localhost and 127.0.0.1, and worth nothing elsewhere.
 * The `new-` ones come from another authority.
 */
export const pem = (name: Pem | `new-${Pem}`): string =>
  readFileSync(new URL(`../testdata/${name}.pem`, import.meta.url), 'utf8')

export type Request = Http2ServerRequest | IncomingMessage
export type Response = (Http2ServerResponse | ServerResponse) & Writable
export type Handler = (request: Request, response: Response) => void

export interface LoopbackServer {
  readonly config: ConnectionConfig
  readonly server: Http2SecureServer | Server
  /** HTTP/2 connections made so far. */
  readonly sessions: ServerHttp2Session[]
  close(): Promise<void>
}

/** A TLS server on a free port of this machine. */
export async function startLoopbackServer(
  handler: Handler,
  options: {
    readonly protocol?: 'h2' | 'http/1.1'
    readonly port?: number
    readonly requestClientCertificate?: boolean
    /** Shows the certificate of the other authority. */
    readonly isRenewed?: boolean
    /** Also takes HTTP/1.1 where `protocol` is HTTP/2, as API servers do. */
    readonly allowHTTP1?: boolean
  } = {},
): Promise<LoopbackServer> {
  const tls = {
    cert: pem(options.isRenewed ? 'new-server' : 'server'),
    key: pem(options.isRenewed ? 'new-server-key' : 'server-key'),
    ca: [pem('ca'), pem('new-ca')],
    requestCert: options.requestClientCertificate ?? false,
    rejectUnauthorized: false,
  }
  const sessions: ServerHttp2Session[] = []
  const sockets = new Set<{ destroy(): void }>()
  const server =
    options.protocol === 'http/1.1'
      ? createServer(tls, handler)
      : createSecureServer(
          { ...tls, allowHTTP1: options.allowHTTP1 ?? false, settings: { maxConcurrentStreams: 100 } },
          handler,
        )
  if ('on' in server) {
    server.on('session', (session: ServerHttp2Session) => sessions.push(session))
    server.on('secureConnection', (socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => sockets.delete(socket))
    })
  }
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  // The server's own port, read back because 0 asks for a free one.
  const { port } = server.address() as AddressInfo
  return {
    config: { server: `https://127.0.0.1:${port}`, certificateAuthority: pem('ca') },
    server,
    sessions,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** A TCP relay to a server that can be told to go dead, as a cut cable does: nothing arrives, nothing is closed. */
export async function startRelay(server: LoopbackServer): Promise<{
  readonly config: ConnectionConfig
  cut(): void
  close(): Promise<void>
}> {
  const sockets = new Set<Socket>()
  const { port: target } = new URL(server.config.server)
  const relay = createTcpServer((near) => {
    const far = connect(Number(target), '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const { port } = relay.address() as AddressInfo
  return {
    config: { ...server.config, server: `https://127.0.0.1:${port}` },
    cut: () => {
      for (const socket of sockets) {
        socket.unpipe()
        socket.pause()
      }
    },
    close: () =>
      new Promise((resolve) => {
        relay.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** Answers with JSON. */
export function answer(
  response: Response,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

/** The whole body of a request, as text. */
export async function bodyOf(request: Request): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}
