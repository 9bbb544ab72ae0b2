import { request } from 'node:https'
import { createAuthority, issueCertificate, type KeyPair } from '@outrigger/certificates'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type AdmissionHandler, allow, refuse } from './admission.ts'
import type { CertificateSource } from './certificate-source.ts'
import { fixedCertificate } from './certificate-source.ts'
import { answers } from './probe-endpoint.ts'
import { createWebhookServer, type WebhookServer } from './webhook-server.ts'

const clock = new SystemClock()
let authority: KeyPair
let pair: KeyPair
const issue = () =>
  issueCertificate(authority, {
    commonName: 'localhost',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now: clock.now(),
  })

beforeAll(async () => {
  authority = await createAuthority({ commonName: 'test', now: clock.now() })
  pair = await issue()
})

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function serve(handler: AdmissionHandler, certificate?: CertificateSource): Promise<WebhookServer> {
  const server = createWebhookServer({
    clock,
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    certificate: certificate ?? fixedCertificate(pair, authority.certificate),
    handlers: { '/mutate-pod': handler },
    converters: { '/convert': (object, apiVersion) => ({ ...object, apiVersion }) },
    maxBodyBytes: 100_000,
  })
  const controller = new AbortController()
  const running = server.run(controller.signal)
  stops.push(async () => {
    controller.abort()
    await running
  })
  await server.ready
  return server
}

interface Reply {
  readonly status: number
  readonly text: string
  readonly fingerprint: string
}

function post(server: WebhookServer, path: string, body: string, method = 'POST'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port: server.address.port, path, method, ca: authority.certificate, agent: false },
      (response) => {
        const { fingerprint256 } = (response.socket as import('node:tls').TLSSocket).getPeerCertificate()
        let text = ''
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text, fingerprint: fingerprint256 }),
        )
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

const review = (request: object = {}) =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'shop',
      userInfo: { username: 'anna', groups: ['developers'] },
      object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } },
      ...request,
    },
  })

describe('the webhook server', () => {
  it('hands the request to the handler of its path and sends the patch back', async () => {
    const patch = [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }] as const
    const server = await serve(({ user, namespace, object }) => {
      expect([user.name, namespace, object?.metadata.name]).toEqual(['anna', 'shop', 'web'])
      return { allowed: true, patch, warnings: ['x'.repeat(300)] }
    })
    const { status, text } = await post(server, '/mutate-pod?timeout=5s', review())
    const { response } = JSON.parse(text)
    expect(status).toBe(200)
    expect(response).toMatchObject({ uid: 'u-1', allowed: true, patchType: 'JSONPatch' })
    expect(JSON.parse(Buffer.from(response.patch, 'base64').toString())).toEqual(patch)
    expect(response.warnings[0]).toHaveLength(256)
  })

  it('sends a refusal with its fields', async () => {
    const server = await serve(() =>
      refuse('pod "web"', [{ type: 'forbidden', field: 'spec.x', detail: 'no' }], 403),
    )
    const { text } = await post(server, '/mutate-pod', review())
    expect(JSON.parse(text).response).toMatchObject({
      allowed: false,
      status: {
        code: 403,
        message: 'pod "web" is forbidden: spec.x: Forbidden: no',
        details: { causes: [{ field: 'spec.x', reason: 'FieldValueForbidden' }] },
      },
    })
  })

  it('counts what was asked, what it said and how long it took', async () => {
    const server = await serve(({ name }) => (name === 'bad' ? refuse('pod', []) : allow))
    await post(server, '/mutate-pod', review())
    await post(server, '/mutate-pod?timeout=5s', review({ name: 'bad', operation: 'UPDATE' }))
    await post(server, '/mutate-pod', '{')
    await post(server, '/mutate-pod', 'x'.repeat(100_001))
    await post(server, '/elsewhere', review())
    const { webhooks, ...totals } = server.statistics
    expect(webhooks.map(({ path, kind }) => [path, kind])).toEqual([
      ['/mutate-pod', 'admission'],
      ['/convert', 'conversion'],
    ])
    expect(webhooks[0]).toMatchObject({
      inFlight: 0,
      codes: [
        { code: 200, count: 2 },
        { code: 400, count: 1 },
        { code: 413, count: 1 },
      ],
      reviews: [
        { operation: 'CREATE', isAllowed: true, count: 1 },
        { operation: 'UPDATE', isAllowed: false, count: 1 },
      ],
      timeouts: 0,
      abandoned: 0,
      latency: { count: 4 },
    })
    expect(webhooks[0]?.latency.cumulative.at(-1)).toBe(4)
    expect(totals).toEqual({
      tooLarge: { requests: 1, bytes: 100_001 },
      overloads: 0,
      unserved: 1,
      failedHandshakes: 0,
    })
  })

  it('says so when a path or a method is not served', async () => {
    const server = await serve(() => allow)
    expect((await post(server, '/other', review())).status).toBe(404)
    expect((await post(server, '/mutate-pod', '', 'GET')).status).toBe(405)
  })

  it('answers a defect of a handler as one, so that failurePolicy decides', async () => {
    const server = await serve(() => {
      throw new TypeError('oops')
    })
    expect((await post(server, '/mutate-pod', review())).status).toBe(500)
  })

  it('gives up on a handler when the time of the caller is over', async () => {
    const server = await serve(() => new Promise(() => {}))
    expect((await post(server, '/mutate-pod?timeout=300ms', review())).status).toBe(504)
  })

  it('converts all objects of a review or none', async () => {
    const server = await serve(() => allow)
    const body = (objects: unknown[]) =>
      JSON.stringify({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'ConversionReview',
        request: { uid: 'c', desiredAPIVersion: 'g/v2', objects },
      })
    const { text } = await post(
      server,
      '/convert',
      body([{ apiVersion: 'g/v1', kind: 'K', metadata: { name: 'a' } }]),
    )
    expect(JSON.parse(text).response).toEqual({
      uid: 'c',
      result: { status: 'Success' },
      convertedObjects: [{ apiVersion: 'g/v2', kind: 'K', metadata: { name: 'a' } }],
    })
    expect((await post(server, '/convert', body([1]))).status).toBe(400)
  })

  it('is found healthy by those who trust its authority only', async () => {
    const server = await serve(() => allow)
    const { port } = server.address
    const at = { host: '127.0.0.1', port, serverName: 'localhost' }
    expect(await answers({ ...at, authorities: authority.certificate })).toBe(true)
    const other = await createAuthority({ commonName: 'other', now: clock.now() })
    expect(await answers({ ...at, authorities: other.certificate })).toBe(false)
  })

  it('takes over a new certificate while it serves', async () => {
    let shown = pair
    let change = () => {}
    const server = await serve(() => allow, {
      current: async () => shown,
      authorities: authority.certificate,
      onChange: (listener) => {
        change = listener
        return () => {}
      },
    })
    const before = await post(server, '/mutate-pod', review())
    shown = await issue()
    change()
    await new Promise((resolve) => setImmediate(resolve))
    const after = await post(server, '/mutate-pod', review())
    expect(after.fingerprint).not.toBe(before.fingerprint)
  })
})
