import { createSecureServer, type Http2SecureServer, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { createClient } from '@outrigger/client'
import { SeededRandom, SystemClock, silentLogger } from '@outrigger/foundation'
import { type KubeObject, resources } from '@outrigger/kube'
import { expect, test } from 'vitest'
import { createInformer } from './list-watch-informer.ts'

test('an informer outlives its API server, over real connections', async () => {
  const world = new World()
  const tls = await aCertificate()
  let api = await serve(world, tls, 0)
  const client = createClient({
    config: { server: `https://127.0.0.1:${api.port}`, certificateAuthority: tls.authority },
    clock: new SystemClock(),
  })
  const informer = createInformer<KubeObject>({
    client,
    resource: resources.configMaps,
    clock: new SystemClock(),
    random: new SeededRandom(),
    logger: silentLogger,
    backoff: { initial: 10, max: 50 },
  })
  const controller = new AbortController()
  const running = informer.run(controller.signal)
  world.put('a')
  await until(() => informer.store.size === 1)

  await api.kill()
  world.put('b')
  api = await serve(world, tls, api.port)
  await until(() => informer.store.size === 2)
  expect(informer.counters.relists).toBe(0)

  await api.kill()
  world.remove('a')
  world.forgetThePast()
  api = await serve(world, tls, api.port)
  await until(() => informer.store.size === 1)
  expect(informer.counters.relists).toBe(1)

  controller.abort()
  await running
  await client.close()
  await api.kill()
})

/** Config maps and their history. */
class World {
  version = 1
  oldest = 0
  readonly objects = new Map<string, KubeObject>()
  readonly log: { readonly version: number; readonly type: string; readonly object: KubeObject }[] = []
  readonly watchers = new Set<(line: string) => void>()

  put(name: string): void {
    this.objects.set(name, this.#record('ADDED', name))
  }

  remove(name: string): void {
    this.objects.delete(name)
    this.#record('DELETED', name)
  }

  forgetThePast(): void {
    this.oldest = this.version
    this.log.length = 0
  }

  #record(type: string, name: string): KubeObject {
    const metadata = { namespace: 'default', name, uid: name, resourceVersion: String(++this.version) }
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata }
    this.log.push({ version: this.version, type, object })
    for (const watcher of this.watchers) watcher(`${JSON.stringify({ type, object })}\n`)
    return object
  }
}

interface Tls {
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

async function aCertificate(): Promise<Tls> {
  const now = new SystemClock().now()
  const authority = await createAuthority({ commonName: 'test', now })
  const server = await issueCertificate(authority, {
    commonName: 'server',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  return { authority: authority.certificate, certificate: server.certificate, key: server.privateKey }
}

async function serve(world: World, tls: Tls, port: number) {
  const server: Http2SecureServer = createSecureServer({ cert: tls.certificate, key: tls.key })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('request', (request, response) => {
    const query = new URL(request.url, 'https://x').searchParams
    if (query.get('watch') === 'true') watch(world, Number(query.get('resourceVersion')), response)
    else
      response.end(
        JSON.stringify({
          metadata: { resourceVersion: String(world.version) },
          items: [...world.objects.values()],
        }),
      )
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    // The port that was given for 0.
    port: (server.address() as AddressInfo).port,
    kill: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function watch(world: World, from: number, response: Http2ServerResponse): void {
  if (from < world.oldest) {
    response.writeHead(410)
    response.end(JSON.stringify({ kind: 'Status', code: 410, reason: 'Expired' }))
    return
  }
  response.writeHead(200)
  for (const { version, type, object } of world.log)
    if (version > from) response.write(`${JSON.stringify({ type, object })}\n`)
  const send = (line: string) => void response.write(line)
  world.watchers.add(send)
  response.once('close', () => world.watchers.delete(send))
}

async function until(condition: () => boolean): Promise<void> {
  const clock = new SystemClock()
  for (let step = 0; step < 1_000 && !condition(); step++) await clock.sleep(5)
  expect(condition()).toBe(true)
}
