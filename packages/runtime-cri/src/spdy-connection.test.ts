import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createInflate } from 'node:zlib'
import { ManualClock } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import { dialSpdy } from './spdy-connection.ts'

describe('SpdyConnection', () => {
  test('opens streams whose headers any zlib reader understands', async () => {
    await withPeer(async ({ connection, peer }) => {
      connection.open({ streamtype: 'error' })
      connection.open({ streamtype: 'data', port: '80' })
      const frames = await peer.frames(2)
      const inflate = createInflate()
      const headers = frames.map(async (frame) => {
        inflate.write(frame.body.subarray(10))
      })
      await Promise.all(headers)
      const block = await new Promise<Buffer>((resolve) => {
        const chunks: Buffer[] = []
        inflate.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          const all = Buffer.concat(chunks)
          if (all.includes('80')) resolve(all)
        })
      })
      expect(frames.map((frame) => frame.body.readUInt32BE(0))).toEqual([1, 3])
      expect(block.toString('latin1')).toBe(
        '\0\0\0\x01\0\0\0\x0astreamtype\0\0\0\x05error' +
          '\0\0\0\x02\0\0\0\x0astreamtype\0\0\0\x04data\0\0\0\x04port\0\0\0\x0280',
      )
    })
  })

  test('half closes with the last flag and goes on reading', async () => {
    await withPeer(async ({ connection, peer }) => {
      const stream = connection.open({ streamtype: 'data' })
      stream.end('hi')
      const [, data, end] = await peer.frames(3)
      expect([data?.body.toString(), end?.flags]).toEqual(['hi', 1])

      peer.send(dataFrame(1, 'an', 0), dataFrame(1, 'swer', 1))
      let text = ''
      for await (const chunk of stream) text += String(chunk)
      expect(text).toBe('answer')
    })
  })

  test('answers pings, copes with frames cut anywhere, ends all streams when the peer goes', async () => {
    await withPeer(async ({ connection, peer }) => {
      const stream = connection.open({ streamtype: 'data' })
      await peer.frames(1)
      const ping = Buffer.from([0x80, 0x03, 0x00, 0x06, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x02])
      for (const byte of Buffer.concat([ping, dataFrame(1, 'x', 0)])) peer.send(Buffer.from([byte]))
      const [, pong] = await peer.frames(2)
      expect(pong?.body).toEqual(ping.subarray(8))
      peer.socket.destroy()
      let text = ''
      for await (const chunk of stream) text += String(chunk)
      expect(text).toBe('x')
    })
  })

  test('says what a peer answered that does not switch', async () => {
    const server = createServer((_, response) => response.writeHead(403).end('not you'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const dialing = dialSpdy(`http://127.0.0.1:${port}/exec`, dialOptions())
    await expect(dialing).rejects.toThrow('the runtime refused the stream: 403 not you')
    server.close()
  })
})

function dialOptions() {
  return { protocol: 'v4', clock: new ManualClock(), signal: new AbortController().signal }
}

interface Frame {
  readonly flags: number
  readonly body: Buffer
}

/** A connection to a peer that notes the frames it gets. */
async function withPeer(
  work: (parts: {
    readonly connection: Awaited<ReturnType<typeof dialSpdy>>
    readonly peer: {
      readonly socket: Socket
      readonly frames: (count: number) => Promise<Frame[]>
      readonly send: (...frames: Buffer[]) => void
    }
  }) => Promise<void>,
): Promise<void> {
  const server = createServer()
  const accepted = new Promise<Socket>((resolve) => {
    server.on('upgrade', (_, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n')
      resolve(socket as Socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const connection = await dialSpdy(`http://127.0.0.1:${port}/x`, dialOptions())
  const socket = await accepted
  let received = Buffer.alloc(0)
  let onMore = () => {}
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    onMore()
  })
  socket.on('error', () => {})
  const frames = (count: number) =>
    new Promise<Frame[]>((resolve) => {
      onMore = () => {
        const found = framesIn(received)
        if (found.length >= count) resolve(found)
      }
      onMore()
    })
  try {
    await work({
      connection,
      peer: { socket, frames, send: (...all) => void socket.write(Buffer.concat(all)) },
    })
  } finally {
    connection.close()
    socket.destroy()
    server.close()
  }
}

function framesIn(bytes: Buffer): Frame[] {
  const found: Frame[] = []
  for (let at = 0; bytes.length - at >= 8; ) {
    const length = bytes.readUIntBE(at + 5, 3)
    if (bytes.length - at < 8 + length) break
    found.push({ flags: bytes[at + 4] ?? 0, body: bytes.subarray(at + 8, at + 8 + length) })
    at += 8 + length
  }
  return found
}

function dataFrame(id: number, text: string, flags: number): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(id, 0)
  head.writeUInt32BE(text.length, 4)
  head[4] = flags
  return Buffer.concat([head, Buffer.from(text)])
}
