import { request } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type Clock, withDeadline } from '@outrigger/foundation'

/**
 * A SPDY/3.1 connection as the streaming endpoints of container runtimes speak it, client side.
 *
 * Chosen over their WebSocket form because only here a stream can be half closed: `sort < file` ends when
 * its input does. Header blocks are sent as stored zlib blocks, which need no dictionary, and those
 * received are not read: the runtimes put nothing in them. The peers use no flow control beyond TCP's; when
 * one stream is not read, all wait.
 */
export class SpdyConnection {
  readonly #socket: Socket
  readonly #streams = new Map<number, SpdyStream>()
  #nextId = 1
  #received: Buffer = Buffer.alloc(0)
  #ended: Error | undefined
  /** Called once when the connection is over, with the error if there was one. */
  onEnd: (error: Error | undefined) => void = () => {}

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end(undefined))
    if (head.length > 0) this.#onData(head)
  }

  /** Opens a stream with these headers (lower-case names). */
  open(headers: Readonly<Record<string, string>>): SpdyStream {
    const id = this.#nextId
    this.#nextId += 2
    const stream = new SpdyStream({
      send: (data, isLast, done) => this.#sendData(id, data, isLast, done),
      resume: () => this.#socket.resume(),
      reset: () => this.#sendReset(id),
    })
    this.#streams.set(id, stream)
    this.#socket.write(synStream(id, headers))
    return stream
  }

  close(): void {
    this.#socket.destroy()
  }

  #sendData(id: number, data: Buffer, isLast: boolean, done: (error?: Error | null) => void): void {
    if (this.#ended !== undefined || this.#socket.destroyed) {
      done(this.#ended ?? new Error('the connection is closed'))
      return
    }
    const head = Buffer.alloc(8)
    head.writeUInt32BE(id, 0)
    head.writeUInt32BE(data.length + (isLast ? finFlag * 2 ** 24 : 0), 4)
    this.#socket.write(data.length === 0 ? head : Buffer.concat([head, data]), (error) => done(error))
  }

  #sendReset(id: number): void {
    if (this.#socket.destroyed) return
    const frame = controlFrame(frameType.rstStream, 8)
    frame.writeUInt32BE(id, 8)
    frame.writeUInt32BE(5, 12)
    this.#socket.write(frame)
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    let at = 0
    while (this.#received.length - at >= 8) {
      const length = this.#received.readUIntBE(at + 5, 3)
      if (this.#received.length - at < 8 + length) break
      this.#onFrame(this.#received.subarray(at, at + 8), this.#received.subarray(at + 8, at + 8 + length))
      at += 8 + length
    }
    this.#received = this.#received.subarray(at)
  }

  #onFrame(head: Buffer, body: Buffer): void {
    const isLast = (head[4]! & finFlag) !== 0
    if ((head[0]! & 0x80) === 0) {
      const stream = this.#streams.get(head.readUInt32BE(0))
      if (stream === undefined) return
      if (body.length > 0 && !stream.push(body)) this.#socket.pause()
      if (isLast) stream.push(null)
      return
    }
    const type = head.readUInt16BE(2)
    if (type === frameType.synReply && isLast) this.#streams.get(body.readUInt32BE(0))?.push(null)
    if (type === frameType.rstStream) this.#streams.get(body.readUInt32BE(0))?.onReset()
    if (type === frameType.ping) this.#socket.write(Buffer.concat([head, body]))
    if (type === frameType.goAway) this.#socket.end()
  }

  #end(error: Error | undefined): void {
    if (this.#ended !== undefined) return
    this.#ended = error ?? new Error('the connection is closed')
    for (const stream of this.#streams.values()) stream.push(null)
    this.#streams.clear()
    this.onEnd(error)
  }
}

const finFlag = 0x01
const frameType = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const

interface StreamWire {
  readonly send: (data: Buffer, isLast: boolean, done: (error?: Error | null) => void) => void
  readonly resume: () => void
  readonly reset: () => void
}

/** One stream of a connection. Ending the writing side half closes it. */
export class SpdyStream extends Duplex {
  readonly #wire: StreamWire
  #wasReset = false

  constructor(wire: StreamWire) {
    super({ allowHalfOpen: true, autoDestroy: false, highWaterMark: 256 * 1024 })
    this.#wire = wire
  }

  /** The peer takes no more and sends no more. What still has to be written is dropped. */
  onReset(): void {
    this.#wasReset = true
    this.push(null)
  }

  override _read(): void {
    this.#wire.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#wasReset) done()
    else this.#wire.send(chunk, false, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    // A peer that is gone needs no end.
    if (this.#wasReset) done()
    else this.#wire.send(Buffer.alloc(0), true, () => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wire.reset()
    done(error)
  }
}

function controlFrame(type: number, length: number): Buffer {
  const frame = Buffer.alloc(8 + length)
  frame.writeUInt16BE(0x8003, 0)
  frame.writeUInt16BE(type, 2)
  frame.writeUInt32BE(length, 4)
  return frame
}

function synStream(id: number, headers: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(headers)
  const block = Buffer.concat([
    uint32(entries.length),
    ...entries.flatMap(([name, value]) => [sized(name.toLowerCase()), sized(value)]),
  ])
  // The zlib header opens the connection's one compressed stream and must come only once. The empty block
  // at the end is what a flush looks like: without it the reader waits for more.
  const stored = Buffer.alloc((id === 1 ? 2 : 0) + 5)
  if (id === 1) stored.writeUInt16BE(0x7801, 0)
  stored.writeUInt16LE(block.length, stored.length - 4)
  stored.writeUInt16LE(~block.length & 0xffff, stored.length - 2)
  const flush = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff])
  const frame = controlFrame(frameType.synStream, 10)
  frame.writeUInt32BE(10 + stored.length + block.length + flush.length, 4)
  frame.writeUInt32BE(id, 8)
  return Buffer.concat([frame, stored, block, flush])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([uint32(bytes.length), bytes])
}

export interface DialOptions {
  /** The stream protocol wanted: `v4.channel.k8s.io`. */
  readonly protocol: string
  readonly clock: Clock
  readonly signal: AbortSignal
}

const dialTimeout = 10_000

/**
 * Asks the endpoint at `url` to switch to SPDY/3.1. The signal matters until it has.
 *
 * @throws Error when it refuses, with what it answered (at most about 1 KiB), or does not answer within 10 s.
 */
export function dialSpdy(url: string, { protocol, clock, signal }: DialOptions): Promise<SpdyConnection> {
  const work = (limited: AbortSignal) => switchProtocol(url, protocol, limited)
  return withDeadline(clock, dialTimeout, 'opening a stream of the container runtime', work, signal)
}

function switchProtocol(url: string, protocol: string, signal: AbortSignal): Promise<SpdyConnection> {
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      method: 'POST',
      signal,
      agent: false,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'SPDY/3.1',
        'X-Stream-Protocol-Version': protocol,
        'Content-Length': '0',
      },
    })
    asked.on('upgrade', (_response, socket, head) => resolve(new SpdyConnection(socket as Socket, head)))
    asked.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        if (text.length < 1024) text += chunk
      })
      response.on('end', () =>
        reject(new Error(`the runtime refused the stream: ${response.statusCode} ${text.trim()}`)),
      )
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}
