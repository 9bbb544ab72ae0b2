import { type Duplex, PassThrough, Writable } from 'node:stream'
import type { WebSocket } from 'ws'
import type { RemoteEnd } from './remote-command.ts'

const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const
/** Bytes on their way out beyond which a writer waits. */
const highWater = 1024 * 1024

/**
 * Says that a WebSocket is over and lets go of its connection, as Go's servers do. Some clients (the official one of
 * Python before 2023) look only when something arrives at the connection itself, not at what they have decrypted
 * already: they see the last messages when it ends, and never answer them.
 */
export function endWebSocket(socket: WebSocket, connection: Duplex): void {
  socket.close(1000)
  connection.end()
}

/**
 * Exec and attach over the WebSocket protocols `v4.channel.k8s.io` and `v5.channel.k8s.io`. `connection` is what
 * the WebSocket was made of.
 */
export function webSocketEnd(
  socket: WebSocket,
  connection: Duplex,
  wants: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
): RemoteEnd {
  const stdin = wants.stdin ? new PassThrough() : undefined
  let onResize: (width: number, height: number) => void = () => {}
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      stdin?.end()
      resolve()
    })
  })
  socket.on('error', () => socket.terminate())
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const message = isBinary ? data : Buffer.from(data)
    const body = message.subarray(1)
    if (message[0] === channel.stdin && stdin?.writable) {
      if (body.length > 0 && !stdin.write(body)) {
        socket.pause()
        stdin.once('drain', () => socket.resume())
      }
    } else if (message[0] === channel.close && body[0] === channel.stdin) stdin?.end()
    else if (message[0] === channel.resize) readResize(body, onResize)
  })
  socket.resume()
  return {
    stdin,
    stdout: wants.stdout ? channelWriter(socket, channel.stdout) : undefined,
    stderr: wants.stderr ? channelWriter(socket, channel.stderr) : undefined,
    onResize: (listener) => {
      onResize = listener
    },
    finish: async (status) => {
      await send(socket, channel.status, Buffer.from(JSON.stringify(status)))
      endWebSocket(socket, connection)
      await closed
    },
    closed,
  }
}

/** A writable whose chunks become messages of one channel. */
export function channelWriter(socket: WebSocket, number: number): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      void send(socket, number, chunk).then(() => done())
    },
  })
}

async function send(socket: WebSocket, number: number, body: Buffer): Promise<void> {
  if (socket.readyState !== socket.OPEN) return
  await new Promise<void>((resolve) => {
    const isFull = socket.bufferedAmount > highWater
    socket.send(Buffer.concat([Buffer.from([number]), body]), { binary: true }, () => {
      if (isFull) resolve()
    })
    if (!isFull) resolve()
  })
}

/** `{"Width":80,"Height":24}`; anything else is ignored. */
export function readResize(body: Buffer, listener: (width: number, height: number) => void): void {
  try {
    const { Width, Height } = JSON.parse(body.toString('utf8')) as { Width?: unknown; Height?: unknown }
    if (typeof Width === 'number' && typeof Height === 'number') listener(Width, Height)
  } catch {
    // A client that garbles its window size keeps the old one.
  }
}
