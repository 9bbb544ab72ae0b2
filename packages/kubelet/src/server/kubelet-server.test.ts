import { once } from 'node:events'
import { request } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import { constants, createDeflate } from 'node:zlib'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { SeededRandom, SystemClock, silentLogger } from '@outrigger/foundation'
import { resources } from '@outrigger/kube'
import { createSimRuntime } from '@outrigger/runtime-sim'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createKubelet, type Kubelet } from '../kubelet.ts'
import { aContainer, aPod } from '../testing/a-pod.ts'
import { MemoryApi } from '../testing/memory-api.ts'
import { spdyDictionary } from './spdy-dictionary.ts'

interface Credentials {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

let kubelet: Kubelet
let admin: Credentials
let stranger: Credentials
let nobody: Credentials
const stop = new AbortController()
let ended: Promise<void>

beforeAll(async () => {
  const clock = new SystemClock()
  const now = clock.now()
  const authority = await createAuthority({ commonName: 'test', now })
  const server = await issueCertificate(authority, {
    commonName: 'node',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  const client = async (commonName: string, organizations: string[]): Promise<Credentials> => {
    const pair = await issueCertificate(authority, { commonName, organizations, usages: ['client'], now })
    return { ca: authority.certificate, cert: pair.certificate, key: pair.privateKey }
  }
  admin = await client('admin', ['system:masters'])
  stranger = await client('dev', ['developers'])
  nobody = { ca: authority.certificate }
  const api = new MemoryApi(clock)
  const random = new SeededRandom(3)
  kubelet = createKubelet({
    client: api.client(),
    runtime: createSimRuntime({ clock, random, pullDelay: 0 }),
    node: {
      name: 'node-1',
      isVirtual: false,
      capacity: { cpu: '8', memory: '1Gi', pods: '9' },
      addresses: [],
    },
    server: {
      host: '127.0.0.1',
      port: 0,
      tls: { certificate: server.certificate, key: server.privateKey },
      clientCa: authority.certificate,
    },
    clock,
    random,
    logger: silentLogger,
  })
  ended = kubelet.run(stop.signal)
  await kubelet.ready
  const main = aContainer({
    command: [
      'sh',
      '-c',
      'for i in 1 2 3; do echo line $i; done; mkdir /w; echo index > /w/index.html; httpd -f -p 8080 -h /w',
    ],
  })
  api.put(resources.pods, aPod({ containers: [main] }))
  while (((await get('/containerLogs/demo/a/main', admin)).body.match(/\n/g)?.length ?? 0) < 3) {
    await new Promise((resolve) => setImmediate(resolve))
  }
})

afterAll(async () => {
  stop.abort()
  await ended
})

describe('the kubelet server', () => {
  test('asks callers for a certificate, and strangers to leave', async () => {
    expect((await get('/healthz', nobody)).body).toBe('ok')
    expect((await get('/pods', nobody)).code).toBe(401)
    expect((await get('/pods', stranger)).code).toBe(403)
    expect(JSON.parse((await get('/pods', admin)).body)).toMatchObject({
      kind: 'PodList',
      items: [{ metadata: { name: 'a' } }],
    })
  })

  test.each([
    ['', 'line 1\nline 2\nline 3\n'],
    ['?tailLines=1', 'line 3\n'],
    ['?tailLines=0', ''],
    ['?limitBytes=9', 'line 1\nli'],
    ['?sinceSeconds=3600', 'line 1\nline 2\nline 3\n'],
  ])('shows a log%s', async (query, text) => {
    expect(await get(`/containerLogs/demo/a/main${query}`, admin)).toEqual({ code: 200, body: text })
  })

  test.each([
    ['/containerLogs/demo/b/main', 404, 'pod "b" does not exist\n'],
    ['/containerLogs/demo/a/no', 404, 'container "no" not found in pod "a"\n'],
    [
      '/containerLogs/demo/a/main?previous=true',
      400,
      'previous terminated container "main" in pod "a" not found\n',
    ],
    ['/containerLogs/demo/a/main?tailLines=-2', 400, 'tailLines: must be a whole number from 0 on\n'],
    ['/exec/demo/a/main?command=true&output=1', 400, 'Upgrade request required\n'],
  ])('says what is wrong with %s', async (path, code, body) => {
    expect(await get(path, admin)).toEqual({ code, body })
  })

  test('runs a command over a WebSocket, hears the end of its input and hands back its exit code', async () => {
    const socket = await open(
      '/exec/demo/a/main?command=sh&command=-c&command=cat; echo no >%262; exit 7&input=1&output=1&error=1',
      'v5.channel.k8s.io',
    )
    socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('some input')]))
    socket.send(Buffer.from([255, 0]))

    const channels = await collect(socket)
    expect(channels[1]).toBe('some input')
    expect(channels[2]).toBe('no\n')
    expect(JSON.parse(channels[3]!)).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '7' }] },
    })
  })

  test('forwards a port over a WebSocket', async () => {
    const socket = await open('/portForward/demo/a?ports=8080', 'v4.channel.k8s.io')
    socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('GET / HTTP/1.0\r\n\r\n')]))
    let text = ''
    for (let seen = false; !seen; ) {
      const [message] = (await once(socket, 'message')) as [Buffer]
      if (message[0] === 0) text += message.subarray(1).toString()
      seen = text.includes('index')
    }
    socket.terminate()
    expect(text).toContain('HTTP/1.1 200 OK')
  })

  test('ends a WebSocket itself when a command is over, also for clients that never answer', async () => {
    const socket = await rawWebSocket(
      '/exec/demo/a/main?command=echo&command=hello&output=1',
      'v4.channel.k8s.io',
    )
    const text = await untilEnd(socket)
    expect(text).toContain('\u0001hello\n')
    expect(text).toContain('\u0003{"metadata":{},"status":"Success"}')
    socket.destroy()
  })

  test('forwards what arrives before the port of the pod is open', async () => {
    const ask = Buffer.from('\u0000GET / HTTP/1.0\r\n\r\n')
    // A frame of a client: final and binary, its length, and a mask that changes nothing.
    const frame = Buffer.concat([Buffer.from([0x82, 0x80 | ask.length, 0, 0, 0, 0]), ask])
    const socket = await rawWebSocket('/portForward/demo/a?ports=8080', 'v4.channel.k8s.io', frame)
    let text = ''
    for await (const chunk of socket) {
      text += (chunk as Buffer).toString('latin1')
      if (text.includes('index')) break
    }
    expect(text).toContain('HTTP/1.1 200 OK')
  })

  test('says which port could not be forwarded, and ends when no connection is left', async () => {
    const socket = await rawWebSocket('/portForward/demo/a?port=9', 'v4.channel.k8s.io')
    expect(await untilEnd(socket)).toContain('error forwarding port 9 to pod')
    socket.destroy()
    const portless = await rawWebSocket('/portForward/demo/a', 'v4.channel.k8s.io')
    expect(await untilEnd(portless)).toContain('query parameter "port" is required')
    portless.destroy()
  })

  test('runs a command over SPDY', async () => {
    const socket = connect({ host: '127.0.0.1', port: kubelet.port, ...admin })
    await once(socket, 'secureConnect')
    socket.write(
      'POST /exec/demo/a/main?command=echo&command=hello&output=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
    )
    const [head] = (await once(socket, 'data')) as [Buffer]
    expect(head.toString()).toContain('101 Switching Protocols')
    const deflate = createDeflate({ dictionary: spdyDictionary })
    socket.write(await synStream(1, { streamtype: 'error' }, deflate))
    socket.write(await synStream(3, { streamtype: 'stdout' }, deflate))

    expect(await spdyText(socket)).toEqual({
      1: JSON.stringify({ metadata: {}, status: 'Success' }),
      3: 'hello\n',
    })
  })
})

