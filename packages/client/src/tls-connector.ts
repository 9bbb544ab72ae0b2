import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { ConnectionError } from './api-error.ts'
import type { ClientCertificate, ConnectionConfig } from './connection-config.ts'

/** What TLS needs to know of a connection, without the protocols offered. */
export function tlsOptions(
  config: ConnectionConfig,
  clientCertificate: ClientCertificate | undefined,
): ConnectionOptions {
  const { hostname } = new URL(config.server)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  // An IP address is no server name (RFC 6066), but certificates are checked against it all the same.
  const serverName = config.serverName ?? (isIP(host) === 0 ? host : undefined)
  return {
    ...(config.certificateAuthority !== undefined && { ca: config.certificateAuthority }),
    ...(serverName !== undefined && { servername: serverName }),
    ...(clientCertificate && { cert: clientCertificate.certificate, key: clientCertificate.key }),
    rejectUnauthorized: config.acceptsAnyServer !== true,
    minVersion: 'TLSv1.2',
  }
}

/** Opens one TLS connection. @throws ConnectionError or the signal's reason. */
export function connectTls(
  config: ConnectionConfig,
  clientCertificate: ClientCertificate | undefined,
  protocols: readonly string[],
  signal: AbortSignal,
): Promise<TLSSocket> {
  const url = new URL(config.server)
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = connect({
      ...tlsOptions(config, clientCertificate),
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? 443 : Number(url.port),
      ALPNProtocols: [...protocols],
    })
    socket.setNoDelay(true)
    // Between the handshake and whoever takes the socket over, nobody else listens.
    socket.on('error', () => {})
    const settle = (action: () => void) => {
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('secureConnect', onConnect)
      socket.removeListener('error', onError)
      action()
    }
    const onAbort = () =>
      settle(() => {
        socket.destroy()
        reject(signal.reason)
      })
    const onConnect = () => settle(() => resolve(socket))
    const onError = (error: Error) => settle(() => reject(connectError(config.server, error)))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('secureConnect', onConnect)
    socket.once('error', onError)
  })
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
