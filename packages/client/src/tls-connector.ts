import { isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { ConnectionError } from './api-error.ts'
import type { ClientCertificate, ConnectionConfig } from './connection-config.ts'
import { hostOf } from './server-address.ts'

/** What may change while a client lives: who vouches for the server, and what we show it. */
export interface TlsMaterial {
  /** PEM. */
  readonly certificateAuthority: string | undefined
  readonly clientCertificate: ClientCertificate | undefined
}

/**
 * TLS over a connection that is open already, which is closed when the handshake fails.
 *
 * Rejects with what TLS says, or with the signal's reason.
 */
export function connectTls(
  options: ConnectionOptions,
  under: Socket,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const fail = (reason: unknown) => {
      under.destroy()
      reject(reason)
    }
    if (signal.aborted) return fail(signal.reason)
    let socket: TLSSocket
    try {
      socket = connect({ ...options, socket: under })
    } catch (error) {
      // A certificate or a key that cannot be read is told of at once.
      return fail(error)
    }
    // Between the handshake and whoever takes the socket over, nobody else listens.
    socket.on('error', () => {})
    const settle = (action: () => void) => {
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('secureConnect', onConnect)
      socket.removeListener('error', onError)
      socket.removeListener('close', onClose)
      action()
    }
    const onAbort = () =>
      settle(() => {
        socket.destroy()
        fail(signal.reason)
      })
    const onConnect = () => settle(() => resolve(socket))
    const onError = (error: Error) => settle(() => fail(error))
    const onClose = () => onError(new Error('the connection was closed during the TLS handshake'))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('secureConnect', onConnect)
    socket.once('error', onError)
    socket.once('close', onClose)
  })
}

/** What TLS to a server needs to know. */
export function tlsOptions(
  config: ConnectionConfig,
  material: TlsMaterial,
  protocols: readonly string[],
): ConnectionOptions {
  const host = hostOf(new URL(config.server))
  // An IP address is no server name (RFC 6066), but certificates are checked against it all the same.
  const serverName = config.serverName ?? (isIP(host) === 0 ? host : undefined)
  const { certificateAuthority, clientCertificate } = material
  return {
    host,
    ...(certificateAuthority !== undefined && { ca: certificateAuthority }),
    ...(serverName !== undefined && { servername: serverName }),
    ...(clientCertificate && { cert: clientCertificate.certificate, key: clientCertificate.key }),
    rejectUnauthorized: config.acceptsAnyServer !== true,
    minVersion: 'TLSv1.2',
    ALPNProtocols: [...protocols],
  }
}

/** A failure to connect, told apart by whether trying again can help. */
export function connectError(server: string, cause: Error): ConnectionError {
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
  const isTrust = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|ERR_SSL|ERR_OSSL/.test(code)
  return new ConnectionError(`cannot connect to ${server}: ${cause.message || code}`, {
    cause,
    phase: isTrust ? 'final' : 'connect',
  })
}
