import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { SystemClock } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { type Pod, resources } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient } from './api-client.ts'
import { answer, bodyOf, pem, startLoopbackServer } from './testing/loopback-server.ts'
import { everything, smallCluster, withExec, worked } from './testing/small-cluster.ts'

const web = { namespace: 'default', name: 'web' }
const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } }
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

describe('a server that only speaks HTTP/1.1', () => {
  test.each([
    ['and says so', ['http/1.1']],
    ['and knows no protocol negotiation', undefined],
  ])('%s serves everything', async (_, protocols) => {
    const { client } = await aGateway(smallCluster, { ...(protocols && { protocols }) })

    expect(await everything(client)).toEqual({ version: '1.1', ...worked })
  })

  test('is asked over one connection by one call after the other', async () => {
    const { client, sockets } = await aGateway(smallCluster)

    for (let call = 0; call < 20; call++) await client.get(resources.pods, web)

    // Also the one that found out what the server speaks.
    expect(sockets.opened).toBe(1)
  })

  test('is not flooded with connections by many calls at once', async () => {
    let isOpen = false
    const waiting: (() => void)[] = []
    const { client, sockets } = await aGateway((_, response) => {
      if (isOpen) return answer(response, 200, pod)
      waiting.push(() => answer(response, 200, pod))
    })
    const controller = new AbortController()

    const calls = Array.from({ length: 200 }, () => client.get(resources.pods, web))
    const aborted = client.get(resources.pods, web, { signal: controller.signal })
    const refused = expect(aborted).rejects.toThrow('enough')
    await until(() => waiting.length === 128)
    controller.abort(new Error('enough'))
    await refused
    isOpen = true
    for (const release of waiting) release()

    expect(await Promise.all(calls)).toHaveLength(200)
    expect(sockets.most).toBeLessThanOrEqual(128)
  })

  test('may learn HTTP/2 and forget HTTP/1.1', async () => {
    const before = await aGateway(smallCluster)
    await before.client.get(resources.pods, web)
    await before.close()
    const after = await startLoopbackServer(smallCluster, { port: before.port })
    closing.push(() => after.close())

    const { metadata } = await before.client.get<Pod>(resources.pods, web)

    expect(metadata.labels).toEqual({ version: '2.0' })
  })
})

describe('a gateway that cuts idle connections', () => {
  test('loses no write: each goes over a connection that is still there, once', async () => {
    const written: string[] = []
    const { client, sockets } = await aGateway(async (request, response) => {
      written.push(await bodyOf(request))
      answer(response, 200, pod)
      response.once('finish', () => request.socket.end())
    })

    for (let number = 0; number < 20; number++) {
      await client.patch(resources.pods, web, { type: 'merge', body: { number } })
      await until(() => sockets.open === 0)
    }

    expect(written).toEqual(Array.from({ length: 20 }, (_, number) => `{"number":${number}}`))
  })

  test('seldom has to: after four seconds we close them ourselves', async () => {
    const clock = new ManualClock()
    const { client, sockets } = await aGateway(smallCluster, { clock })
    await client.get(resources.pods, web)
    await clock.advance(3_900)
    await client.get(resources.pods, web)
    expect(sockets.opened).toBe(1)

    await until(async () => {
      await clock.advance(4_000)
      return sockets.open === 0
    })

    await client.get(resources.pods, web)
    expect(sockets.opened).toBe(2)
  })
})

describe.each([502, 503, 504])('a gateway that answers %i with a page', (status) => {
  const page = `<!DOCTYPE html>\n<html><head><title>${status} Bad\n Gateway</title></head><body>${'x'.repeat(2_000)}</body></html>`

  test('is asked again by who reads', async () => {
    let calls = 0
    const { client } = await aGateway((_, response) => {
      if (++calls < 3) return void response.writeHead(status, { 'content-type': 'text/html' }).end(page)
      answer(response, 200, pod)
    })

    expect(await client.get(resources.pods, web)).toMatchObject({ kind: 'Pod' })
    expect(calls).toBe(3)
  })

  test('is not asked again by who writes, and told of in one line', async () => {
    let calls = 0
    const { client } = await aGateway((_, response) => {
      calls++
      response.writeHead(status, { 'content-type': 'text/html' }).end(page)
    })

    await expect(client.createSubresource(resources.pods, web, 'eviction', {})).rejects.toMatchObject({
      name: 'ApiError',
      code: status,
      message: `the API server answered ${status} with an HTML page (${status} Bad Gateway), as gateways do`,
    })
    expect(calls).toBe(1)
  })
})

