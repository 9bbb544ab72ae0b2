import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent, request } from 'node:https'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { createGzip } from 'node:zlib'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { type ClusterClient, type ConnectionConfig, createClient, loadKubeconfig } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import { type Draft, type Pod, resources } from '@outrigger/kube'
import { eventually } from '@outrigger/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { untilInjected } from '../journey/until-injected.ts'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'

const { sidecarSets } = outriggerResources
const clock = new SystemClock()
const directory = mkdtempSync(join(tmpdir(), 'outrigger-gateway-'))
const direct = join(directory, 'kubeconfig')
const behind = join(directory, 'behind')
const authorityFile = join(directory, 'ca.pem')
const password = 'a-pass-word-for-the-proxy'
let cluster: OutriggerProcess
let manager: OutriggerProcess
let client: ClusterClient
let gateway: Awaited<ReturnType<typeof startGateway>>
let proxy: Awaited<ReturnType<typeof startProxy>>

beforeAll(async () => {
  cluster = startOutrigger(
    [
      ...['up', '--runtime', 'sim', '--ephemeral', '--without', 'manager', '--port', '0'],
      ...['--data-dir', join(directory, 'data'), '--kubeconfig', direct],
    ],
    process.env,
  )
  await cluster.saw(/Outrigger is up/)
  const config = loadKubeconfig({ path: direct, environment: {} })
  client = createClient({ config, clock })
  gateway = await startGateway(config)
  proxy = await startProxy()
  writeFileSync(behind, kubeconfigBehind(config))
  manager = startOutrigger(['manager', '--kubeconfig', behind, '--webhook-port=0'], process.env)
  await manager.saw(/The manager is ready/, 110_000)
})

afterAll(async () => {
  await manager?.stop()
  await client?.close()
  await proxy?.close()
  await gateway?.close()
  await cluster?.stop()
  rmSync(directory, { recursive: true, force: true })
})

test('a manager injects and rolls out through a proxy and a gateway that speaks HTTP/1.1, cuts, compresses and stumbles', async () => {
  await client.create<SidecarSet>(sidecarSets, logs)
  await untilInjected(client, 'logs', { namespace: 'default', labels: { app: 'web' } })
  for (const name of ['web-0', 'web-1', 'web-2', 'web-3']) await createPod(name)
  const pods = await until('four pods with a sidecar', (list) => list.every(isReadyWith('logs:1')))

  await setImage('logs:2')

  const updated = await until('four pods with the new image', (list) => list.every(isReadyWith('logs:2')))
  expect(updated.map(({ metadata }) => metadata.uid)).toEqual(pods.map(({ metadata }) => metadata.uid))
  expect(new Set(proxy.asked)).toEqual(new Set([`127.0.0.1:${gateway.port}`]))
  expect(gateway.done.pages).toBeGreaterThan(0)
  expect(gateway.done.compressed).toBeGreaterThan(0)
  expect(new Set(gateway.done.versions)).toEqual(new Set(['1.1']))
})

test('it goes on when the gateway comes back under a new authority', async () => {
  const running = manager.child.pid
  await gateway.renew()

  await setImage('logs:3')

  await until('four pods with the next image', (list) => list.every(isReadyWith('logs:3')))
  await createPod('web-4')
  await until('a fifth pod', (list) => list.length === 5 && list.every(isReadyWith('logs:3')))
  expect(manager.child.pid).toBe(running)
  expect(manager.child.exitCode).toBeNull()
  expect(manager.output()).not.toContain(password)
})

test('commands take the same way', async () => {
  const command = startOutrigger(['explain', 'sidecarset', 'logs', '--kubeconfig', behind], process.env)

  expect(await command.ended).toBe(0)
  expect(command.output()).toContain('logs')
})

test('a command says which proxy turned it away, and no password', async () => {
  const wrong = join(directory, 'wrong')
  const config = loadKubeconfig({ path: direct, environment: {} })
  writeFileSync(wrong, kubeconfigBehind(config, 'not-the-password'))

  const command = startOutrigger(['explain', 'sidecarset', 'logs', '--kubeconfig', wrong], process.env)

  expect(await command.ended).not.toBe(0)
  expect(command.output()).toContain(
    `the proxy 127.0.0.1:${proxy.port} (proxy-url of cluster behind) does not accept the user name and password in its URL`,
  )
  expect(command.output()).not.toContain('not-the-password')
})

/** An L7 gateway before the API server, as companies have them. */
async function startGateway(config: ConnectionConfig) {
  const upstream = new URL(config.server)
  const agent = new Agent({ ca: config.certificateAuthority, keepAlive: true })
  const done = { pages: 0, compressed: 0, versions: [] as string[] }
  let reads = 0
  const http = createHttpServer((incoming, outgoing) => {
    done.versions.push(incoming.httpVersion)
    const isRead = incoming.method === 'GET' && !incoming.url?.includes('watch=true')
    if (isRead && ++reads % 7 === 0) {
      done.pages++
      outgoing.writeHead(503, { 'content-type': 'text/html' }).end('<html><title>Busy</title></html>')
      return
    }
    const compress = isRead && reads % 3 === 0
    if (compress) done.compressed++
    forward(incoming, outgoing, { upstream, agent, compress })
  })
  // Nothing announces it: the connection is gone a second and a half after the last byte of an answer.
  http.keepAliveTimeout = 0
  http.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { socket } = incoming
    socket.setTimeout(0)
    outgoing.once('finish', () => socket.setTimeout(1_500))
  })
  let server = await listen(http, 0)
  const { port } = server.address() as AddressInfo
  return {
    port,
    done,
    /** Ends every connection, and comes back with a certificate of another authority. */
    async renew() {
      await stop(server)
      server = await listen(http, port)
    },
    async close() {
      await stop(server)
      agent.destroy()
    },
  }
}

