import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type ClientHttp2Session, connect as http2Connect } from 'node:http2'
import { connect as netConnect } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { messageOf } from '@outrigger/foundation'
import type { HTTPGetAction } from '@outrigger/kube'

/** Opens a connection to a port of a pod. Rejects with a message like Go's `dial tcp ...`. */
export type Dial = (host: string, port: number, signal: AbortSignal) => Promise<Duplex>

/** Dials over the machine's network. */
export const dialNetwork: Dial = (host, port, signal) =>
  new Promise((resolve, reject) => {
    const socket = netConnect({ host, port })
    const onAbort = () => socket.destroy(new Error('the call was given up'))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => resolve(socket))
    socket.once('close', () => signal.removeEventListener('abort', onAbort))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(`dial tcp ${host}:${port}: ${dialFailure(error)}`))
    })
  })

function dialFailure(error: NodeJS.ErrnoException): string {
  if (error.code === 'ECONNREFUSED') return 'connect: connection refused'
  if (error.code === 'EHOSTUNREACH') return 'connect: no route to host'
  return messageOf(error)
}

export interface HttpAnswer {
  readonly status: number
  /** At most 10 KiB. */
  readonly body: string
}

const maxBody = 10 * 1024

/** The address of an `httpGet` action, as messages name it. */
export function urlOf(action: HTTPGetAction, host: string, port: number): string {
  const path = action.path || '/'
  const shown = host.includes(':') ? `[${host}]` : host
  return `${(action.scheme ?? 'HTTP').toLowerCase()}://${shown}:${port}${path.startsWith('/') ? path : `/${path}`}`
}

/** One GET as kubelet sends it: no certificate is checked, redirects are not followed. */
export async function httpGet(
  action: HTTPGetAction,
  host: string,
  port: number,
  dial: Dial,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const plain = await dial(host, port, signal)
  const socket =
    action.scheme === 'HTTPS' ? tlsConnect({ socket: plain as never, rejectUnauthorized: false }) : plain
  const headers: Record<string, string> = {
    'User-Agent': 'kube-probe/1.36',
    Accept: '*/*',
    Connection: 'close',
  }
  for (const { name, value } of action.httpHeaders ?? []) headers[name] = value
  const path = action.path || '/'
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => socket as never,
      host,
      port,
      path: path.startsWith('/') ? path : `/${path}`,
      headers,
      signal,
    })
    request.once('error', (error) => {
      socket.destroy()
      reject(error)
    })
    request.once('response', (answer) => {
      readBody(answer).then((body) => {
        socket.destroy()
        resolve({ status: answer.statusCode ?? 0, body })
      }, reject)
    })
    request.end()
  })
}

async function readBody(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= maxBody) break
  }
  return Buffer.concat(chunks).subarray(0, maxBody).toString('utf8')
}

/** Asks the standard gRPC health service. Answers with the serving status, 1 meaning SERVING. */
export async function grpcHealth(
  service: string,
  host: string,
  port: number,
  dial: Dial,
  signal: AbortSignal,
): Promise<number> {
  const socket = await dial(host, port, signal)
  const session = http2Connect(`http://${host}:${port}`, { createConnection: () => socket as never })
  const onAbort = () => session.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await askHealth(session, service)
  } finally {
    signal.removeEventListener('abort', onAbort)
    session.destroy()
    socket.destroy()
  }
}

function askHealth(session: ClientHttp2Session, service: string): Promise<number> {
  const name = Buffer.from(service, 'utf8')
  const message =
    name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return new Promise((resolve, reject) => {
    session.once('error', reject)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    let trailer = ''
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('response', (headers) => {
      if (headers['grpc-status'] !== undefined) trailer = String(headers['grpc-status'])
    })
    stream.once('trailers', (headers) => {
      trailer = String(headers['grpc-status'] ?? '0')
    })
    stream.once('error', reject)
    stream.once('close', () => {
      const body = Buffer.concat(chunks).subarray(5)
      if (trailer !== '' && trailer !== '0') reject(new Error(`rpc error: code = ${trailer}`))
      else resolve(body[0] === 0x08 ? (body[1] ?? 0) : 0)
    })
    stream.end(Buffer.concat([frame, message]))
  })
}

/** A length as protobuf writes it: seven bits a byte, the lowest first. */
function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}
