import { Agent, type ClientRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '@outrigger/foundation'

/**
 * Milliseconds for which an idle connection is kept. Shorter than what servers and gateways allow (5 s is
 * the shortest default in wide use), because a write sent over a connection that the other side is closing
 * fails without anybody knowing whether it took effect.
 */
const idleTime = 4_000
const mostIdle = 25
/** Requests under way at the same time, watches included; further ones wait for their turn. */
const mostRequests = 128

/** Connections of one HTTP/1.1 transport: one request at a time each, used again as long as they are fresh. */
export class Http1Connections extends Agent {
  readonly #open: () => Promise<Duplex>
  readonly #clock: Clock
  readonly #expiries = new WeakMap<Duplex, () => void>()
  readonly #waiting = new Set<() => void>()
  #requests = 0

  constructor(clock: Clock, open: () => Promise<Duplex>) {
    super({ keepAlive: true, maxFreeSockets: mostIdle, scheduling: 'lifo' })
    this.#clock = clock
    this.#open = open
  }

  /** Waits until one more request may be under way. Call the function it resolves with once it is over. */
  async turn(signal: AbortSignal): Promise<() => void> {
    if (this.#requests >= mostRequests) await this.#untilTurn(signal)
    else this.#requests++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      const next = this.#waiting.values().next()
      if (next.done === true) this.#requests--
      // The turn is handed on, so the number stays.
      else next.value()
    }
  }

  override createConnection(
    _options: unknown,
    done?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null {
    this.#open().then(
      (socket) => done?.(null, socket),
      // Node's type asks for a stream also where there is an error instead.
      (error: unknown) => (done as ((error: unknown) => void) | undefined)?.(error),
    )
    return null
  }

  override keepSocketAlive(socket: Duplex): boolean {
    // Node answers false where the server announced that it closes the connection at once.
    const isKept: unknown = super.keepSocketAlive(socket)
    if (isKept === false) return false
    this.#expiries.set(
      socket,
      this.#clock.after(idleTime, () => socket.destroy()),
    )
    return true
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    this.#expiries.get(socket)?.()
    this.#expiries.delete(socket)
    super.reuseSocket(socket, request)
  }

  #untilTurn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void) => {
        this.#waiting.delete(onTurn)
        signal.removeEventListener('abort', onAbort)
        action()
      }
      const onTurn = () => settle(resolve)
      const onAbort = () => settle(() => reject(signal.reason))
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(onTurn)
    })
  }
}
