import type { Clock } from '@outrigger/foundation'
import { ConnectionError } from './api-error.ts'
import type { ConnectionConfig } from './connection-config.ts'
import type { Connector } from './connector.ts'
import { Http1Transport } from './http1-transport.ts'
import { Http2Session } from './http2-session.ts'
import type { Transport, TransportAnswer, TransportRequest } from './transport.ts'
import { unlessAborted } from './unless-aborted.ts'

/** More sessions are not opened; further requests share the least busy one. */
const mostSessions = 64

/**
 * HTTP/2 where the server speaks it, HTTP/1.1 where it does not; found out by the first handshake.
 * One handshake per session; another session is opened when all are nearly full, and never two at
 * the same time.
 */
export class NegotiatingTransport implements Transport {
  readonly #config: ConnectionConfig
  readonly #clock: Clock
  readonly #connector: Connector
  readonly #sessions = new Set<Http2Session>()
  readonly #closing = new AbortController()
  #connecting: Promise<void> | undefined
  #plain: Http1Transport | undefined
  #generation = 0

  constructor(config: ConnectionConfig, connector: Connector, clock: Clock) {
    this.#config = config
    this.#connector = connector
    this.#clock = clock
    if (!connector.isTls) this.#plain = new Http1Transport(config, connector, clock)
  }

  async send(request: TransportRequest): Promise<TransportAnswer> {
    for (;;) {
      if (this.#closing.signal.aborted) throw this.#closing.signal.reason
      if (this.#plain !== undefined) {
        try {
          return await this.#plain.send(request)
        } catch (error) {
          // The server has learned HTTP/2 meanwhile and speaks nothing else. Nothing was sent.
          if (!isAlpnRefusal(error)) throw error
          this.#plain = undefined
          continue
        }
      }
      const session = this.#sessionWithRoom()
      if (session !== undefined) return session.send(request)
      this.#connecting ??= this.#connect().finally(() => {
        this.#connecting = undefined
      })
      await unlessAborted(this.#connecting, request.signal)
    }
  }

  refresh(): void {
    this.#generation++
    this.#plain?.refresh()
    for (const session of this.#sessions) session.drain()
  }

  async close(): Promise<void> {
    const error = new ConnectionError('the client is closed', { phase: 'final' })
    this.#closing.abort(error)
    for (const session of this.#sessions) session.destroy(error)
    await this.#plain?.close()
    await this.#connecting?.catch(() => {})
  }

  /** The fullest session that has room, so that the others can run dry and be few. */
  #sessionWithRoom(): Http2Session | undefined {
    let best: Http2Session | undefined
    for (const session of this.#sessions)
      if (session.hasRoom && (best === undefined || session.streams > best.streams)) best = session
    if (best !== undefined || this.#sessions.size < mostSessions) return best
    for (const session of this.#sessions)
      if (session.isOpen && (best === undefined || session.streams < best.streams)) best = session
    return best
  }

  async #connect(): Promise<void> {
    const generation = this.#generation
    const socket = await this.#connector.openTls(['h2', 'http/1.1'], this.#closing.signal)
    if (socket.alpnProtocol !== 'h2') {
      this.#plain = new Http1Transport(this.#config, this.#connector, this.#clock, socket)
      if (generation !== this.#generation) this.#plain.refresh()
      if (this.#closing.signal.aborted) await this.#plain.close()
      return
    }
    const session = new Http2Session(this.#config.server, socket, this.#clock, () =>
      this.#sessions.delete(session),
    )
    this.#sessions.add(session)
    if (generation !== this.#generation) session.drain()
    if (this.#closing.signal.aborted) session.destroy(this.#closing.signal.reason)
  }
}

function isAlpnRefusal(error: unknown): boolean {
  const cause: unknown = error instanceof ConnectionError ? error.cause : undefined
  return (
    cause instanceof Error && 'code' in cause && cause.code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'
  )
}
