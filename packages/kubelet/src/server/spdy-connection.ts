import { Duplex } from 'node:stream'
import { createInflate, type Inflate } from 'node:zlib'
import { spdyDictionary } from './spdy-dictionary.ts'

const finFlag = 0x01
const frameType = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goAway: 7 } as const
const maxStreams = 1024
const maxFrame = 4 * 1024 * 1024
const maxHeaders = 64 * 1024
/** Larger writes are cut, so that streams of one connection take turns. */
const maxData = 64 * 1024

/** A stream that the peer has opened. Ending the writing side half closes it. */
export class SpdyStream extends Duplex {
  readonly id: number
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>
  readonly #send: (data: Buffer, isLast: boolean, done: (error?: Error | null) => void) => void
  readonly #onDrained: () => void
  wasReset = false

  constructor(
    id: number,
    headers: ReadonlyMap<string, string>,
    send: (data: Buffer, isLast: boolean, done: (error?: Error | null) => void) => void,
    onDrained: () => void,
  ) {
    super({ allowHalfOpen: true, autoDestroy: false, highWaterMark: 256 * 1024 })
    this.id = id
    this.headers = headers
    this.#send = send
    this.#onDrained = onDrained
  }

  override _read(): void {
    this.#onDrained()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.wasReset) done()
    else this.#send(chunk, false, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.wasReset) done()
    else this.#send(Buffer.alloc(0), true, done)
  }
}

/**
 * A SPDY/3.1 connection as kubectl and API servers speak it, server side: they open streams, we answer.
 * These peers use no flow control beyond TCP's; when one stream is not read, all wait.
 */
export class SpdyConnection {
  readonly #transport: Duplex
  readonly #inflate: Inflate = createInflate({ dictionary: spdyDictionary })
  readonly #streams = new Map<number, SpdyStream>()
  readonly #onStream: (stream: SpdyStream) => void
  #received: Buffer = Buffer.alloc(0)
  #isBusy = false
  #isClosed = false
  #hasReplied = false
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>

  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport
    this.#onStream = onStream
    this.#inflate.on('error', () => this.close())
    this.closed = new Promise((resolve) => {
      const end = () => {
        this.#isClosed = true
        for (const stream of this.#streams.values()) stream.push(null)
        this.#streams.clear()
        resolve()
      }
      transport.once('close', end)
      transport.once('end', end)
      transport.on('error', () => transport.destroy())
    })
    transport.on('data', (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      void this.#drain()
    })
  }

  /** Tells the peer that no more is coming, and ends the transport once everything is sent. */
  end(): void {
    if (this.#isClosed) return
    const frame = controlFrame(frameType.goAway, 8)
    this.#transport.write(frame)
    this.#transport.end()
  }

  close(): void {
    this.#transport.destroy()
  }

  /** Frames are taken one after the other: header blocks share one compressed stream. */
  async #drain(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      while (this.#received.length >= 8) {
        const length = this.#received.readUIntBE(5, 3)
        if (length > maxFrame) throw new Error('a frame is too long')
        if (this.#received.length < 8 + length) break
        const head = this.#received.subarray(0, 8)
        const body = this.#received.subarray(8, 8 + length)
        this.#received = this.#received.subarray(8 + length)
        await this.#onFrame(head, body)
      }
    } catch {
      this.close()
    }
    this.#isBusy = false
  }

  async #onFrame(head: Buffer, body: Buffer): Promise<void> {
    const isLast = (head[4]! & finFlag) !== 0
    if ((head[0]! & 0x80) === 0) return this.#onData(head.readUInt32BE(0), body, isLast)
    switch (head.readUInt16BE(2)) {
      case frameType.synStream:
        return this.#onSynStream(body, isLast)
      case frameType.rstStream:
        return this.#onReset(body.readUInt32BE(0))
      case frameType.ping:
        this.#transport.write(Buffer.concat([head, body]))
        return
      case frameType.goAway:
        return
      default:
        return
    }
  }

  #onData(id: number, body: Buffer, isLast: boolean): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    if (body.length > 0 && !stream.push(Buffer.from(body))) this.#transport.pause()
    if (isLast) stream.push(null)
  }

  #onReset(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    stream.wasReset = true
    stream.push(null)
    this.#streams.delete(id)
  }

  async #onSynStream(body: Buffer, isLast: boolean): Promise<void> {
    const id = body.readUInt32BE(0) & 0x7fffffff
    const headers = await this.#readHeaders(body.subarray(10))
    if (this.#streams.size >= maxStreams) throw new Error('too many streams')
    const stream = new SpdyStream(
      id,
      headers,
      (data, isFinal, done) => this.#sendData(id, data, isFinal, done),
      () => this.#transport.resume(),
    )
    this.#streams.set(id, stream)
    this.#reply(id)
    if (isLast) stream.push(null)
    this.#onStream(stream)
  }

  async #readHeaders(block: Buffer): Promise<Map<string, string>> {
    await new Promise<void>((resolve, reject) => {
      this.#inflate.write(block, (error) => (error ? reject(error) : resolve()))
    })
    const chunks: Buffer[] = []
    for (let chunk = this.#inflate.read(); chunk !== null; chunk = this.#inflate.read()) chunks.push(chunk)
    const plain = Buffer.concat(chunks)
    if (plain.length > maxHeaders) throw new Error('headers are too long')
    const headers = new Map<string, string>()
    let at = 4
    const text = () => {
      const length = plain.readUInt32BE(at)
      const value = plain.toString('utf8', at + 4, at + 4 + length)
      at += 4 + length
      return value
    }
    for (let left = plain.length >= 4 ? plain.readUInt32BE(0) : 0; left > 0; left--) {
      const name = text()
      headers.set(name.toLowerCase(), text())
    }
    return headers
  }

  #reply(id: number): void {
    const block = emptyHeaders(!this.#hasReplied)
    this.#hasReplied = true
    const frame = controlFrame(frameType.synReply, 4 + block.length)
    frame.writeUInt32BE(id, 8)
    block.copy(frame, 12)
    this.#transport.write(frame)
  }

  #sendData(id: number, data: Buffer, isLast: boolean, done: (error?: Error | null) => void): void {
    if (this.#isClosed || this.#transport.destroyed) {
      done()
      return
    }
    if (data.length > maxData) {
      this.#sendData(id, data.subarray(0, maxData), false, (error) => {
        if (error) done(error)
        else this.#sendData(id, data.subarray(maxData), isLast, done)
      })
      return
    }
    const head = Buffer.alloc(8)
    head.writeUInt32BE(id, 0)
    head.writeUInt32BE(data.length + (isLast ? finFlag * 2 ** 24 : 0), 4)
    this.#transport.write(data.length === 0 ? head : Buffer.concat([head, data]), () => done())
  }
}

function controlFrame(type: number, length: number): Buffer {
  const frame = Buffer.alloc(8 + length)
  frame.writeUInt16BE(0x8003, 0)
  frame.writeUInt16BE(type, 2)
  frame.writeUInt32BE(length, 4)
  return frame
}

/**
 * A block without headers as stored zlib blocks, which need no dictionary. The zlib header opens the one
 * compressed stream of the connection; the empty block at the end is what a flush looks like.
 */
function emptyHeaders(isFirst: boolean): Buffer {
  const stored = Buffer.from([0x00, 0x04, 0x00, 0xfb, 0xff, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0xff, 0xff])
  return isFirst ? Buffer.concat([Buffer.from([0x78, 0x01]), stored]) : stored
}
