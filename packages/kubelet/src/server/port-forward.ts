import { Duplex, PassThrough } from 'node:stream'
import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import type { WebSocket } from 'ws'
import type { PodRuntime } from '../runtime.ts'
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts'
import { channelWriter, endWebSocket } from './websocket-command.ts'

export interface ForwardTarget {
  readonly runtime: PodRuntime
  readonly sandboxId: string
  readonly podUid: string
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Milliseconds between the end of the last connection and that of its WebSocket, as with containerd's own server. The
 * official client of Python forgets what it has not handed on yet when the end comes at once.
 */
const lingering = 1_000

/** Port forwarding over SPDY, raw or inside a WebSocket: a pair of streams per connection. */
export async function forwardSpdy(transport: Duplex, target: ForwardTarget): Promise<void> {
  const stop = new AbortController()
  const waiting = new Map<string, { error?: SpdyStream; data?: SpdyStream }>()
  const connection = new SpdyConnection(transport, (stream) => {
    const type = stream.headers.get('streamtype')
    const key = stream.headers.get('requestid') ?? ''
    const pair = waiting.get(key) ?? {}
    if (type === 'error') pair.error = stream
    else if (type === 'data') pair.data = stream
    waiting.set(key, pair)
    if (pair.error === undefined || pair.data === undefined) return
    waiting.delete(key)
    const port = Number(pair.data.headers.get('port'))
    void forwardOne(pair.data, pair.error, port, target, stop.signal)
  })
  await connection.closed
  stop.abort()
}

async function forwardOne(
  data: Duplex,
  error: Duplex,
  port: number,
  target: ForwardTarget,
  signal: AbortSignal,
): Promise<void> {
  error.resume()
  try {
    const pod = await target.runtime.portForward(target.sandboxId, port, signal)
    await joinDuplex(data, pod, signal)
  } catch (failure) {
    if (signal.aborted) return
    const message = `error forwarding port ${port} to pod ${target.sandboxId}, uid ${target.podUid}: ${messageOf(failure)}`
    target.logger.debug('port could not be forwarded', { port, error: messageOf(failure) })
    data.end()
    error.write(message)
  }
  error.end()
}

/** Copies both ways until both sides have ended. */
function joinDuplex(near: Duplex, far: Duplex, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      signal.removeEventListener('abort', onAbort)
      far.destroy()
      if (!near.writableEnded) near.end()
      resolve()
    }
    const onAbort = () => finish()
    signal.addEventListener('abort', onAbort, { once: true })
    far.once('error', finish)
    far.once('close', finish)
    near.once('error', finish)
    near.pipe(far)
    far.pipe(near)
  })
}

/**
 * Port forwarding over `v4.channel.k8s.io`: two channels per port, data and errors. One connection for each port; it
 * is over when the last of them has ended.
 */
export async function forwardChannels(
  socket: WebSocket,
  transport: Duplex,
  ports: readonly number[],
  target: ForwardTarget,
): Promise<void> {
  const stop = new AbortController()
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => socket.terminate())
  // Clients send at once, before there is anybody to send it to.
  const connections = ports.map(() => new PassThrough())
  socket.on('message', (message: Buffer) => {
    const number = message[0] ?? 0
    const connection = number % 2 === 0 ? connections[number / 2] : undefined
    if (connection?.writable !== true || connection.write(message.subarray(1))) return
    socket.pause()
    connection.once('drain', () => socket.resume())
  })
  socket.resume()
  const ended = ports.map((port, index) =>
    forwardChannel(socket, index, port, connections[index] as PassThrough, target, stop.signal),
  )
  const lingered = Promise.all(ended).then(() => target.clock.sleep(lingering, stop.signal).catch(() => {}))
  await Promise.race([closed, lingered])
  endWebSocket(socket, transport)
  await closed
  stop.abort()
  await Promise.all(ended)
}

/** One port. Resolves when the pod's side has ended, or could not be reached. */
async function forwardChannel(
  socket: WebSocket,
  index: number,
  port: number,
  fromClient: PassThrough,
  target: ForwardTarget,
  signal: AbortSignal,
): Promise<void> {
  const data = channelWriter(socket, index * 2)
  const error = channelWriter(socket, index * 2 + 1)
  const head = Buffer.alloc(2)
  head.writeUInt16LE(port)
  data.write(head)
  error.write(head)
  try {
    const pod = await target.runtime.portForward(target.sandboxId, port, signal)
    const ended = new Promise<void>((resolve) => pod.once('close', resolve))
    const onAbort = () => pod.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    pod.on('error', () => pod.destroy())
    pod.once('end', () => pod.end())
    fromClient.pipe(pod)
    pod.pipe(data, { end: false })
    await ended
    signal.removeEventListener('abort', onAbort)
  } catch (failure) {
    error.write(`error forwarding port ${port} to pod: ${messageOf(failure)}`)
  }
  // What comes now goes nowhere.
  fromClient.unpipe().resume()
}

/** The bytes inside the messages of a WebSocket, as one stream. */
export function webSocketBytes(socket: WebSocket): Duplex {
  const bytes = new Duplex({
    read() {
      socket.resume()
    },
    write(chunk: Buffer, _encoding, done) {
      if (socket.readyState !== socket.OPEN) return done()
      socket.send(chunk, { binary: true }, () => done())
    },
    final(done) {
      socket.close(1000)
      done()
    },
    destroy(_error, done) {
      socket.terminate()
      done(null)
    },
  })
  socket.on('message', (message: Buffer) => {
    if (!bytes.push(message)) socket.pause()
  })
  socket.on('error', () => bytes.destroy())
  socket.once('close', () => {
    bytes.push(null)
    bytes.destroy()
  })
  socket.resume()
  return bytes
}
