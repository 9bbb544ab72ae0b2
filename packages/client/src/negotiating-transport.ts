import type { Clock } from '@outrigger/foundation'
import { ConnectionError } from './api-error.ts'
import type { ClientCertificate, ConnectionConfig } from './connection-config.ts'
import { Http1Transport } from './http1-transport.ts'
import { Http2Session } from './http2-session.ts'
import { connectTls } from './tls-connector.ts'
import type { Transport, TransportAnswer, TransportRequest } from './transport.ts'

const connectTimeout = 10_000
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
  readonly #certificate: () => ClientCertificate | undefined
  readonly #sessions = new Set<Http2Session>()
  readonly #closing = new AbortController()
  #connecting: Promise<void> | undefined
  #plain: Http1Transport | undefined
  #generation = 0

  /** `certificate` is asked whenever a connection is opened. */
  constructor(config: ConnectionConfig, clock: Clock, certificate: () => ClientCertificate | undefined) {
    this.#config = config
    this.#clock = clock
    this.#certificate = certificate
    if (new URL(config.server).protocol === 'http:') this.#plain = new Http1Transport(config, certificate)
  }

  async send(request: TransportRequest): Promise<TransportAnswer> {
    for (;;) {
      if (this.#closing.signal.aborted) throw this.#closing.signal.reason
      if (this.#plain !== undefined) return this.#plain.send(request)
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
    const attempt = new AbortController()
    const onClose = () => attempt.abort(this.#closing.signal.reason)
    this.#closing.signal.addEventListener('abort', onClose, { once: true })
    const cancel = this.#clock.after(connectTimeout, () =>
      attempt.abort(
        new ConnectionError(`cannot connect to ${this.#config.server}: no answer`, { phase: 'connect' }),
      ),
    )
    const generation = this.#generation
    try {
      const socket = await connectTls(this.#config, this.#certificate(), ['h2', 'http/1.1'], attempt.signal)
      if (socket.alpnProtocol !== 'h2') {
        socket.destroy()
        this.#plain = new Http1Transport(this.#config, this.#certificate)
        return
      }
      const session = new Http2Session(this.#config.server, socket, this.#clock, () =>
        this.#sessions.delete(session),
      )
      this.#sessions.add(session)
      if (generation !== this.#generation) session.drain()
      if (this.#closing.signal.aborted) session.destroy(this.#closing.signal.reason)
    } finally {
      cancel()
      this.#closing.signal.removeEventListener('abort', onClose)
    }
  }
}

/** `work`, but no longer than until `signal` aborts; `work` itself goes on. */
function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
