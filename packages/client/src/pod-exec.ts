import type { IncomingMessage } from 'node:http'
import type { Clock } from '@outrigger/foundation'
import { type ObjectKey, resources } from '@outrigger/kube'
import { type RawData, WebSocket } from 'ws'
import { ApiError, ConnectionError } from './api-error.ts'
import { readBody } from './body.ts'
import type { ConnectionConfig } from './connection-config.ts'
import type { Connector } from './connector.ts'
import { objectPath, query } from './resource-path.ts'
import { apiErrorFromAnswer, isRecord } from './status-body.ts'
import { type OutgoingHeaders, plainHeaders } from './transport.ts'

export interface ExecOptions {
  /** Left out: the pod's only or default container. */
  readonly container?: string
  readonly command: readonly string[]
  /** Left out: the command has no standard input. */
  readonly stdin?: AsyncIterable<Uint8Array>
  /** Runs on a terminal: output arrives as standard output alone. Defaults to false. */
  readonly tty?: boolean
  /** Sizes of the terminal, as it changes. */
  readonly sizes?: AsyncIterable<{ readonly width: number; readonly height: number }>
  /** Left out: output is collected, up to 4 MiB each. */
  readonly onStdout?: (chunk: Buffer) => void
  readonly onStderr?: (chunk: Buffer) => void
  readonly signal?: AbortSignal
}

export interface ExecResult {
  readonly exitCode: number
  /** What was collected; empty where there was a callback. */
  readonly stdout: Buffer
  readonly stderr: Buffer
}

/** What the connection of one exec needs. */
export interface ExecConnection {
  readonly config: ConnectionConfig
  readonly connector: Connector
  readonly identity: OutgoingHeaders
  readonly clock: Clock
}

/** Channels of `v4.channel.k8s.io` and `v5.channel.k8s.io`: the first byte of each message. */
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io']
const mostCollected = 4 * 1024 * 1024
const handshakeTimeout = 30_000
const largestMessage = 32 * 1024 * 1024
const pingEvery = 15_000
const highWater = 1024 * 1024

/** Runs a command in a container over a WebSocket of its own. */
export async function execInPod(
  connection: ExecConnection,
  pod: ObjectKey,
  options: ExecOptions,
): Promise<ExecResult> {
  options.signal?.throwIfAborted()
  const socket = await openSocket(connection, execUrl(connection.config.server, pod, options), options.signal)
  const session = new ExecSession(socket, options, connection.clock)
  return session.result()
}

function execUrl(server: string, pod: ObjectKey, options: ExecOptions): string {
  const base = server.replace(/^http/, 'ws').replace(/\/+$/, '')
  return (
    base +
    objectPath(resources.pods, pod, 'exec') +
    query({
      container: options.container,
      command: options.command,
      stdin: options.stdin !== undefined,
      stdout: true,
      stderr: options.tty !== true,
      tty: options.tty === true,
    })
  )
}

async function openSocket(
  { connector, identity }: ExecConnection,
  url: string,
  signal = new AbortController().signal,
): Promise<WebSocket> {
  const under = await (connector.isTls
    ? connector.openTls(['http/1.1'], signal)
    : connector.openPlain(signal))
  const headers: Record<string, string | string[]> = { ...identity }
  return new WebSocket(url, protocols, {
    createConnection: () => under,
    headers,
    handshakeTimeout,
    maxPayload: largestMessage,
    perMessageDeflate: false,
  })
}

class ExecSession {
  readonly #socket: WebSocket
  readonly #options: ExecOptions
  readonly #clock: Clock
  readonly #collected = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  #collectedBytes = 0
  #exitCode: number | undefined
  #failure: Error | undefined
  #cancelPing: () => void = () => {}

  constructor(socket: WebSocket, options: ExecOptions, clock: Clock) {
    this.#socket = socket
    this.#options = options
    this.#clock = clock
  }

