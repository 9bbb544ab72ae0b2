import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { type Clock, messageOf } from '@outrigger/foundation'
import { badRequest, internalError, StatusError } from '../registry/status-error.ts'

/** Milliseconds until a connection must stand. */
const dialDeadline = 10_000
/** Milliseconds until the head of an answer must be there. Attaching may have to wait for a container. */
const headDeadline = 120_000
/** How much of an error's body is shown. */
const maxErrorBytes = 10 * 1024

/** Where a request goes on to. */
export interface Upstream {
  readonly isTls: boolean
  readonly host: string
  readonly port: number
  /** With query. */
  readonly path: string
  /** PEM. Without an authority the certificate is not verified, which is right only for pods. */
  readonly tls?: { readonly ca?: string; readonly certificate?: string; readonly key?: string }
}

export interface UpstreamRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string | string[]>>
  /** Sent as the body. Left out: no body. */
  readonly body?: Readable
  readonly signal: AbortSignal
  readonly clock: Clock
}

export type UpstreamAnswer =
  | { readonly type: 'response'; readonly response: IncomingMessage }
  | {
      readonly type: 'upgrade'
      readonly response: IncomingMessage
      readonly socket: Socket
      readonly head: Buffer
    }

/** Dials and sends. Resolves with the head of the answer. @throws StatusError 500 when there is no answer. */
export function callUpstream(target: Upstream, options: UpstreamRequest): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    const { clock, signal } = options
    let deadline = 'dial'
    let cancel = clock.after(dialDeadline, () => request.destroy(new Error(`i/o timeout`)))
    const request = open(target, options)
    const settle = (answer: UpstreamAnswer) => {
      cancel()
      resolve(answer)
    }
    request.on('socket', (socket) => {
      const connected = () => {
        if (deadline !== 'dial') return
        deadline = 'head'
        cancel()
        cancel = clock.after(headDeadline, () =>
          request.destroy(new Error('timed out awaiting response headers')),
        )
      }
      socket.setKeepAlive(true, 30_000)
      socket.once(target.isTls ? 'secureConnect' : 'connect', connected)
    })
    request.on('response', (response) => settle({ type: 'response', response }))
    request.on('upgrade', (response, socket, head) =>
      settle({ type: 'upgrade', response, socket: socket as Socket, head }),
    )
    request.on('error', (error) => {
      cancel()
      if (signal.aborted) reject(signal.reason)
      else reject(internalError(describeFailure(error, target, options.method, deadline)))
    })
    if (options.body === undefined) request.end()
    else {
      options.body.on('error', () => request.destroy())
      options.body.pipe(request)
    }
  })
}

function open(target: Upstream, { method, headers, signal }: UpstreamRequest): ClientRequest {
  const common = {
    host: target.host,
    port: target.port,
    method,
    path: target.path,
    headers,
    signal,
    agent: false,
  }
  if (!target.isTls) return httpRequest(common)
  const { ca, certificate, key } = target.tls ?? {}
  return httpsRequest({
    ...common,
    ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
  })
}

function describeFailure(error: Error, target: Upstream, method: string, stage: string): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host
  const verb = `${method.slice(0, 1)}${method.slice(1).toLowerCase()}`
  const url = `${target.isTls ? 'https' : 'http'}://${host}:${target.port}${target.path}`
  const code = (error as NodeJS.ErrnoException).code
  const known =
    code === 'ECONNREFUSED'
      ? 'connect: connection refused'
      : code === 'EHOSTUNREACH' || code === 'ENETUNREACH'
        ? 'connect: no route to host'
        : messageOf(error)
  return `${verb} ${JSON.stringify(url)}: ${stage === 'dial' ? `dial tcp ${host}:${target.port}: ` : ''}${known}`
}

/** Turns an answer that is no success into the Status that the client gets. Reads its body. */
export async function upstreamError(response: IncomingMessage, subject: string): Promise<StatusError> {
  const text = await readSome(response)
  const code = response.statusCode ?? 500
  if (code === 400) return badRequest(text)
  if (code === 500) return internalError(text)
  const reason =
    code === 404
      ? 'NotFound'
      : code === 403
        ? 'Forbidden'
        : code === 401
          ? 'Unauthorized'
          : code === 503
            ? 'ServiceUnavailable'
            : undefined
  return new StatusError({
    code: code < 400 ? 500 : code,
    ...(reason === undefined ? {} : { reason }),
    message: text === '' ? `the server answered ${code} (${subject})` : text,
  })
}

async function readSome(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= maxErrorBytes) break
    }
  } catch {
    // What came is enough to tell.
  }
  response.destroy()
  return Buffer.concat(chunks).subarray(0, maxErrorBytes).toString('utf8').trim()
}
