import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock, Logger } from '@outrigger/foundation'
import { type WebSocket, WebSocketServer } from 'ws'
import type { PodRuntime } from '../runtime.ts'
import { type ForwardTarget, forwardChannels, forwardSpdy, webSocketBytes } from './port-forward.ts'
import { joinSession, type RemoteEnd } from './remote-command.ts'
import type { ServedPods } from './served-pods.ts'
import { ServerError } from './server-error.ts'
import { spdyEnd } from './spdy-command.ts'
import { webSocketEnd } from './websocket-command.ts'

export interface StreamPlace {
  readonly pods: ServedPods
  readonly runtime: PodRuntime
  readonly clock: Clock
  readonly logger: Logger
}

const commandProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io']
const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io'
const spdyForwardProtocol = 'portforward.k8s.io'
const maxMessage = 4 * 1024 * 1024

/**
 * Answers an upgrade on `/exec`, `/attach` and `/portForward`, over WebSocket or SPDY, and resolves when the
 * stream is over. @throws ServerError before anything was sent
 */
export async function serveStream(
  url: URL,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  place: StreamPlace,
): Promise<void> {
  const [verb, namespace, name, ...rest] = url.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent)
  if (verb === undefined || namespace === undefined || name === undefined) {
    throw new ServerError(404, '404 page not found')
  }
  const found = place.pods.get(namespace, name)
  if (found === undefined) throw new ServerError(404, `pod "${name}" does not exist`)
  const { sandbox } = found.observed
  if (verb === 'portForward') {
    if (sandbox === undefined) throw new ServerError(500, `pod "${name}" is not running`)
    const target = { ...place, sandboxId: sandbox.id, podUid: found.pod.metadata.uid ?? '' }
    return forward(url, request, socket, head, target)
  }
  if (verb !== 'exec' && verb !== 'attach') throw new ServerError(404, '404 page not found')
  // The uid may stand before the container, as older API servers send it.
  const container = rest.at(-1) ?? ''
  const run = found.observed.runs.get(container)?.[0]
  if (run?.state !== 'running') throw new ServerError(404, `container not found ("${container}")`)
  return command(verb, run.id, url.searchParams, request, socket, head, place)
}

async function command(
  verb: 'exec' | 'attach',
  containerId: string,
  query: URLSearchParams,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  place: StreamPlace,
): Promise<void> {
  const asks = (...names: string[]) => names.some((key) => ['1', 'true'].includes(query.get(key) ?? ''))
  const tty = asks('tty')
  const wants = {
    tty,
    stdin: asks('input', 'stdin'),
    stdout: asks('output', 'stdout'),
    // A terminal has one stream for both.
    stderr: asks('error', 'stderr') && !tty,
  }
  if (!wants.stdin && !wants.stdout && !wants.stderr) {
    throw new ServerError(400, 'you must specify at least 1 of stdin, stdout, stderr')
  }
  const args = query.getAll('command')
  if (verb === 'exec' && args.length === 0) throw new ServerError(400, 'you must specify a command')
  const remote: RemoteEnd = isWebSocket(request)
    ? webSocketEnd(await acceptWebSocket(request, socket, head, commandProtocols), socket, wants)
    : await spdyEnd(
        acceptSpdy(request, socket, head, ['v5.channel.k8s.io', 'v4.channel.k8s.io']),
        wants,
        place.clock,
      )
  await joinSession(remote, (signal) =>
    verb === 'exec'
      ? place.runtime.exec(containerId, { ...wants, command: args }, signal)
      : place.runtime.attach(containerId, wants, signal),
  )
}

/** Each may hold a connection open. */
const mostPorts = 100

async function forward(
  url: URL,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: ForwardTarget,
): Promise<void> {
  if (!isWebSocket(request)) {
    return forwardSpdy(acceptSpdy(request, socket, head, [spdyForwardProtocol]), target)
  }
  const offered = request.headers['sec-websocket-protocol'] ?? ''
  // A tunnel names its ports inside.
  const ports = offered.includes(tunnelProtocol) ? [] : portsOf(url.searchParams)
  const webSocket = await acceptWebSocket(request, socket, head, [tunnelProtocol, 'v4.channel.k8s.io'])
  if (webSocket.protocol === tunnelProtocol) return forwardSpdy(webSocketBytes(webSocket), target)
  return forwardChannels(webSocket, socket, ports, target)
}

/** API servers say `port`, their clients `ports`. @throws ServerError when there is none, or one is no port */
function portsOf(query: URLSearchParams): readonly number[] {
  const texts = [...query.getAll('port'), ...query.getAll('ports')].flatMap((text) => text.split(','))
  if (texts.length === 0) throw new ServerError(400, 'query parameter "port" is required')
  const ports = texts.map(Number)
  const wrong = ports.findIndex((port) => !Number.isInteger(port) || port < 1 || port > 65_535)
  if (wrong >= 0)
    throw new ServerError(400, `port ${JSON.stringify(texts[wrong])} must be between 1 and 65535`)
  if (ports.length > mostPorts)
    throw new ServerError(400, `no more than ${mostPorts} ports can be forwarded at a time`)
  return ports
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * Our protocols in order of preference; the client's first that we know is taken. The WebSocket is paused until
 * somebody listens: clients send at once.
 */
function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocols: readonly string[],
): Promise<WebSocket> {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((text) => text.trim())
  const chosen = protocols.find((protocol) => offered.includes(protocol))
  if (chosen === undefined)
    throw new ServerError(400, `no stream protocol is known of: ${offered.join(', ')}`)
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessage,
    perMessageDeflate: false,
    handleProtocols: () => chosen,
  })
  return new Promise((resolve) =>
    server.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.pause()
      resolve(webSocket)
    }),
  )
}

function acceptSpdy(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocols: readonly string[],
): Duplex {
  const upgrade = request.headers.upgrade?.toLowerCase() ?? ''
  if (!upgrade.startsWith('spdy/3.1')) throw new ServerError(400, `unable to upgrade to ${upgrade}`)
  const header = request.headers['x-stream-protocol-version']
  const offered = ([] as string[])
    .concat(header ?? [])
    .flatMap((text) => text.split(',').map((each) => each.trim()))
  const chosen = protocols.find((protocol) => offered.includes(protocol))
  if (chosen === undefined)
    throw new ServerError(403, `unable to negotiate protocol: client supports ${offered.join(', ')}`)
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${chosen}\r\n\r\n`,
  )
  if (head.length > 0) socket.unshift(head)
  return socket
}
