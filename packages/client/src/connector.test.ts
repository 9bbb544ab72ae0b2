import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SystemClock } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { resources } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient } from './api-client.ts'
import type { ConnectionConfig } from './connection-config.ts'
import {
  type LoopbackProxy,
  type ProxyOptions,
  startHttpProxy,
  startSocksProxy,
} from './testing/loopback-proxy.ts'
import { pem, startLoopbackServer } from './testing/loopback-server.ts'
import { everything, smallCluster, withExec, worked } from './testing/small-cluster.ts'

const web = { namespace: 'default', name: 'web' }
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const kinds = {
  http: (options: ProxyOptions) => startHttpProxy(options),
  https: (options: ProxyOptions) => startHttpProxy({ ...options, isTls: true }),
  socks5: (options: ProxyOptions) => startSocksProxy(options),
} as const
type Kind = keyof typeof kinds

describe.each(['http', 'https', 'socks5'] as const)('through a proxy over %s', (kind) => {
  test.each(['h2', 'http/1.1'] as const)('calls, watches, logs and exec work over %s', async (protocol) => {
    const server = await aCluster(protocol)
    const { proxy, config } = await behind(kind, server.config, { login: 'us@er:p:ss' })
    const client = aClient(config)

    expect(await everything(client)).toEqual({ version: protocol === 'h2' ? '2.0' : '1.1', ...worked })
    const { port } = new URL(server.config.server)
    const verb = kind === 'socks5' ? 'SOCKS' : 'CONNECT'
    expect(new Set(proxy.asked)).toEqual(new Set([`${verb} 127.0.0.1:${port}`]))
  })

  test('the proxy looks the name of the server up', async () => {
    const server = await aCluster('h2')
    const { port } = new URL(server.config.server)
    const { proxy, config } = await behind(kind, {
      ...server.config,
      server: `https://api.test:${port}`,
    })

    expect(await aClient(config).get(resources.pods, web)).toMatchObject({ kind: 'Pod' })
    expect(proxy.asked[0]).toMatch(new RegExp(`api.test:${port}$`))
  })

  test('works for a server without TLS', async () => {
    const { server, url } = await aPlainCluster()
    closing.push(async () => void server.close())
    const { proxy, config } = await behind(kind, { server: url }, { login: 'me:secret' })

    expect(await everything(aClient(config))).toEqual({ version: '1.1', ...worked })
    // What has no end of its own is asked for through a tunnel; the rest is forwarded, as proxies want it.
    if (kind !== 'socks5') {
      expect(proxy.asked).toContain(`GET ${url}/api/v1/namespaces/default/pods/web`)
      expect(proxy.asked.at(-1)).toBe(`CONNECT ${new URL(url).host}`)
    }
  })

  test.each([
    ['without a login', '', 'http: 407'],
    ['with a wrong one', 'me:wrong@', 'http: 407'],
  ])('says that the proxy refuses us %s, and no secret', async (_, login) => {
    const server = await aCluster('h2')
    const { proxy, config } = await behind(kind, server.config, { login: 'me:secret' }, login)

    const error = await aClient(config)
      .get(resources.pods, web)
      .catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ name: 'ConnectionError', phase: 'final' })
    const { message } = error as Error
    expect(message).toContain(`the proxy 127.0.0.1:${proxy.port} (proxy-url of cluster c)`)
    expect(message).toContain('user name and password')
    expect(messages(error)).not.toMatch(/secret|wrong/)
  })

  test('says which proxy cannot be reached, and no secret', async () => {
    const server = await aCluster('h2')
    const { proxy, config } = await behind(kind, server.config, {}, 'me:secret@')
    await proxy.close()

    const error = await aClient(config)
      .createSubresource(resources.pods, web, 'eviction', {})
      .catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ name: 'ConnectionError', phase: 'connect' })
    expect((error as Error).message).toContain(
      `cannot reach the proxy 127.0.0.1:${proxy.port} (proxy-url of cluster c): `,
    )
    expect(messages(error)).not.toMatch(/secret/)
  })
})

