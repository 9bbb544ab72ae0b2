import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, issueCertificate, type KeyPair } from '@outrigger/certificates'
import { SystemClock, SystemRandom, silentLogger } from '@outrigger/foundation'
import { type DiscoveryDocument, discoveryTable } from '@outrigger/kube'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ApiServerOptions, createApiServer } from './api-server.ts'

let authority: KeyPair
let own: KeyPair

beforeAll(async () => {
  const now = Date.now()
  authority = await createAuthority({ commonName: 'test', now })
  own = await issueCertificate(authority, {
    commonName: 'apiserver',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
})

interface Answer {
  readonly status: number
  readonly body: string
  readonly etag: string
}

interface Running {
  readonly url: string
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  stop(): Promise<void>
}

async function start(options: Partial<ApiServerOptions> = {}): Promise<Running> {
  const server = createApiServer({
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    tls: {
      certificate: own.certificate,
      key: own.privateKey,
      clientAuthorities: authority.certificate,
    },
    tokens: [{ token: 'admin', user: { name: 'admin', groups: ['system:masters'] } }],
    ...options,
  })
  const stop = new AbortController()
  const running = server.run(stop.signal)
  const { url } = await Promise.race([server.ready, running.then(() => server.ready)])
  return {
    url,
    call: (method, path, body, headers) => send(`${url}${path}`, method, body, headers),
    async stop() {
      stop.abort()
      await running
    },
  }
}

function send(
  url: string,
  method: string,
  body?: unknown,
  headers: Record<string, string> = { authorization: 'Bearer admin' },
  client: Partial<{ cert: string; key: string }> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      url,
      {
        method,
        ca: authority.certificate,
        ...client,
        headers: { 'content-type': 'application/json', ...headers },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: text, etag: response.headers.etag ?? '' }),
        )
      },
    )
    request.on('error', reject)
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  })
}

const configMaps = '/api/v1/namespaces/default/configmaps'

describe('an API server', () => {
  it('writes what people look at indented, as kube-apiserver does', async () => {
    const server = await start()
    const { body } = await server.call('GET', '/version')
    const slashed = await server.call('GET', '/version/')
    const root = await server.call('GET', '/')
    await server.stop()

    expect(body.startsWith('{\n  "major": "1",\n  "minor": "36",\n')).toBe(true)
    expect(slashed.body).toBe(body)
    expect(body.endsWith('\n}')).toBe(true)
    expect(root.body.startsWith('{\n  "paths": [\n    "/.well-known/openid-configuration",\n')).toBe(true)
  })

  it('is found under the loopback address when it listens everywhere', async () => {
    const server = await start({ listen: { host: '0.0.0.0', port: 0 } })
    const { status } = await server.call('GET', '/version')
    await server.stop()

    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    expect(status).toBe(200)
  })

  it('still has its objects after a restart with the same data directory', async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'apiserver-'))
    try {
      const first = await start({ dataDirectory })
      const created = await first.call('POST', configMaps, { metadata: { name: 'a' }, data: { x: '1' } })
      await first.stop()
      const second = await start({ dataDirectory })
      const found = await second.call('GET', `${configMaps}/a`)
      expect(JSON.parse(found.body)).toEqual(JSON.parse(created.body))
      await second.stop()
    } finally {
      rmSync(dataDirectory, { recursive: true })
    }
  })

  it('refuses a data directory that another server uses', async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'apiserver-'))
    const first = await start({ dataDirectory })
    await expect(start({ dataDirectory })).rejects.toThrow(/another server uses/)
    await first.stop()
    rmSync(dataDirectory, { recursive: true })
  })

  it('ends open watches when it stops', async () => {
    const server = await start()
    const watch = server.call('GET', `${configMaps}?watch=true&resourceVersion=0`)
    await server.call('POST', configMaps, { metadata: { name: 'a' } })
    await server.stop()
    // Cut off or ended, but over.
    await watch.then(
      ({ status }) => expect(status).toBe(200),
      (error: NodeJS.ErrnoException) => expect(error.code).toBe('ECONNRESET'),
    )
  })

  it('tells a watcher whose revision is forgotten so in the stream', async () => {
    const server = await start()
    const { status, body } = await server.call('GET', `${configMaps}?watch=true&resourceVersion=1`)
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } })
    await server.stop()
  })

  it('refuses bodies over 3 MiB', async () => {
    const server = await start()
    const body = JSON.stringify({ metadata: { name: 'a' }, data: { x: 'x'.repeat(3 * 1024 * 1024) } })
    expect((await server.call('POST', configMaps, body)).status).toBe(413)
    await server.stop()
  })

  it('knows users by client certificates of its authority and nobody else', async () => {
    const server = await start()
    const now = Date.now()
    const user = { commonName: 'jo', organizations: ['system:masters'], usages: ['client' as const], now }
    const known = await issueCertificate(authority, user)
    const stranger = await issueCertificate(await createAuthority({ commonName: 'other', now }), user)
    const ask = ({ certificate, privateKey }: KeyPair) =>
      send(`${server.url}${configMaps}`, 'GET', undefined, {}, { cert: certificate, key: privateKey })
    expect((await ask(known)).status).toBe(200)
    expect((await ask(stranger)).status).toBe(403)
    await server.stop()
  })

  it('refuses the anonymous, and wrong tokens', async () => {
    const server = await start()
    expect((await server.call('GET', configMaps, undefined, {})).status).toBe(403)
    const wrong = { authorization: 'Bearer wrong' }
    expect((await server.call('GET', configMaps, undefined, wrong)).status).toBe(401)
    await server.stop()
  })

  it('lets every one of many racing patches take effect', async () => {
    const server = await start()
    await server.call('POST', configMaps, { metadata: { name: 'a' } })
    const headers = { authorization: 'Bearer admin', 'content-type': 'application/merge-patch+json' }
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        server.call('PATCH', `${configMaps}/a`, { data: { [`k${index}`]: 'x' } }, headers),
      ),
    )
    const { body } = await server.call('GET', `${configMaps}/a`)
    expect(Object.keys(JSON.parse(body).data)).toHaveLength(20)
    await server.stop()
  })

  it('counts requests, watches and objects', async () => {
    const server = await start()
    await server.call('GET', configMaps)
    const { body } = await server.call('GET', '/metrics')
    expect(body).toContain('apiserver_request_total{verb="list",resource="configmaps",code="200"} 1')
    expect(body).toContain('apiserver_storage_objects{resource="namespaces"} 4')
    await server.stop()
  })

  it('describes either-or values by name in the third version of OpenAPI, so that explain can call them so', async () => {
    const server = await start()
    const third = JSON.parse((await server.call('GET', '/openapi/v3/api/v1')).body).components.schemas
    const second = JSON.parse((await server.call('GET', '/openapi/v2')).body).definitions
    await server.stop()

    const intOrString = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString'
    expect(third[intOrString]).toEqual({
      format: 'int-or-string',
      oneOf: [{ type: 'integer' }, { type: 'string' }],
    })
    expect(third['io.k8s.apimachinery.pkg.api.resource.Quantity'].type).toBeUndefined()
    expect(second[intOrString]).toMatchObject({ type: 'string', format: 'int-or-string' })
  })

  it('is discovered just as Kubernetes 1.36 is, and answers 304 to who knows it already', async () => {
    const server = await start()
    const accept = 'application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList'
    const headers = { authorization: 'Bearer admin', accept }
    const core = await server.call('GET', '/api', undefined, headers)
    expect(JSON.parse(core.body)).toEqual(withFreshness(discoveryTable.core))
    const groups = await server.call('GET', '/apis', undefined, headers)
    expect(JSON.parse(groups.body)).toEqual(withFreshness(discoveryTable.groups))
    const again = await server.call('GET', '/apis', undefined, { ...headers, 'if-none-match': groups.etag })
    expect(again.status).toBe(304)
    await server.stop()
  })
})

