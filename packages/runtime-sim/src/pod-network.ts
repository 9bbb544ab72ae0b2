import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createNetServer, type Server as NetServer } from 'node:net'
import { Duplex } from 'node:stream'

type Handler = (request: IncomingMessage, answer: ServerResponse) => void

/** A port of a simulated pod on which something answers HTTP. */
interface Listener {
  readonly server: Server
  readonly onLoopback: NetServer | undefined
}

/** Says 200 to everybody. It never listens; connections are handed to it. */
const obliging = createServer((_request, answer) => {
  answer.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
  answer.end('ok\n')
})

/** The ports of all simulated pods. */
export class PodNetwork {
  readonly #byAddress = new Map<string, Map<number, Listener>>()
  /** How many containers of an address run a program that we do not know. */
  readonly #anything = new Map<string, number>()
  readonly #listensOnLoopback: boolean
  readonly #firstAddress: number
  #next = 0

  /** `block` (0 to 63) is the node's own range of addresses: 127.64.0.0/16 and its successors. */
  constructor(options: { readonly listensOnLoopback: boolean; readonly block: number }) {
    this.#listensOnLoopback = options.listensOnLoopback
    this.#firstAddress = 127 * 2 ** 24 + (64 + options.block) * 2 ** 16 + 2
  }

  /** A loopback address of the block that no pod has. */
  allocate(): string {
    for (;;) {
      const value = this.#firstAddress + (this.#next++ % (2 ** 16 - 4))
      const address = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
      if (!this.#byAddress.has(address)) {
        this.#byAddress.set(address, new Map())
        return address
      }
    }
  }

  release(address: string): void {
    for (const port of this.#byAddress.get(address)?.keys() ?? []) this.#stop(address, port)
    this.#byAddress.delete(address)
  }

  /** Answers HTTP on a port. Returns a function that stops it. @throws Error when the port is taken */
  serve(address: string, port: number, handler: Handler): () => void {
    const ports = this.#byAddress.get(address)
    if (ports === undefined) throw new Error(`${address} is nobody's address`)
    if (ports.has(port)) throw new Error(`listen tcp :${port}: bind: address already in use`)
    const server = createServer(handler)
    let onLoopback: NetServer | undefined
    if (this.#listensOnLoopback) {
      onLoopback = createNetServer((socket) => server.emit('connection', socket))
      // Where the machine has no such addresses, the pod is still reached through port forwarding.
      onLoopback.on('error', () => {})
      onLoopback.listen(port, address)
      onLoopback.unref()
    }
    ports.set(port, { server, onLoopback })
    return () => this.#stop(address, port)
  }

  /**
   * Answers HTTP 200 on every port of the address that nobody serves: what a program that we do not know is
   * taken to do. Nothing listens on the loopback for it. Returns a function that ends it.
   */
  serveAnything(address: string): () => void {
    this.#anything.set(address, (this.#anything.get(address) ?? 0) + 1)
    return () => {
      const left = (this.#anything.get(address) ?? 1) - 1
      if (left > 0) this.#anything.set(address, left)
      else this.#anything.delete(address)
    }
  }

  /** A connection to a port. @throws Error when nothing listens */
  connect(address: string, port: number): Duplex {
    const listener = this.#byAddress.get(address)?.get(port)
    const server = listener?.server ?? (this.#anything.has(address) ? obliging : undefined)
    if (server === undefined) throw new Error(`dial tcp ${address}:${port}: connect: connection refused`)
    const [near, far] = duplexPair()
    server.emit('connection', far)
    return near
  }

  has(address: string): boolean {
    return this.#byAddress.has(address)
  }

  /** GET from inside: `localhost` means `self`. */
  fetch(
    url: string,
    self: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: Buffer }> {
    const { hostname, port, pathname, search } = new URL(url)
    const host = hostname === 'localhost' || hostname === '127.0.0.1' ? self : hostname
    const number = Number(port || 80)
    if (!this.has(host)) return Promise.reject(new Error(`bad address '${hostname}'`))
    let connection: Duplex
    try {
      connection = this.connect(host, number)
    } catch {
      return Promise.reject(new Error(`can't connect to remote host (${host}): Connection refused`))
    }
    return new Promise((resolve, reject) => {
      const call = httpRequest({
        createConnection: () => connection as never,
        path: `${pathname}${search}`,
        signal,
      })
      call.once('error', reject)
      call.once('response', (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }))
        answer.once('error', reject)
      })
      call.end()
    })
  }

  #stop(address: string, port: number): void {
    const ports = this.#byAddress.get(address)
    const listener = ports?.get(port)
    if (listener === undefined) return
    ports?.delete(port)
    listener.server.closeAllConnections()
    listener.onLoopback?.close()
  }
}

/** One end of a connection in memory. */
class MemorySocket extends Duplex {
  other: MemorySocket | undefined
  #wake: (() => void) | undefined

  constructor() {
    super({ allowHalfOpen: true })
  }

  override _read(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const { other } = this
    if (other === undefined || other.destroyed) done(new Error('the connection is closed'))
    else if (other.push(chunk)) done()
    else other.#wake = done
  }

  override _final(done: (error?: Error | null) => void): void {
    this.other?.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { other } = this
    if (other !== undefined && !other.destroyed) {
      // What is on its way is still delivered.
      if (other.readableEnded || other.readableLength === 0) other.destroy()
      else other.push(null)
    }
    done(error)
  }
}

/** Two ends of one connection in memory. */
export function duplexPair(): [Duplex, Duplex] {
  const near = new MemorySocket()
  const far = new MemorySocket()
  near.other = far
  far.other = near
  return [near, far]
}