function get(path: string, credentials: Credentials): Promise<{ code: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port: kubelet.port, path, agent: false, ...credentials },
      (answer) => {
        let body = ''
        answer.on('data', (chunk) => {
          body += chunk
        })
        answer.on('end', () => resolve({ code: answer.statusCode ?? 0, body }))
      },
    )
    call.on('error', reject)
    call.end()
  })
}

async function open(path: string, protocol: string): Promise<WebSocket> {
  const socket = new WebSocket(`wss://127.0.0.1:${kubelet.port}${path}`, protocol, { ...admin })
  await once(socket, 'open')
  return socket
}

async function collect(socket: WebSocket): Promise<Record<number, string>> {
  const channels: Record<number, string> = {}
  socket.on('message', (message: Buffer) => {
    const channel = message[0]!
    channels[channel] = (channels[channel] ?? '') + message.subarray(1).toString()
  })
  await once(socket, 'close')
  return channels
}

async function synStream(
  id: number,
  headers: Record<string, string>,
  deflate: ReturnType<typeof createDeflate>,
): Promise<Buffer> {
  const sized = (text: string) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(text.length)
    return Buffer.concat([length, Buffer.from(text)])
  }
  const count = Buffer.alloc(4)
  count.writeUInt32BE(Object.keys(headers).length)
  deflate.write(
    Buffer.concat([
      count,
      ...Object.entries(headers).flatMap(([name, value]) => [sized(name), sized(value)]),
    ]),
  )
  await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()))
  const block = deflate.read() as Buffer
  const frame = Buffer.alloc(18)
  frame.writeUInt32BE(0x80030001, 0)
  frame.writeUInt32BE(10 + block.length, 4)
  frame.writeUInt32BE(id, 8)
  return Buffer.concat([frame, block])
}

/** What the server sends on its streams until all of them have ended. */
async function spdyText(socket: TLSSocket): Promise<Record<number, string>> {
  const texts: Record<number, string> = {}
  const open = new Set([1, 3])
  let rest = Buffer.alloc(0)
  while (open.size > 0) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 8 && rest.length >= 8 + rest.readUIntBE(5, 3)) {
      const length = rest.readUIntBE(5, 3)
      if ((rest[0]! & 0x80) === 0) {
        const id = rest.readUInt32BE(0)
        texts[id] = (texts[id] ?? '') + rest.subarray(8, 8 + length).toString()
        if ((rest[4]! & 1) !== 0) open.delete(id)
      }
      rest = rest.subarray(8 + length)
    }
  }
  socket.destroy()
  return texts
}

/** A WebSocket client that only listens after what it said with its first words. */
async function rawWebSocket(path: string, protocol: string, first = Buffer.alloc(0)): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: kubelet.port, ...admin })
  await once(socket, 'secureConnect')
  const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`
  socket.write(Buffer.concat([Buffer.from(head), first]))
  return socket
}

async function untilEnd(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end')
  return Buffer.concat(chunks).toString('latin1')
}
