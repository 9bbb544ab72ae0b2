import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { type Clock, messageOf } from '@outrigger/foundation'
import { ConnectionError } from './api-error.ts'
import { plainHeaders, type TransportAnswer, type TransportRequest } from './transport.ts'

/** Milliseconds between two pings, and how long an answer may take. */
const pingEvery = 15_000
const pingTimeout = 10_000
/** Streams per session; API servers allow 100 and let more wait in silence. */
const mostStreams = 90
const streamWindow = 1024 * 1024
const sessionWindow = 16 * 1024 * 1024

/**
 * One HTTP/2 connection. Pings the server while it is open: without an answer in time everything on
 * it fails with `ConnectionError`, so that a connection that died silently is found within 25 s.
 */
export class Http2Session {
  readonly #session: ClientHttp2Session
  readonly #clock: Clock
  readonly #onClose: () => void
  #streams = 0
  #isDraining = false
  #cancelTimer: () => void = () => {}
  #failure: Error | undefined

  constructor(server: string, socket: TLSSocket, clock: Clock, onClose: () => void) {
    this.#clock = clock
    this.#onClose = onClose
    this.#session = connect(server, {
      createConnection: () => socket,
      settings: { initialWindowSize: streamWindow, enablePush: false },
      maxSessionMemory: 256,
    })
    this.#session.once('connect', () => this.#session.setLocalWindowSize(sessionWindow))
    this.#session.on('goaway', () => this.drain())
    this.#session.on('error', (error) => {
      this.#failure ??= error
    })
    this.#session.once('close', () => {
      this.#isDraining = true
      this.#cancelTimer()
      this.#onClose()
    })
    this.#schedulePing()
  }

  /** Whether another request may be sent on it. */
  get hasRoom(): boolean {
    const allowed = this.#session.remoteSettings?.maxConcurrentStreams ?? mostStreams
    return !this.#isDraining && !this.#session.closed && this.#streams < Math.min(mostStreams, allowed)
  }

  get isOpen(): boolean {
    return !this.#isDraining && !this.#session.closed && !this.#session.destroyed
  }

  get streams(): number {
    return this.#streams
  }

  /** Takes no more requests; closes once those under way have ended. */
  drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    if (!this.#session.closed) this.#session.close()
  }

  /** Ends at once; requests under way fail. */
  destroy(error: Error): void {
    this.#failure ??= error
    this.#session.destroy(error)
  }

  /** Sends a request. @throws ConnectionError or the signal's reason. */
  send(request: TransportRequest): Promise<TransportAnswer> {
    const { signal } = request
    if (signal.aborted) return Promise.reject(signal.reason)
    let stream: ClientHttp2Stream
    try {
      stream = this.#session.request(
        { ':method': request.method, ':path': request.path, ...request.headers },
        { endStream: request.body === undefined },
      )
    } catch (error) {
      return Promise.reject(
        new ConnectionError(`connection closed: ${messageOf(error)}`, { cause: error, phase: 'unsent' }),
      )
    }
    this.#streams++
    return this.#follow(stream, request)
  }

  #follow(stream: ClientHttp2Stream, request: TransportRequest): Promise<TransportAnswer> {
    const { signal } = request
    return new Promise((resolve, reject) => {
      // An error costs a stack trace, and all but every stream ends well.
      let isAnswered = false
      const onAbort = () => {
        stream.close(constants.NGHTTP2_CANCEL)
        stream.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      stream.once('response', (headers) => {
        isAnswered = true
        resolve({ status: Number(headers[':status']), headers: plainHeaders(headers), body: stream })
      })
      // Stays for the stream's whole life: an error after the answer belongs to whoever reads the body.
      stream.on('error', (error) => {
        if (!isAnswered) reject(this.#lost(stream, error))
      })
      stream.once('close', () => {
        this.#streams--
        signal.removeEventListener('abort', onAbort)
        if (!isAnswered) reject(this.#lost(stream, undefined))
      })
      if (request.body !== undefined) stream.end(request.body)
    })
  }

  #lost(stream: ClientHttp2Stream, error: Error | undefined): ConnectionError {
    const code = error !== undefined && 'code' in error ? error.code : undefined
    const wasRefused =
      stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || code === 'ERR_HTTP2_GOAWAY_SESSION'
    const cause = this.#failure ?? error
    if (cause instanceof ConnectionError) return cause
    return new ConnectionError(`connection lost: ${cause?.message ?? 'the stream was closed'}`, {
      cause,
      phase: wasRefused ? 'unsent' : 'lost',
    })
  }

  #schedulePing(): void {
    this.#cancelTimer = this.#clock.after(pingEvery, () => {
      if (this.#session.destroyed) return
      this.#cancelTimer = this.#clock.after(pingTimeout, () => {
        this.destroy(new ConnectionError('connection stalled: the server does not answer pings'))
      })
      try {
        this.#session.ping((error) => {
          if (error !== null || this.#session.destroyed) return
          this.#cancelTimer()
          this.#schedulePing()
        })
      } catch {
        // The session is closing; its streams are told by their own events.
      }
    })
  }
}
