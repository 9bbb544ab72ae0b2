import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Pod, resources } from '@outrigger/kube'
import { WebSocketServer } from 'ws'
import type { ClusterClient } from '../api-client.ts'
import { answer, type Handler } from './loopback-server.ts'

const web = { namespace: 'default', name: 'web' }

/** What `everything` comes to, beside the HTTP version. */
export const worked = {
  listed: 1,
  created: 'x',
  events: ['ADDED', 'BOOKMARK'],
  log: 'one\ntwo\n',
  exec: 'hi',
}

/** What a manager does, once, against `smallCluster`. */
export async function everything(client: ClusterClient) {
  const pod = await client.get<Pod>(resources.pods, web)
  const listed = await client.list<Pod>(resources.pods)
  const created = await client.create<Pod>(resources.pods, { ...pod, metadata: { name: 'x' } })
  const events: string[] = []
  for await (const event of client.watch(resources.pods, {
    allowBookmarks: true,
    signal: AbortSignal.timeout(60_000),
  }))
    events.push(event.type)
  let log = ''
  for await (const chunk of client.followLog(web, { follow: true })) log += Buffer.from(chunk)
  const { stdout } = await client.exec(web, { command: ['true'] })
  return {
    version: pod.metadata.labels?.['version'],
    listed: listed.items.length,
    created: created.metadata.name,
    events,
    log,
    exec: String(stdout),
  }
}

/** Serves one pod, which is labelled with the HTTP version of the request. */
export const smallCluster: Handler = (request, response) => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', labels: { version: request.httpVersion } },
  }
  const url = request.url ?? ''
  if (url.includes('watch=true')) {
    response.writeHead(200)
    response.write(`${JSON.stringify({ type: 'ADDED', object: pod })}\n`)
    response.end(`${JSON.stringify({ type: 'BOOKMARK', object: pod })}\n`)
  } else if (url.includes('/log')) {
    response.writeHead(200)
    response.write('one\n')
    response.end('two\n')
  } else if (request.method === 'POST') answer(response, 201, { ...pod, metadata: { name: 'x' } })
  else if (url.endsWith('/web')) answer(response, 200, pod)
  else answer(response, 200, { apiVersion: 'v1', kind: 'PodList', metadata: {}, items: [pod] })
}

/** Lets whoever is accepted run commands, which say `hi`. */
export function withExec(
  server: Pick<EventEmitter, 'on'>,
  isAccepted: (request: IncomingMessage) => boolean = () => true,
): void {
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!isAccepted(request)) return void socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
    sockets.handleUpgrade(request, socket, head, (one) => {
      one.send(Buffer.from('\u0001hi'))
      one.send(Buffer.from('\u0003{"status":"Success"}'))
    })
  })
}
