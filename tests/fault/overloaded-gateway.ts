import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'

/** A gateway before an API server that can turn requests away. */
export interface OverloadedGateway {
  readonly url: string
  /** While true, three of four lists and patches and every other update are answered 429 or 503, with Retry-After. */
  isOverloaded: boolean
  /** Requests it has turned away and let through so far. */
  readonly counts: { readonly turnedAway: number; readonly passed: number }
  close(): Promise<void>
}

/** A gateway on a loopback port, without TLS, for an API server whose certificate `ca` vouches for. */
export async function startOverloadedGateway(target: string, ca: string): Promise<OverloadedGateway> {
  const agent = new Agent({ keepAlive: true, ca })
  const counts = { turnedAway: 0, passed: 0 }
  let isOverloaded = false
  let turn = 0
  const server = createServer((request, response) => {
    if (isOverloaded && isBurden(request) && ++turn % (request.method === 'PUT' ? 2 : 4) !== 0) {
      counts.turnedAway++
      turnAway(request, response, turn % 3 === 0 ? 503 : 429)
    } else {
      counts.passed++
      pass(request, response, target, agent)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    get isOverloaded() {
      return isOverloaded
    },
    set isOverloaded(value) {
      isOverloaded = value
    },
    async close() {
      server.close()
      server.closeAllConnections()
      agent.destroy()
      await once(server, 'close')
    },
  }
}

/** A list (no watch: that is one request for many minutes), an update or a patch. */
function isBurden({ method, url = '' }: IncomingMessage): boolean {
  if (method === 'PUT' || method === 'PATCH') return true
  const { pathname, searchParams } = new URL(url, 'http://gateway')
  const isCollection = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(?:\/namespaces\/[^/]+)?\/[^/]+$/.test(pathname)
  return method === 'GET' && isCollection && searchParams.get('watch') === null
}

function turnAway(request: IncomingMessage, response: ServerResponse, code: 429 | 503): void {
  request.resume()
  const reason = code === 429 ? 'TooManyRequests' : 'ServiceUnavailable'
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code }
  response.writeHead(code, { 'content-type': 'application/json', 'retry-after': '1' })
  response.end(JSON.stringify({ ...status, message: 'the server is too busy; try again later' }))
}

function pass(request: IncomingMessage, response: ServerResponse, target: string, agent: Agent): void {
  const { host: _host, connection: _connection, ...headers } = request.headers
  const onward = httpsRequest(
    `${target}${request.url}`,
    { method: request.method ?? 'GET', headers, agent },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      response.flushHeaders()
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    },
  )
  onward.on('error', () => response.destroy())
  response.on('close', () => onward.destroy())
  request.pipe(onward)
}