const withFreshness = (document: DiscoveryDocument) => ({
  ...document,
  items: document.items.map((group) => ({
    ...group,
    versions: group.versions.map((version) => ({ ...version, freshness: 'Current' })),
  })),
})

describe('a server that looks like an older release', () => {
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.9'
  const headers = { authorization: 'Bearer admin', accept }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web' },
    spec: {
      containers: [{ name: 'web', image: 'web:1' }],
      initContainers: [{ name: 'native', image: 'native:1', restartPolicy: 'Always' }],
    },
  }

  it('serves what that release served, and says so', async () => {
    const server = await start({ emulatedRelease: 22 })
    try {
      const get = async (path: string) => server.call('GET', path, undefined, headers)
      expect(JSON.parse((await get('/version')).body)).toMatchObject({ minor: '22', gitVersion: 'v1.22.0' })
      expect(JSON.parse((await get('/apis')).body)).toMatchObject({ kind: 'APIGroupList' })
      const core = JSON.parse((await get('/api/v1')).body)
      const names = core.resources.map(({ name }: { name: string }) => name)
      expect(names).toContain('pods/ephemeralcontainers')
      expect(names).not.toContain('pods/resize')
      const listWatch = '/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan'
      const statuses = await Promise.all(
        [
          '/openapi/v3',
          '/openapi/v2',
          '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
          listWatch,
        ].map(async (path) => (await get(path)).status),
      )
      expect(statuses).toEqual([404, 200, 404, 422])
    } finally {
      await server.stop()
    }
  })

  it.each([
    [24, 201, undefined],
    [28, 400, undefined],
    [29, 201, 'Always'],
  ])(
    'takes younger fields as 1.%d did, also where unknown ones are to be refused',
    async (release, status, policy) => {
      const server = await start({ emulatedRelease: release, authorization: 'always-allow' })
      try {
        await server.call('POST', '/api/v1/namespaces/default/serviceaccounts', {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: 'default' },
        })
        const path = '/api/v1/namespaces/default/pods'
        const strict = await server.call('POST', `${path}?fieldValidation=Strict`, pod)
        // 1.24 did not look at the option.
        expect(strict.status, strict.body).toBe(status)
        const kept = strict.status === 201 ? strict : await server.call('POST', path, pod)
        expect(JSON.parse(kept.body).spec.initContainers[0].restartPolicy).toBe(policy)
      } finally {
        await server.stop()
      }
    },
  )
})
