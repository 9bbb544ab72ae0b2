import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable, Writable } from 'node:stream'
import type { ConnectExchange } from '../registry/connect.ts'

type Response = Extract<ConnectExchange, { type: 'response' }>['response']

/** Headers that speak about one connection and must not be passed on. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
])

/** Headers of a client's request that may travel on. Its credentials are for this server alone. */
export function forwardedHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | string[]> {
  const forwarded: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || hopByHop.has(name)) continue
    if (name === 'authorization' || name.startsWith('impersonate-') || name.startsWith('x-remote-')) continue
    forwarded[name] = value
  }
  return forwarded
}

/** Sends an answer on as it comes. Resolves when it is over, however it ends. */
export async function relayResponse(
  from: IncomingMessage,
  to: Response,
  signal: AbortSignal,
  contentType?: string,
): Promise<void> {
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(from.headers))
    if (value !== undefined && !hopByHop.has(name)) headers[name] = value
  if (contentType !== undefined) headers['content-type'] ??= contentType
  const target = to as Writable & { writeHead(code: number, headers: object): unknown; flushHeaders?(): void }
  target.writeHead(from.statusCode ?? 200, headers)
  target.flushHeaders?.()
  const stop = () => {
    from.destroy()
    target.destroy()
  }
  // A broken source must break the answer too: ending it properly would tell the client that this was all.
  from.once('error', stop)
  target.once('close', () => from.destroy())
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  from.pipe(target)
  await closed(target)
  signal.removeEventListener('abort', stop)
}

/**
 * Passes an accepted upgrade on to the client and then every byte both ways. Resolves when both ends are
 * closed; when one goes the other is given a moment to take what is under way.
 */
export async function relayUpgrade(
  client: Duplex,
  clientHead: Buffer,
  upstream: Duplex,
  upstreamHead: Buffer,
  response: IncomingMessage,
  signal: AbortSignal,
): Promise<void> {
  const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage}`]
  for (let index = 0; index < response.rawHeaders.length; index += 2)
    lines.push(`${response.rawHeaders[index]}: ${response.rawHeaders[index + 1]}`)
  client.write(`${lines.join('\r\n')}\r\n\r\n`)
  if (upstreamHead.length > 0) client.write(upstreamHead)
  if (clientHead.length > 0) upstream.write(clientHead)
  const stop = () => {
    client.destroy()
    upstream.destroy()
  }
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  client.on('error', stop)
  upstream.on('error', stop)
  client.once('close', () => upstream.destroy())
  upstream.once('close', () => client.end(() => client.destroy()))
  client.pipe(upstream)
  upstream.pipe(client)
  try {
    await Promise.all([closed(client), closed(upstream)])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function closed(stream: Readable | Writable | Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve()
    else stream.once('close', () => resolve())
  })
}
