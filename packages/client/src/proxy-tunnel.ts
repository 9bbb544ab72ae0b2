import { request } from 'node:http'
import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, rootCertificates } from 'node:tls'
import { ConnectionError } from './api-error.ts'
import { type ProxySetting, proxyLogin, proxyName } from './proxy-setting.ts'
import { hostOf, portOf } from './server-address.ts'
import { socks5Connect } from './socks5.ts'
import { connectError, connectTls } from './tls-connector.ts'

/** What a proxy that is reached over TLS must show. */
export interface ProxyTrust {
  /** PEM. Vouches for proxies beside the authorities the machine trusts, as with kubectl. */
  readonly certificateAuthority?: string
  readonly acceptsAnyServer?: boolean
}

export interface Target {
  readonly host: string
  readonly port: number
}

/**
 * A connection to `target` through a proxy: CONNECT (RFC 9110, 9.3.6) over http and https, or SOCKS5.
 *
 * @throws ConnectionError that names the proxy and the setting it comes from, but no password; the
 *   signal's reason.
 */
export function openTunnel(
  proxy: ProxySetting,
  target: Target,
  trust: ProxyTrust,
  signal: AbortSignal,
): Promise<Socket> {
  const isSocks = new URL(proxy.url).protocol.startsWith('socks5')
  return isSocks ? openSocks(proxy, target, trust, signal) : openConnect(proxy, target, trust, signal)
}

/** The header that names us to a proxy; none when its URL has no user name. */
export function proxyAuthorization(proxy: ProxySetting): Readonly<Record<string, string>> {
  const login = proxyLogin(proxy)
  if (login === undefined) return {}
  const encoded = Buffer.from(`${login.username}:${login.password}`).toString('base64')
  return { 'proxy-authorization': `Basic ${encoded}` }
}

/** The error for a proxy's answer other than yes. */
export function proxyRefusal(proxy: ProxySetting, status: number): ConnectionError {
  const name = proxyName(proxy)
  if (status === 407) {
    const what =
      proxyLogin(proxy) === undefined
        ? 'asks for a user name and password; put them into its URL'
        : 'does not accept the user name and password in its URL'
    return new ConnectionError(`${name} ${what}`, { phase: 'final' })
  }
  if (status >= 400 && status < 500 && status !== 408 && status !== 429)
    return new ConnectionError(`${name} does not let us through to the API server: it answered ${status}`, {
      phase: 'final',
    })
  return new ConnectionError(`${name} cannot reach the API server: it answered ${status}`, {
    phase: 'connect',
  })
}

/** A connection to the proxy itself, over TLS where its URL says so. @throws ConnectionError or the signal's reason. */
export async function connectToProxy(
  proxy: ProxySetting,
  trust: ProxyTrust,
  signal: AbortSignal,
): Promise<Socket> {
  const url = new URL(proxy.url)
  const host = hostOf(url)
  try {
    const socket = await connectTcp({ host, port: portOf(url) }, signal)
    return url.protocol === 'https:' ? await connectTls(proxyTlsOptions(host, trust), socket, signal) : socket
  } catch (error) {
    throw error instanceof Error && !signal.aborted ? proxyUnreachable(proxy, error) : error
  }
}

async function openConnect(
  proxy: ProxySetting,
  { host, port }: Target,
  trust: ProxyTrust,
  signal: AbortSignal,
): Promise<Socket> {
  const under = await connectToProxy(proxy, trust, signal)
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    const outgoing = request({
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...proxyAuthorization(proxy) },
      createConnection: () => under,
    })
    const onAbort = () => {
      reject(signal.reason)
      outgoing.destroy()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    outgoing.on('error', (error) => reject(proxyUnreachable(proxy, error)))
    outgoing.once('close', () => signal.removeEventListener('abort', onAbort))
    outgoing.once('connect', (answer, socket: Socket, head: Buffer) => {
      signal.removeEventListener('abort', onAbort)
      const status = answer.statusCode ?? 0
      if (status >= 200 && status < 300) {
        if (head.length > 0) socket.unshift(head)
        return resolve(socket)
      }
      socket.destroy()
      reject(proxyRefusal(proxy, status))
    })
    outgoing.end()
  })
}

async function openSocks(
  proxy: ProxySetting,
  target: Target,
  trust: ProxyTrust,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = await connectToProxy(proxy, trust, signal)
  const onAbort = () => socket.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const refusal = await socks5Connect(socket, target, proxyLogin(proxy))
    if (refusal === undefined && !signal.aborted) return socket
    throw new ConnectionError(
      `${proxyName(proxy)} does not connect us to the API server: ${refusal?.reason}`,
      { phase: refusal?.isFinal ? 'final' : 'connect' },
    )
  } catch (error) {
    socket.destroy()
    if (signal.aborted) throw signal.reason
    if (error instanceof ConnectionError || !(error instanceof Error)) throw error
    throw proxyUnreachable(proxy, error)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The cluster's client certificate is none of the proxy's business. */
function proxyTlsOptions(host: string, trust: ProxyTrust): ConnectionOptions {
  return {
    host,
    ...(trust.certificateAuthority !== undefined && {
      ca: [...rootCertificates, trust.certificateAuthority],
    }),
    ...(isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: trust.acceptsAnyServer !== true,
    ALPNProtocols: ['http/1.1'],
  }
}

/** The error for a proxy that could not be reached. */
function proxyUnreachable(proxy: ProxySetting, cause: Error): ConnectionError {
  const { phase } = connectError('', cause)
  return new ConnectionError(`cannot reach ${proxyName(proxy)}: ${reasonOf(cause)}`, { cause, phase })
}

/** A plain connection. Rejects with what the network says, or with the signal's reason. */
export function connectTcp({ host, port }: Target, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = connect({ host, port, noDelay: true })
    const onAbort = () => {
      reject(signal.reason)
      socket.destroy()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    // Stays: until somebody takes the socket over, nobody else listens.
    socket.on('error', reject)
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort)
      resolve(socket)
    })
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort)
      reject(new Error('the connection was closed'))
    })
  })
}

/** What went wrong in one line; where several addresses were tried, what the first said. */
function reasonOf(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (first instanceof Error && first.message !== '') return first.message
  return 'code' in error ? String(error.code) : error.name
}
