import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { SystemClock } from '@outrigger/foundation'
import type { KubeObject } from '@outrigger/kube'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MemoryObjects } from '../auth/memory-objects.ts'
import type { Resource } from '../registry/resource.ts'
import { StatusError } from '../registry/status-error.ts'
import { createKubeletProxy } from './kubelet-proxy.ts'

const clock = new SystemClock()
const objects = new MemoryObjects()
let kubelet: Server
let front: Server
let frontPort: number
const asked: string[] = []
let clientName = ''

beforeAll(async () => {
  const now = clock.now()
  const authority = await createAuthority({ commonName: 'ca', now })
  const serving = await issueCertificate(authority, {
    commonName: 'n',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  const client = await issueCertificate(authority, { commonName: 'apiserver', usages: ['client'], now })
  kubelet = createHttpsServer({
    key: serving.privateKey,
    cert: serving.certificate,
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  }) as unknown as Server
  kubelet.on('request', answerAsKubelet)
  kubelet.on('upgrade', echoUpgrade)
  const port = await listen(kubelet)
  objects.put({ group: '', resource: 'nodes' }, {
    ...anObject('Node', '', 'n'),
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    },
  } as KubeObject)
  const proxy = createKubeletProxy({
    objects,
    clock,
    kubelet: { ca: authority.certificate, certificate: client.certificate, key: client.privateKey },
  })
  front = createFront(proxy)
  frontPort = await listen(front)
})

afterAll(async () => {
  for (const server of [front, kubelet]) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

describe('logs', () => {
  test('come from the kubelet as they are written, asked for with our certificate', async () => {
    const answer = await fetch(`http://127.0.0.1:${frontPort}/log?follow=true&tailLines=5&sinceSeconds=9`)

    expect(answer.headers.get('content-type')).toBe('text/plain')
    expect(await answer.text()).toBe('one\ntwo\n')
    expect(asked.at(-1)).toBe('/containerLogs/a/p/main?follow=true&tailLines=5&sinceSeconds=9')
    expect(clientName).toBe('apiserver')
  })

  test('are refused in the words of Kubernetes', async () => {
    expect(await refusal('/log?container=none')).toEqual([400, 'container none is not valid for pod p'])
    expect(await refusal('/log?tailLines=-1')).toEqual([
      422,
      'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    ])
    expect(await refusal('/log?previous=true')).toEqual([400, 'previous terminated container not found'])
  })
})

describe('exec', () => {
  test('becomes a pipe between client and kubelet', async () => {
    const socket = await upgraded('/exec?stdin=1&stdout=true&command=sh&command=-c')

    expect(await roundTrip(socket, 'hello')).toBe('echo:hello')
    expect(asked.at(-1)).toBe('/exec/a/p/main?input=1&output=1&command=sh&command=-c')
    const ended = new Promise((resolve) => socket.once('close', resolve))
    socket.end()
    await ended
  })

  test('answers with a Status when the kubelet refuses', async () => {
    const socket = connect(frontPort, '127.0.0.1')
    socket.write('POST /attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: refused\r\n\r\n')

    expect(await firstChunk(socket)).toContain('no such container')
    socket.destroy()
  })

  test('needs an upgrade', async () => {
    expect(await refusal('/exec?command=ls')).toEqual([400, 'Upgrade request required'])
  })
})

function answerAsKubelet(request: IncomingMessage, response: ServerResponse): void {
  asked.push(request.url ?? '')
  clientName = String((request.socket as TLSSocket).getPeerCertificate().subject.CN)
  if (request.url?.includes('previous')) {
    response.writeHead(400).end('previous terminated container not found')
    return
  }
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.write('one\n')
  setImmediate(() => response.end('two\n'))
}

function echoUpgrade(request: IncomingMessage, socket: Duplex): void {
  asked.push(request.url ?? '')
  if (request.headers.upgrade === 'refused') {
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\nConnection: close\r\n\r\nno such container')
    return
  }
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  socket.on('error', () => {})
  socket.on('data', (chunk) => socket.write(`echo:${chunk}`))
  socket.on('end', () => socket.end())
}

/** Stands for the API server's own door: calls the proxy and turns refusals into answers. */
function createFront(proxy: ReturnType<typeof createKubeletProxy>): Server {
  const server = createHttpServer((request, response) => {
    proxy(aRequest(request), { type: 'response', request, response }).catch((error: unknown) => {
      const status = error instanceof StatusError ? error.status : { code: 500, message: String(error) }
      response.writeHead(status.code ?? 500).end(JSON.stringify(status))
    })
  })
  server.on('upgrade', (request, socket, head) => {
    proxy(aRequest(request), { type: 'upgrade', request, socket, head }).catch((error: unknown) => {
      socket.end(`HTTP/1.1 400 Refused\r\nConnection: close\r\n\r\n${(error as Error).message}`)
    })
  })
  return server
}

function aRequest(request: IncomingMessage) {
  const url = new URL(request.url ?? '/', 'http://x')
  return {
    method: request.method ?? 'GET',
    verb: 'get',
    resource: { group: '', plural: 'pods' } as Resource,
    key: { namespace: 'a', name: 'p' },
    subresource: url.pathname.slice(1),
    path: '',
    query: url.searchParams,
    user: { name: 'jo', groups: [] },
    object: {
      ...anObject('Pod', 'a', 'p'),
      spec: { nodeName: 'n', containers: [{ name: 'main' }] },
    } as KubeObject,
    signal: new AbortController().signal,
  }
}

const anObject = (kind: string, namespace: string, name: string): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, ...(namespace === '' ? {} : { namespace }) },
})

async function refusal(path: string): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${frontPort}${path}`)
  return [answer.status, ((await answer.json()) as { message: string }).message]
}

async function upgraded(path: string): Promise<Socket> {
  const socket = connect(frontPort, '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`)
  expect(await firstChunk(socket)).toContain('101 Switching Protocols')
  return socket
}

const firstChunk = (socket: Socket): Promise<string> =>
  new Promise((resolve) => socket.once('data', (chunk) => resolve(String(chunk))))

function roundTrip(socket: Socket, text: string): Promise<string> {
  socket.write(text)
  return firstChunk(socket)
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