  result(): Promise<ExecResult> {
    const { signal } = this.#options
    const socket = this.#socket
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#fail(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      socket.on('open', () => this.#begin())
      socket.on('message', (data) => this.#receive(data))
      socket.on('unexpected-response', (_, response) => void this.#refuse(response))
      socket.on('error', (error) => this.#fail(lostConnection(error)))
      socket.on('close', () => {
        signal?.removeEventListener('abort', onAbort)
        this.#cancelPing()
        if (this.#exitCode === undefined)
          return reject(this.#failure ?? lostConnection(new Error('closed before the command had ended')))
        resolve({
          exitCode: this.#exitCode,
          stdout: Buffer.concat(this.#collected.stdout),
          stderr: Buffer.concat(this.#collected.stderr),
        })
      })
    })
  }

  #begin(): void {
    this.#schedulePing()
    const { stdin, sizes } = this.#options
    if (stdin !== undefined) this.#feed(this.#sendStdin(stdin))
    if (sizes !== undefined) this.#feed(this.#sendSizes(sizes))
  }

  #feed(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))))
  }

  async #sendStdin(stdin: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of stdin) {
      if (!this.#isOpen()) return
      await this.#send(channel.stdin, chunk)
    }
    // Only v5 can say that the input has ended.
    if (this.#isOpen() && this.#socket.protocol === protocols[0])
      await this.#send(channel.close, Uint8Array.of(channel.stdin))
  }

  async #sendSizes(sizes: AsyncIterable<{ readonly width: number; readonly height: number }>): Promise<void> {
    for await (const { width, height } of sizes) {
      if (!this.#isOpen()) return
      await this.#send(channel.resize, Buffer.from(JSON.stringify({ Width: width, Height: height })))
    }
  }

  #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  /** Waits for the network only when much is on its way. */
  #send(to: number, bytes: Uint8Array): Promise<void> {
    const message = Buffer.allocUnsafe(bytes.length + 1)
    message[0] = to
    message.set(bytes, 1)
    return new Promise((resolve, reject) => {
      const isFull = this.#socket.bufferedAmount > highWater
      this.#socket.send(message, (error) => {
        if (error && this.#exitCode === undefined) reject(error)
        else resolve()
      })
      if (!isFull) resolve()
    })
  }

  #receive(data: RawData): void {
    const message = Buffer.isBuffer(data)
      ? data
      : Array.isArray(data)
        ? Buffer.concat(data)
        : Buffer.from(data)
    const bytes = message.subarray(1)
    if (message[0] === channel.error) this.#end(bytes)
    if (bytes.length === 0) return
    if (message[0] === channel.stdout) this.#deliver('stdout', bytes, this.#options.onStdout)
    if (message[0] === channel.stderr) this.#deliver('stderr', bytes, this.#options.onStderr)
  }

  #deliver(to: 'stdout' | 'stderr', bytes: Buffer, callback: ((chunk: Buffer) => void) | undefined): void {
    if (callback !== undefined) {
      callback(bytes)
      return
    }
    this.#collectedBytes += bytes.length
    if (this.#collectedBytes > mostCollected)
      this.#fail(new Error(`the command printed more than ${mostCollected} bytes`))
    else this.#collected[to].push(bytes)
  }

  #end(bytes: Buffer): void {
    const outcome = parseExit(bytes)
    if (typeof outcome === 'number') this.#exitCode = outcome
    else this.#failure ??= outcome
    this.#socket.close()
  }

  async #refuse(response: IncomingMessage): Promise<void> {
    try {
      const body = await readBody(response, largestMessage)
      this.#fail(apiErrorFromAnswer(response.statusCode ?? 0, plainHeaders(response.headers), body))
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#socket.terminate()
  }

  /** A connection that died silently is found by the second ping. */
  #schedulePing(): void {
    let hasAnswered = true
    this.#socket.on('pong', () => {
      hasAnswered = true
    })
    const tick = () => {
      this.#cancelPing = this.#clock.after(pingEvery, () => {
        if (!this.#isOpen()) return
        if (!hasAnswered) return this.#fail(lostConnection(new Error('the server does not answer pings')))
        hasAnswered = false
        this.#socket.ping()
        tick()
      })
    }
    tick()
  }
}

/** The exit code in the Status that ends an exec, or the error it stands for. */
function parseExit(bytes: Buffer): number | Error {
  let status: unknown
  try {
    status = JSON.parse(bytes.toString('utf8'))
  } catch {
    return new ConnectionError(`the command ended unclearly: ${bytes.toString('utf8').slice(0, 256)}`)
  }
  if (!isRecord(status)) return new ConnectionError('the command ended unclearly')
  if (status['status'] === 'Success') return 0
  const code = status['reason'] === 'NonZeroExitCode' ? exitCause(status['details']) : undefined
  if (code !== undefined) return code
  return new ApiError(typeof status['code'] === 'number' ? status['code'] : 500, status)
}

function exitCause(details: unknown): number | undefined {
  if (!isRecord(details) || !Array.isArray(details['causes'])) return undefined
  const cause: unknown = details['causes'].find(
    (one: unknown) => isRecord(one) && one['reason'] === 'ExitCode',
  )
  const code = isRecord(cause) ? Number(cause['message']) : Number.NaN
  return Number.isInteger(code) ? code : undefined
}

function lostConnection(error: Error): ConnectionError {
  return new ConnectionError(`connection lost: ${error.message}`, { cause: error })
}
