import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '@outrigger/foundation'
import { ConnectionError } from './api-error.ts'
import type { ConnectionConfig } from './connection-config.ts'
import { proxyName } from './proxy-setting.ts'
import { connectTcp, connectToProxy, openTunnel, proxyAuthorization } from './proxy-tunnel.ts'
import { hostOf, portOf } from './server-address.ts'
import { connectError, connectTls, type TlsMaterial, tlsOptions } from './tls-connector.ts'

/** Milliseconds until a connection must be usable, proxy and handshake included. */
const connectTimeout = 10_000

/** Certificates that may change while a client lives. */
export interface TlsSource {
  /** Asked whenever a connection is opened. */
  readonly material: TlsMaterial
  /** Looks for newer ones. */
  renew(): Promise<void>
}

/** Opens connections to one server: directly or through its proxy, with the certificates of the moment. */
export class Connector {
  readonly #config: ConnectionConfig
  readonly #clock: Clock
  readonly #source: TlsSource
  readonly #url: URL

  constructor(config: ConnectionConfig, clock: Clock, source: TlsSource) {
    this.#config = config
    this.#clock = clock
    this.#source = source
    this.#url = new URL(config.server)
  }

  get isTls(): boolean {
    return this.#url.protocol !== 'http:'
  }

  /**
   * Headers for requests that a proxy forwards; undefined where there is a connection to the server
   * itself. Only requests to `http://` servers are forwarded, as by Go: to others there is a tunnel.
   */
  get forwarding(): Readonly<Record<string, string>> | undefined {
    const { proxy } = this.#config
    if (proxy === undefined || this.isTls || new URL(proxy.url).protocol.startsWith('socks5'))
      return undefined
    return proxyAuthorization(proxy)
  }

  /** A TLS connection to the server. @throws ConnectionError or the signal's reason. */
  openTls(protocols: readonly string[], signal: AbortSignal): Promise<TLSSocket> {
    return this.#inTime(signal, async (deadline) => {
      const { certificateAuthority, clientCertificate } = this.#source.material
      try {
        return await this.#openTls(protocols, deadline)
      } catch (error) {
        // The server's authority may have been replaced since we last looked.
        if (!(error instanceof ConnectionError) || error.phase !== 'final') throw error
        await this.#source.renew()
        const now = this.#source.material
        if (now.certificateAuthority === certificateAuthority && now.clientCertificate === clientCertificate)
          throw error
        return this.#openTls(protocols, deadline)
      }
    })
  }

  /** A connection to the server without TLS of its own. @throws ConnectionError or the signal's reason. */
  openPlain(signal: AbortSignal): Promise<Socket> {
    return this.#inTime(signal, (deadline) => this.#open(deadline))
  }

  /** A connection to a proxy that forwards requests. @throws ConnectionError or the signal's reason. */
  openToProxy(signal: AbortSignal): Promise<Socket> {
    const { proxy } = this.#config
    return this.#inTime(signal, (deadline) =>
      proxy === undefined ? this.#open(deadline) : connectToProxy(proxy, this.#trust(), deadline),
    )
  }

  async #openTls(protocols: readonly string[], signal: AbortSignal): Promise<TLSSocket> {
    const under = await this.#open(signal)
    const options = tlsOptions(this.#config, this.#source.material, protocols)
    return ofServer(this.#config.server, signal, () => connectTls(options, under, signal))
  }

  async #open(signal: AbortSignal): Promise<Socket> {
    const { proxy, server } = this.#config
    const target = { host: hostOf(this.#url), port: portOf(this.#url) }
    if (proxy !== undefined) return openTunnel(proxy, target, this.#trust(), signal)
    return ofServer(server, signal, () => connectTcp(target, signal))
  }

  #trust() {
    const { certificateAuthority } = this.#source.material
    return {
      ...(certificateAuthority !== undefined && { certificateAuthority }),
      acceptsAnyServer: this.#config.acceptsAnyServer === true,
    }
  }

  async #inTime<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const attempt = new AbortController()
    const onAbort = () => attempt.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const { proxy, server } = this.#config
    const through = proxy === undefined ? '' : ` through ${proxyName(proxy)}`
    const cancel = this.#clock.after(connectTimeout, () =>
      attempt.abort(
        new ConnectionError(`cannot connect to ${server}${through}: no answer`, { phase: 'connect' }),
      ),
    )
    try {
      return await work(attempt.signal)
    } finally {
      cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }
}

/** `work`, whose failures are the server's. */
async function ofServer<T>(server: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof Error && !signal.aborted ? connectError(server, error) : error
  }
}
