import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { SystemClock } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { type KubeObject, type Pod, resources } from '@outrigger/kube'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { type ClusterClient, createClient } from './api-client.ts'
import { ApiError, ConnectionError, isGone, isNotFound } from './api-error.ts'
import type { ConnectionConfig } from './connection-config.ts'
import {
  answer,
  bodyOf,
  type Handler,
  type LoopbackServer,
  pem,
  startLoopbackServer,
  startRelay,
} from './testing/loopback-server.ts'

const web = { namespace: 'default', name: 'web' }
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

describe('ApiClient', () => {
  test('sends what each call is made of', async () => {
    const seen: string[] = []
    const { client } = await aClient(async (request, response) => {
      seen.push(
        `${request.method} ${request.url} ${request.headers['content-type'] ?? '-'} ${await bodyOf(request)}`,
      )
      answer(response, 200, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } })
    })

    await client.get(resources.pods, web)
    await client.list(resources.pods, { labelSelector: 'a=b,c', limit: 5 })
    await client.list(resources.nodes)
    await client.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'x' },
    })
    await client.patch(resources.pods, web, { type: 'json', body: [] }, { subresource: 'status' })
    await client.patch(
      resources.deployments,
      web,
      { type: 'apply', body: {} },
      { fieldManager: 'me', force: true },
    )
    await client.update(
      {
        group: 'certificates.k8s.io',
        version: 'v1',
        resource: 'certificatesigningrequests',
        kind: 'CertificateSigningRequest',
        namespaced: false,
      },
      { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { name: 'csr' } },
      { subresource: 'approval' },
    )
    await client.delete(resources.pods, web, { gracePeriodSeconds: 0, preconditions: { uid: 'u' } })
    await client.deleteCollection(resources.pods, { namespace: 'default', labelSelector: 'a' })
    await client.createSubresource(resources.pods, web, 'eviction', { kind: 'Eviction' }, { dryRun: true })

    expect(seen).toEqual([
      'GET /api/v1/namespaces/default/pods/web - ',
      'GET /api/v1/pods?labelSelector=a%3Db%2Cc&limit=5 - ',
      'GET /api/v1/nodes - ',
      'POST /api/v1/namespaces/default/configmaps application/json {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}',
      'PATCH /api/v1/namespaces/default/pods/web/status application/json-patch+json []',
      'PATCH /apis/apps/v1/namespaces/default/deployments/web?fieldManager=me&force=true application/apply-patch+yaml {}',
      'PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/csr/approval application/json {"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"csr"}}',
      'DELETE /api/v1/namespaces/default/pods/web application/json {"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,"preconditions":{"uid":"u"}}',
      'DELETE /api/v1/namespaces/default/pods?labelSelector=a application/json {"apiVersion":"v1","kind":"DeleteOptions"}',
      'POST /api/v1/namespaces/default/pods/web/eviction?dryRun=All application/json {"kind":"Eviction"}',
    ])
  })

  test('turns a refusal into an error with its Status', async () => {
    const { client } = await aClient((_, response) => answer(response, 404, status(404, 'NotFound')))

    const error = await client.get(resources.pods, web).catch((thrown: unknown) => thrown)

    expect(isNotFound(error)).toBe(true)
    expect(error).toMatchObject({ code: 404, reason: 'NotFound', message: 'NotFound it is' })
  })

  test('hands a refusal to raw callers as it came', async () => {
    const { client } = await aClient((_, response) => answer(response, 403, { no: true }))

    const { status: code, body } = await client.raw({ method: 'POST', path: '/x' })

    expect([code, body.toString()]).toEqual([403, '{"no":true}'])
  })

  test('makes one handshake for many calls, and another only near the limit of streams', async () => {
    const waiting: (() => void)[] = []
    const { client, server } = await aClient((_, response) => {
      waiting.push(() => answer(response, 200, {}))
    })

    const calls = Array.from({ length: 150 }, () => client.raw({ method: 'GET', path: '/x' }))
    await until(() => waiting.length === 150)

    expect(server.sessions.length).toBe(2)
    for (const release of waiting) release()
    await Promise.all(calls)
  })

  test('falls back to HTTP/1.1 where the server speaks nothing else', async () => {
    const { client } = await aClient(
      (request, response) => answer(response, 200, { version: request.httpVersion }),
      { protocol: 'http/1.1' },
    )

    const { body } = await client.raw({ method: 'GET', path: '/x' })

    expect(body.toString()).toBe('{"version":"1.1"}')
  })

  test('refuses a server that its authority does not vouch for, and says so at once', async () => {
    const { server } = await aClient(() => {})
    const client = aClientOf({ server: server.config.server })

    const error = await client.get(resources.pods, web).catch((thrown: unknown) => thrown)

    expect(error).toBeInstanceOf(ConnectionError)
    expect(error).toMatchObject({ phase: 'final' })
  })

  test('shows its certificate', async () => {
    const { server } = await aClient(
      (request, response) => {
        // Both kinds of request come over TLS here.
        const socket = ('stream' in request ? request.stream.session?.socket : request.socket) as TLSSocket
        answer(response, 200, { user: socket.getPeerCertificate().subject.CN })
      },
      { requestClientCertificate: true },
    )
    const clientCertificate = { certificate: pem('client'), key: pem('client-key') }
    const client = aClientOf({ ...server.config, credentials: { clientCertificate } })

    const { body } = await client.raw({ method: 'GET', path: '/x' })

    expect(body.toString()).toBe('{"user":"client"}')
  })

  test('reads its token file again after a 401', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'client-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, 'old\n')
    let accepted = 'Bearer old'
    const { server } = await aClient((request, response) => {
      answer(response, request.headers.authorization === accepted ? 200 : 401, {})
    })
    const client = aClientOf({ ...server.config, credentials: { tokenFile } })
    await client.raw({ method: 'GET', path: '/x' })

    writeFileSync(tokenFile, 'new\n')
    accepted = 'Bearer new'

    expect((await client.raw({ method: 'POST', path: '/x' })).status).toBe(200)
  })

  describe('when the server is in trouble', () => {
    test('repeats what 429 with Retry-After turned away, also writes', async () => {
      let calls = 0
      const { client, clock } = await aManualClient((_, response) => {
        if (++calls === 1) answer(response, 429, status(429, 'TooManyRequests'), { 'retry-after': '1' })
        else answer(response, 200, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } })
      })

      const patched = client.patch<Pod>(resources.pods, web, { type: 'merge', body: {} })
      await advanceUntilSettled(clock, patched)

      expect(calls).toBe(2)
    })

    test('never repeats a write that may have taken effect', async () => {
      let calls = 0
      const { client } = await aClient((request, response) => {
        calls++
        if ('stream' in response) response.stream.session?.destroy()
        else request.socket.destroy()
      })

      const error = await client
        .create(resources.pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' } })
        .catch((thrown: unknown) => thrown)

      expect(error).toMatchObject({ name: 'ConnectionError', phase: 'lost' })
      expect(calls).toBe(1)
    })

    test('repeats a read whose connection broke', async () => {
      let calls = 0
      const { client } = await aClient((_, response) => {
        if (++calls === 1 && 'stream' in response) response.stream.session?.destroy()
        else answer(response, 200, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } })
      })

      expect(await client.get(resources.pods, web)).toMatchObject({ kind: 'Pod' })
      expect(calls).toBe(2)
    })

    test('sends what a closing server did not look at to another connection', async () => {
      const { client, server } = await aClient((_, response) => answer(response, 200, {}))
      await client.raw({ method: 'POST', path: '/x' })

      server.sessions[0]?.goaway()
      const calls = Array.from({ length: 20 }, () => client.raw({ method: 'POST', path: '/x' }))

      expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(20).fill(200))
    })

    test('gives up a call at its timeout', async () => {
      const { client, clock } = await aManualClient(() => {})

      const call = client.get(resources.pods, web, { timeout: 500 })
      await advanceUntilSettled(clock, call)

      await expect(call).rejects.toMatchObject({ name: 'ConnectionError', phase: 'timeout' })
    })

    test('finds a connection that died silently by its pings', async () => {
      const server = await startLoopbackServer((_, response) => {
        response.writeHead(200)
        response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
      })
      const relay = await startRelay(server)
      const clock = new ManualClock()
      const client = createClient({ config: relay.config, clock })
      closing.push(server.close, relay.close, () => client.close())
      const events = client
        .watch(resources.pods, { signal: new AbortController().signal })
        [Symbol.asyncIterator]()
      await events.next()

      relay.cut()
      const next = events.next()
      await advanceUntilSettled(clock, next)

      await expect(next).rejects.toMatchObject({ message: expect.stringContaining('stalled') })
    })
  })

  test('ends an aborted call at once and frees its stream', async () => {
    let wasFreed = false
    const controller = new AbortController()
    const { client } = await aClient((_, response) => {
      response.once('close', () => {
        wasFreed = true
      })
      controller.abort(new Error('enough'))
    })
    const call = client.get(resources.pods, web, { signal: controller.signal })

    await expect(call).rejects.toThrow('enough')
    await until(() => wasFreed)
  })

  test('fails calls after it was closed', async () => {
    const { client } = await aClient((_, response) => answer(response, 200, {}))
    await client.raw({ method: 'GET', path: '/x' })

    await client.close()

    await expect(client.raw({ method: 'GET', path: '/x' })).rejects.toThrow('the client is closed')
  })

  describe('watch', () => {
    test('yields events however they are cut into chunks', async () => {
      const lines = ['ADDED', 'MODIFIED', 'DELETED']
        .map((type) => JSON.stringify({ type, object: { metadata: { name: 'ä'.repeat(9) } } }))
        .join('\n')
      const { client } = await aClient(async (request, response) => {
        expect(request.url).toBe('/api/v1/pods?resourceVersion=7&watch=true&allowWatchBookmarks=true')
        response.writeHead(200)
        for (const byte of Buffer.from(`${lines}\n`)) {
          response.write(Buffer.of(byte))
          if (byte % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        response.end()
      })
      const types: string[] = []

      const signal = AbortSignal.timeout(10_000)
      for await (const event of client.watch(resources.pods, {
        resourceVersion: '7',
        allowBookmarks: true,
        signal,
      }))
        types.push(`${event.type} ${(event.object as KubeObject).metadata.name}`)

      expect(types).toEqual(['ADDED', 'MODIFIED', 'DELETED'].map((type) => `${type} äääääääää`))
    })

    test('throws what an ERROR event says', async () => {
      const { client } = await aClient((_, response) => {
        response.writeHead(200)
        response.end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired') })}\n`)
      })

      const error = await drain(client.watch(resources.pods, { signal: AbortSignal.timeout(10_000) }))

      expect(error).toBeInstanceOf(ApiError)
      expect(isGone(error)).toBe(true)
    })

    test('throws when the connection breaks', async () => {
      const { client } = await aClient((_, response) => {
        response.writeHead(200)
        response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
        if ('stream' in response) setTimeout(() => response.stream.session?.destroy(), 20)
      })

      const error = await drain(client.watch(resources.pods, { signal: AbortSignal.timeout(10_000) }))

      expect(error).toBeInstanceOf(ConnectionError)
    })

    test.each(['h2', 'http/1.1'] as const)('ends at once when it is aborted, over %s', async (protocol) => {
      let wasFreed = false
      const { client } = await aClient(
        (_, response) => {
          response.once('close', () => {
            wasFreed = true
          })
          response.writeHead(200)
          response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
        },
        { protocol },
      )
      const controller = new AbortController()
      const watch = client.watch(resources.pods, { signal: controller.signal })
      const events = watch[Symbol.asyncIterator]()
      await events.next()
      const next = events.next()
      controller.abort(new Error('enough'))

      await expect(next).rejects.toThrow('enough')
      await until(() => wasFreed)
    })

    test('throws when an HTTP/1.1 connection breaks', async () => {
      const { client } = await aClient(
        (request, response) => {
          response.writeHead(200)
          response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
          setTimeout(() => request.socket.destroy(), 20)
        },
        { protocol: 'http/1.1' },
      )

      const error = await drain(client.watch(resources.pods, { signal: AbortSignal.timeout(10_000) }))

      expect(error).toBeInstanceOf(ConnectionError)
    })

    test('frees its stream when left early', async () => {
      let wasFreed = false
      const { client } = await aClient((_, response) => {
        response.once('close', () => {
          wasFreed = true
        })
        response.writeHead(200)
        response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
      })

      for await (const _ of client.watch(resources.pods, { signal: new AbortController().signal })) break

      await until(() => wasFreed)
    })
  })

  test('asks discovery once a minute what the server serves', async () => {
    let calls = 0
    const { client } = await aClient((request, response) => {
      calls++
      if (request.url === '/api/v1')
        answer(response, 200, { resources: [{ name: 'pods' }, { name: 'pods/log' }] })
      else answer(response, 404, status(404, 'NotFound'))
    })

    const answers = [
      await client.serves(resources.pods),
      await client.serves(resources.nodes),
      await client.serves(resources.deployments),
    ]

    expect(answers).toEqual([true, false, false])
    expect(calls).toBe(2)
  })

  test('streams a log', async () => {
    const { client } = await aClient((request, response) => {
      expect(request.url).toBe('/api/v1/namespaces/default/pods/web/log?container=main&follow=true')
      response.writeHead(200)
      response.write('one\n')
      setTimeout(() => response.end('two\n'), 10)
    })
    let text = ''

    for await (const chunk of client.followLog(web, { container: 'main', follow: true }))
      text += Buffer.from(chunk)

    expect(text).toBe('one\ntwo\n')
  })
})

