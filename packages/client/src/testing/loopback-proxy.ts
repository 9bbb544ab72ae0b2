import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net'
import { pem } from './loopback-server.ts'

export interface LoopbackProxy {
  readonly port: number
  /** What it was asked for: `CONNECT host:port`, a request line, `SOCKS host:port`. */
  readonly asked: string[]
  close(): Promise<void>
}

export interface ProxyOptions {
  /** `user:password` that it insists on. */
  readonly login?: string
  /** Answers every request with this status, or this reply of SOCKS. */
  readonly refuse?: number
  /** Takes connections and says nothing. */
  readonly isSilent?: boolean
}

/** An HTTP proxy on a free port of this machine that tunnels and forwards. */
export async function startHttpProxy(options: ProxyOptions & { readonly isTls?: boolean } = {}) {
  const asked: string[] = []
  const server = options.isTls
    ? createHttpsServer({ cert: pem('server'), key: pem('server-key') })
    : createHttpServer()
  const refusal = (incoming: IncomingMessage) => {
    const sent = incoming.headers['proxy-authorization']
    const wanted = options.login && `Basic ${Buffer.from(options.login).toString('base64')}`
    return options.refuse ?? (wanted !== undefined && sent !== wanted ? 407 : undefined)
  }
  server.on('connect', (incoming: IncomingMessage, near: Socket) => {
    near.on('error', () => {})
    asked.push(`CONNECT ${incoming.url}`)
    if (options.isSilent) return
    const status = refusal(incoming)
    if (status !== undefined) {
      near.end(`HTTP/1.1 ${status} No\r\nContent-Length: 3\r\n\r\nno!`)
      return
    }
    near.write('HTTP/1.1 200 Connection established\r\nVia: 1.1 loopback\r\n\r\n')
    join(near, incoming.url ?? '')
  })
  server.on('request', (incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`)
    const status = refusal(incoming)
    if (status !== undefined) {
      outgoing.writeHead(status)
      outgoing.end('no!')
      return
    }
    const { 'proxy-authorization': _, ...headers } = incoming.headers
    const forwarded = request(incoming.url ?? '', { method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(outgoing)
    })
    forwarded.on('error', () => outgoing.destroy())
    incoming.pipe(forwarded)
  })
  return listening(server, asked)
}

/** A SOCKS5 proxy on a free port of this machine. */
export async function startSocksProxy(options: ProxyOptions = {}) {
  const asked: string[] = []
  const server = createTcpServer((near) => {
    near.on('error', () => {})
    let step = options.login === undefined ? 'method' : 'method with login'
    near.on('data', (bytes: Buffer) => {
      if (step === 'method') {
        step = 'request'
        near.write(Buffer.of(5, bytes.includes(0, 2) ? 0 : 255))
      } else if (step === 'method with login') {
        step = 'login'
        const offered = bytes.subarray(2)
        near.write(Buffer.of(5, offered.includes(2) ? 2 : 255))
      } else if (step === 'login') {
        step = 'request'
        const user = bytes.subarray(2, 2 + (bytes[1] ?? 0)).toString()
        const password = bytes.subarray(3 + (bytes[1] ?? 0)).toString()
        near.write(Buffer.of(1, `${user}:${password}` === options.login ? 0 : 1))
      } else {
        near.removeAllListeners('data')
        const { host, port } = socksTarget(bytes)
        asked.push(`SOCKS ${host}:${port}`)
        const reply = Buffer.from([5, options.refuse ?? 0, 0, 1, 0, 0, 0, 0, 0, 0])
        // Cut in two, as a network may.
        near.write(reply.subarray(0, 5))
        setImmediate(() => {
          near.write(reply.subarray(5))
          if (options.refuse) near.end()
          else join(near, `${host}:${port}`)
        })
      }
    })
  })
  return listening(server, asked)
}

function socksTarget(bytes: Buffer): { host: string; port: number } {
  const kind = bytes[3]
  const length = kind === 1 ? 4 : kind === 4 ? 16 : (bytes[4] ?? 0)
  const start = kind === 3 ? 5 : 4
  const host = bytes.subarray(start, start + length)
  return {
    host: kind === 3 ? host.toString() : kind === 1 ? [...host].join('.') : host.toString('hex'),
    port: bytes.readUInt16BE(start + length),
  }
}

/** Whatever name is asked for, the connection goes to this machine. */
function join(near: Socket, target: string): void {
  const far = connect(Number(target.slice(target.lastIndexOf(':') + 1)), '127.0.0.1')
  far.on('error', () => near.destroy())
  far.once('close', () => near.destroy())
  near.once('close', () => far.destroy())
  near.pipe(far)
  far.pipe(near)
}

async function listening(server: Server, asked: string[]): Promise<LoopbackProxy> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // The server's own port, read back because 0 asks for a free one.
  const { port } = server.address() as AddressInfo
  return {
    port,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