test('a JSON patch that a gateway lost is not sent again, even where it says when to come back', async () => {
  let calls = 0
  const { client } = await aGateway((_, response) => {
    calls++
    response.writeHead(503, { 'retry-after': '1' }).end()
  })
  const body = [{ op: 'add', path: '/metadata/finalizers/-', value: 'example.com/x' }]

  await expect(client.patch(resources.pods, web, { type: 'json', body })).rejects.toMatchObject({ code: 503 })
  expect(calls).toBe(1)
})

test('a page instead of an object is told of, and a write not repeated', async () => {
  let calls = 0
  const { client } = await aGateway((_, response) => {
    calls++
    response.writeHead(200).end('<html><title>Log in</title></html>')
  })

  await expect(client.create(resources.pods, pod)).rejects.toMatchObject({
    phase: 'final',
    message: "the answer to POST is an HTML page (Log in), not the API server's",
  })
  await expect(client.get(resources.pods, web)).rejects.toThrow('Log in')
  expect(calls).toBe(2)
})

test.each(['null', '3', '"x"'])('an answer that is %s is refused', async (text) => {
  const { client } = await aGateway((_, response) => void response.end(text))

  await expect(client.get(resources.pods, web)).rejects.toThrow('the answer to GET is not an object')
})

describe('a gateway that compresses without being asked', () => {
  test('is understood, in objects, refusals and watches', async () => {
    const { client } = await aGateway((request, response) => {
      const isWatch = request.url?.includes('watch=true')
      const refusal = { kind: 'Status', code: 404, reason: 'NotFound', message: 'gone' }
      const text = isWatch
        ? `${JSON.stringify({ type: 'ADDED', object: pod })}\n`
        : JSON.stringify(request.method === 'GET' ? pod : refusal)
      response.writeHead(request.method === 'GET' ? 200 : 404, { 'content-encoding': 'gzip' })
      const bytes = gzipSync(text)
      response.write(bytes.subarray(0, 15))
      setImmediate(() => response.end(bytes.subarray(15)))
    })

    expect(await client.get(resources.pods, web)).toEqual(pod)
    await expect(client.delete(resources.pods, web)).rejects.toMatchObject({ reason: 'NotFound' })
    const events: unknown[] = []
    for await (const event of client.watch(resources.pods, { signal: AbortSignal.timeout(60_000) }))
      events.push(event)
    expect(events).toEqual([{ type: 'ADDED', object: pod }])
  })

  test('may not fill the memory with a few bytes', async () => {
    // A megabyte of zeros is a kilobyte; gzip allows any number of such members in a row.
    const megabyte = gzipSync(Buffer.alloc(1024 * 1024))
    const { client } = await aGateway((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      response.end(Buffer.concat(Array<Buffer>(300).fill(megabyte)))
    })

    await expect(client.raw({ method: 'POST', path: '/x', timeout: 60_000 })).rejects.toMatchObject({
      phase: 'final',
      message: 'the answer is larger than 268435456 bytes',
    })
  })

  test.each([
    ['cut off', gzipSync('{"a":1}').subarray(0, 20), 'gzip', /connection lost while the answer arrived/],
    ['no gzip', Buffer.from('{"a":1}'), 'gzip', /connection lost while the answer arrived/],
    ['something else', Buffer.from('x'), 'br', /encoded as br, which was not asked for/],
  ])('is told when its answer is %s', async (_, bytes, encoding, message) => {
    const { client } = await aGateway((_, response) => {
      response.writeHead(200, { 'content-encoding': encoding }).end(bytes)
    })

    await expect(client.raw({ method: 'POST', path: '/x' })).rejects.toThrow(message)
  })

  test('may say so of nothing', async () => {
    const { client } = await aGateway((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': 0 }).end()
    })

    expect((await client.raw({ method: 'POST', path: '/x' })).body).toHaveLength(0)
  })
})