const status = (code: number, reason: string) => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  code,
  reason,
  message: `${reason} it is`,
})

function aClientOf(config: ConnectionConfig): ClusterClient {
  const client = createClient({ config, clock: new SystemClock() })
  closing.push(() => client.close())
  return client
}

async function aClient(
  handler: Handler,
  options?: Parameters<typeof startLoopbackServer>[1],
): Promise<{ client: ClusterClient; server: LoopbackServer }> {
  const server = await startLoopbackServer(handler, options)
  closing.push(() => server.close())
  return { client: aClientOf(server.config), server }
}

async function aManualClient(handler: Handler) {
  const server = await startLoopbackServer(handler)
  closing.push(() => server.close())
  const clock = new ManualClock()
  const client = createClient({ config: server.config, clock })
  closing.push(() => client.close())
  return { client, clock }
}

/** Real sockets need real turns of the event loop between the steps of the clock. */
async function advanceUntilSettled(clock: ManualClock, work: Promise<unknown>): Promise<void> {
  let isSettled = false
  work.then(
    () => (isSettled = true),
    () => (isSettled = true),
  )
  for (let step = 0; step < 500 && !isSettled; step++) {
    await new Promise((resolve) => setTimeout(resolve, 2))
    await clock.advance(200)
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let step = 0; step < 10_000 && !condition(); step++)
    await new Promise((resolve) => setTimeout(resolve, 5))
  expect(condition()).toBe(true)
}

async function drain(events: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const _ of events);
    return undefined
  } catch (error) {
    return error
  }
}