function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  way: { readonly upstream: URL; readonly agent: Agent; readonly compress: boolean },
): void {
  const { method, url, headers } = incoming
  const { hostname, port, host } = way.upstream
  const sent = request(
    { hostname, port, method, path: url, headers: { ...headers, host }, agent: way.agent },
    (answer) => {
      const { 'content-length': _, connection: __, 'keep-alive': ___, ...rest } = answer.headers
      if (way.compress) {
        outgoing.writeHead(answer.statusCode ?? 502, { ...rest, 'content-encoding': 'gzip' })
        answer.pipe(createGzip()).pipe(outgoing)
      } else {
        outgoing.writeHead(answer.statusCode ?? 502, rest)
        // A watch that has nothing to say yet is answered all the same.
        outgoing.flushHeaders()
        answer.pipe(outgoing)
      }
      answer.on('error', () => outgoing.destroy())
    },
  )
  sent.on('error', () => {
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(502, { 'content-type': 'text/html' }).end('<html><title>Bad</title></html>')
  })
  outgoing.once('close', () => sent.destroy())
  incoming.pipe(sent)
}

const open = new Map<Server, Set<Socket>>()

/** Serves TLS without any protocol negotiation, with a new certificate whose authority it writes into the file. */
async function listen(http: ReturnType<typeof createHttpServer>, port: number): Promise<Server> {
  const now = clock.now()
  const authority = await createAuthority({ commonName: 'gateway', now })
  const { certificate, privateKey } = await issueCertificate(authority, {
    commonName: 'gateway',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  writeFileSync(`${authorityFile}.new`, authority.certificate)
  renameSync(`${authorityFile}.new`, authorityFile)
  const sockets = new Set<Socket>()
  const server = createTlsServer({ cert: certificate, key: privateKey }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('timeout', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
    http.emit('connection', socket)
  })
  open.set(server, sockets)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return server
}

async function startProxy() {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const wanted = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`
  const server = createHttpServer()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('connect', (incoming: IncomingMessage, near: Socket) => {
    near.on('error', () => {})
    if (incoming.headers['proxy-authorization'] !== wanted) {
      near.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
      return
    }
    asked.push(incoming.url ?? '')
    const far = connect(Number(incoming.url?.split(':')[1]), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n')
      near.pipe(far)
      far.pipe(near)
    })
    far.on('error', () => near.destroy())
    far.once('close', () => near.destroy())
    near.once('close', () => far.destroy())
  })
  open.set(server, sockets)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { port, asked, close: () => stop(server) }
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const socket of open.get(server) ?? []) socket.destroy()
  })
}

function kubeconfigBehind(config: ConnectionConfig, secret = password): string {
  const proxyUrl = `http://me:${secret}@127.0.0.1:${proxy.port}`
  return JSON.stringify({
    'current-context': 'behind',
    contexts: [{ name: 'behind', context: { cluster: 'behind', user: 'me' } }],
    clusters: [
      {
        name: 'behind',
        cluster: {
          server: `https://127.0.0.1:${gateway.port}`,
          'certificate-authority': 'ca.pem',
          'proxy-url': proxyUrl,
        },
      },
    ],
    users: [{ name: 'me', user: { token: config.credentials?.token } }],
  })
}

const logs: SidecarSet = {
  apiVersion: 'apps.kruise.io/v1alpha1',
  kind: 'SidecarSet',
  metadata: { name: 'logs' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    updateStrategy: { type: 'RollingUpdate', maxUnavailable: 2 },
    containers: [{ name: 'logs', image: 'logs:1' }],
  },
}

async function setImage(image: string): Promise<void> {
  await client.patch<SidecarSet>(
    sidecarSets,
    { namespace: '', name: 'logs' },
    { type: 'merge', body: { spec: { containers: [{ name: 'logs', image }] } } },
  )
}

function createPod(name: string): Promise<Pod> {
  const pod: Draft<Pod> = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name, labels: { app: 'web' } },
    spec: { containers: [{ name: 'web', image: 'web:1' }] },
  }
  return client.create<Pod>(resources.pods, pod)
}

const isReadyWith = (image: string) => (pod: Pod) =>
  pod.spec.containers.some((one) => one.name === 'logs' && one.image === image) &&
  (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True')

function until(what: string, isRight: (pods: readonly Pod[]) => boolean): Promise<readonly Pod[]> {
  return eventually(
    what,
    async () => {
      const { items } = await client.list<Pod>(resources.pods, { labelSelector: 'app=web' })
      return isRight(items) && items
    },
    { clock, timeout: 90_000, every: 100 },
  )
}