describe('an answer in chunks that is cut in the middle', () => {
  const cut: RequestListener = (request, response) => {
    response.writeHead(200)
    response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n{"type":')
    setImmediate(() => request.socket.destroy())
  }

  test('fails a write, which is not repeated', async () => {
    let calls = 0
    const { client } = await aGateway((request, response) => {
      calls++
      cut(request, response)
    })

    await expect(client.patch(resources.pods, web, { type: 'merge', body: {} })).rejects.toMatchObject({
      name: 'ConnectionError',
      phase: 'lost',
    })
    expect(calls).toBe(1)
  })

  test('fails a watch after the events that arrived', async () => {
    const { client } = await aGateway(cut)
    const seen: string[] = []
    const watching = async () => {
      for await (const event of client.watch(resources.pods, { signal: AbortSignal.timeout(60_000) }))
        seen.push(event.type)
    }

    await expect(watching()).rejects.toMatchObject({ name: 'ConnectionError' })
    expect(seen).toEqual(['ADDED'])
  })
})

describe('a gateway that redirects', () => {
  test.each([301, 302, 303, 307, 308])(
    'leads who reads by %i to another path of the same server',
    async (status) => {
      const { client } = await aGateway((request, response) => {
        if (request.url !== '/moved?a=b')
          return void response.writeHead(status, { location: '/moved?a=b' }).end('moved')
        answer(response, 200, { ...pod, authorization: request.headers.authorization })
      })

      expect(await client.get(resources.pods, web)).toMatchObject({ authorization: 'Bearer secret' })
    },
  )

  test('is not followed by who writes', async () => {
    const asked: string[] = []
    const { client } = await aGateway((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.writeHead(307, { location: '/moved?x=y' }).end()
    })

    await expect(client.delete(resources.pods, web)).rejects.toMatchObject({
      code: 307,
      message: 'the API server answered 307 and points to /moved, which is not followed',
    })
    expect(asked).toEqual(['DELETE /api/v1/namespaces/default/pods/web'])
  })

  test('does not get our credentials carried to another server', async () => {
    let others = 0
    const other = await aGateway((_, response) => {
      others++
      answer(response, 200, pod)
    })
    const { client } = await aGateway((_, response) => {
      response.writeHead(302, { location: `https://me:pass@127.0.0.1:${other.port}/login?token=t` }).end()
    })

    await expect(client.get(resources.pods, web)).rejects.toThrow(
      `the API server answered 302 and points to https://127.0.0.1:${other.port}/login, which is not followed`,
    )
    expect(others).toBe(0)
  })

  test('is given up when it leads in a circle', async () => {
    let calls = 0
    const { client } = await aGateway((_, response) => {
      calls++
      response.writeHead(302, { location: '/x' }).end()
    })

    await expect(client.get(resources.pods, web)).rejects.toMatchObject({ code: 302 })
    expect(calls).toBe(6)
  })
})

/** A TLS server for HTTP/1.1 that counts its connections. */
async function aGateway(
  handler: RequestListener,
  options: { readonly protocols?: string[]; readonly clock?: ManualClock } = {},
) {
  const http = createServer(handler)
  withExec(http as Server)
  const open = new Set<TLSSocket>()
  const sockets = {
    opened: 0,
    most: 0,
    get open() {
      return open.size
    },
  }
  const server = createTlsServer(
    {
      cert: pem('server'),
      key: pem('server-key'),
      ...(options.protocols && { ALPNProtocols: options.protocols }),
    },
    (socket) => {
      sockets.opened++
      open.add(socket)
      sockets.most = Math.max(sockets.most, open.size)
      socket.on('error', () => {})
      socket.once('close', () => open.delete(socket))
      http.emit('connection', socket)
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // The server's own port, read back because 0 asks for a free one.
  const { port } = server.address() as AddressInfo
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of open) socket.destroy()
    })
  const client = createClient({
    config: {
      server: `https://127.0.0.1:${port}`,
      certificateAuthority: pem('ca'),
      credentials: { token: 'secret' },
    },
    clock: options.clock ?? new SystemClock(),
  })
  closing.push(close, () => client.close())
  return { client, port, sockets, close }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let step = 0; step < 12_000 && !(await condition()); step++)
    await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await condition()).toBe(true)
}