test.each([
  ['http', 403, 'final', 'does not let us through to the API server: it answered 403'],
  ['http', 502, 'connect', 'cannot reach the API server: it answered 502'],
  ['socks5', 2, 'final', 'does not connect us to the API server: its rules do not allow the connection'],
  ['socks5', 5, 'connect', 'does not connect us to the API server: connection refused'],
] as const)('over %s a proxy that answers %i is told of', async (kind, refuse, phase, message) => {
  const server = await aCluster('h2')
  const { config } = await behind(kind, server.config, { refuse })

  const calls = [
    () => aClient(config).create(resources.pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' } }),
    () => aClient(config).exec(web, { command: ['true'] }),
  ]

  for (const call of calls) {
    const error: unknown = await call().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'ConnectionError', phase, message: expect.stringContaining(message) })
  }
})

describe('a proxy that says nothing', () => {
  test('is named when the call has run out of time', async () => {
    const server = await aCluster('h2')
    const { proxy, config } = await behind('http', server.config, { isSilent: true })
    const clock = new ManualClock()
    const client = createClient({ config, clock })
    closing.push(() => client.close())

    const call = client.version().catch((thrown: unknown) => thrown)
    let isSettled = false
    void call.then(() => {
      isSettled = true
    })
    for (let step = 0; step < 20_000 && !isSettled; step++) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      await clock.advance(100)
    }

    expect(await call).toMatchObject({
      phase: 'timeout',
      message: `no answer to GET /version within 30000 ms; before: cannot connect to ${server.config.server} through the proxy 127.0.0.1:${proxy.port} (proxy-url of cluster c): no answer`,
    })
  })

  test('does not keep a call that is aborted, nor a client that is closed', async () => {
    const server = await aCluster('h2')
    const { proxy, config } = await behind('http', server.config, { isSilent: true })
    const client = aClient(config)
    const controller = new AbortController()
    const aborted = client.version({ signal: controller.signal }).catch((thrown: unknown) => thrown)
    const closed = client.version().catch((thrown: unknown) => thrown)
    while (proxy.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))

    controller.abort(new Error('enough'))
    expect(await aborted).toMatchObject({ message: 'enough' })
    await client.close()
    expect(await closed).toMatchObject({ message: 'the client is closed' })
  })
})

async function aCluster(protocol: 'h2' | 'http/1.1') {
  // Exec comes over HTTP/1.1 also where everything else comes over HTTP/2.
  const server = await startLoopbackServer(smallCluster, { protocol, allowHTTP1: true })
  withExec(server.server as Server)
  closing.push(() => server.close())
  return server
}

async function aPlainCluster() {
  const server = createServer(smallCluster)
  withExec(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { server, url: `http://127.0.0.1:${port}` }
}

async function behind(
  kind: Kind,
  config: ConnectionConfig,
  options: ProxyOptions = {},
  login = options.login === undefined
    ? ''
    : `${options.login.split(':').map(encodeURIComponent)[0]}:${encodeURIComponent(options.login.slice(options.login.indexOf(':') + 1))}@`,
): Promise<{ proxy: LoopbackProxy; config: ConnectionConfig }> {
  const proxy = await kinds[kind](options)
  closing.push(() => proxy.close())
  const url = `${kind}://${login}127.0.0.1:${proxy.port}`
  // The https proxy's certificate comes from the same authority.
  const certificateAuthority = config.certificateAuthority ?? pem('ca')
  return {
    proxy,
    config: { ...config, certificateAuthority, proxy: { url, source: 'proxy-url of cluster c' } },
  }
}

function aClient(config: ConnectionConfig) {
  const client = createClient({ config, clock: new SystemClock() })
  closing.push(() => client.close())
  return client
}

/** Everything an error and its causes say. */
function messages(error: unknown): string {
  return error instanceof Error ? `${error.stack} ${JSON.stringify(error)} ${messages(error.cause)}` : ''
}
