import { request } from 'node:https'
import { connect } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { createAuthority, issueCertificate, type KeyPair } from '@outrigger/certificates'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import { SidecarSetIndex } from '@outrigger/injection'
import { createWebhookServer, fixedCertificate, type WebhookServer } from '@outrigger/webhook'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FedInformer, MemoryCluster } from '../testdata/memory-cluster.ts'
import { filebeat, namespace, virtualNode } from '../testdata/objects.ts'
import { createPodFacts } from './pod/pod-facts.ts'
import { createPodMutator } from './pod/pod-handlers.ts'
import { convertObjects, createSidecarSetMutator } from './sidecar-set/sidecar-set-handlers.ts'

const clock = new SystemClock()
const limit = 4_000_000
let authority: KeyPair
let server: WebhookServer
let stop: () => Promise<void>

beforeAll(async () => {
  authority = await createAuthority({ commonName: 'test', now: clock.now() })
  const pair = await issueCertificate(authority, {
    commonName: 'localhost',
    dnsNames: ['localhost'],
    usages: ['server'],
    now: clock.now(),
  })
  const facts = createPodFacts({
    client: new MemoryCluster(),
    clock,
    sidecarSets: new SidecarSetIndex([filebeat()]),
    namespaces: new FedInformer([namespace('shop')]).store,
    virtualNodes: new FedInformer([virtualNode()]).store,
  })
  server = createWebhookServer({
    clock,
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    certificate: fixedCertificate(pair, authority.certificate),
    handlers: {
      '/mutate-pod': createPodMutator({ facts, logger: silentLogger, trustedUsers: [] }),
      '/mutate-sidecarset': createSidecarSetMutator({ clock }),
    },
    converters: { '/convert': convertObjects },
    maxBodyBytes: limit,
    headerDeadline: 600,
  })
  const controller = new AbortController()
  const running = server.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
  await server.ready
})

afterAll(() => stop())

interface Reply {
  readonly status: number
  readonly text: string
}

function post(body: string, path = '/mutate-pod', headers: Record<string, string> = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        servername: 'localhost',
        port: server.address.port,
        path,
        method: 'POST',
        ca: authority.certificate,
        agent: false,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        )
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

/** Sends bytes as they are and resolves with all that comes back until the server hangs up. */
function sendRaw(parts: readonly string[], pause = 0): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket: TLSSocket = tlsConnect(
      { host: '127.0.0.1', port: server.address.port, ca: authority.certificate, servername: 'localhost' },
      () => {
        for (const [index, part] of parts.entries()) clock.after(index * pause, () => socket.write(part))
      },
    )
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
    })
    socket.on('close', () => resolve(text))
    socket.on('error', (error) => (text === '' ? reject(error) : undefined))
  })
}

const pod = (rest: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', labels: { 'alibabacloud.com/eci': 'true' } },
  spec: { containers: [{ name: 'web', image: 'web:1' }] },
  ...rest,
})

const review = (changes: object = {}, object: unknown = pod()) =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'shop',
      userInfo: { username: 'anna' },
      object,
      ...changes,
    },
  })

const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
const head = (length: number, more = '') =>
  `POST /mutate-pod?timeout=1s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${more}\r\n`

/** Whether an ordinary review is still injected. */
async function stillServes(): Promise<boolean> {
  const { status, text } = await post(review())
  return status === 200 && JSON.parse(text).response.patchType === 'JSONPatch'
}

describe('the webhooks answer', () => {
  it.each([
    ['garbage', 'garbage', 400, /^the body is not JSON: it goes wrong at character 0$/],
    ['half a review', review().slice(0, 200), 400, /^the body is not JSON: it ends too early$/],
    ['nothing', '', 400, /^the body is empty$/],
    ['bytes that are no text', '\u0000\u0001\ufffd', 400, /^the body is not JSON/],
    ['null', 'null', 400, /^the body is not an AdmissionReview$/],
    ['a list', '[]', 400, /^the body is not an AdmissionReview$/],
    ['another kind', '{"kind":"Pod"}', 400, /^the body is not an AdmissionReview$/],
    [
      'an old version',
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"}',
      400,
      /^apiVersion must be admission.k8s.io\/v1$/,
    ],
    [
      'a review without request',
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}',
      400,
      /^request is missing$/,
    ],
    ['a review without uid', review({ uid: undefined }), 400, /^request.uid must be a text$/],
    ['an unknown operation', review({ operation: 'EAT' }), 400, /^request.operation must be one of/],
    ['an object that is none', review({}, 'web'), 400, /^request.object must be an object with metadata$/],
    [
      'nesting without end',
      nested(10_000),
      400,
      /^(the body is not an AdmissionReview|.*nested too deeply.*)$/,
    ],
    [
      'more than the limit',
      review({}, pod({ x: 'x'.repeat(limit) })),
      413,
      /^the body has more than 4000000 bytes/,
    ],
  ])('%s in one line that says what and why', async (_, body, status, message) => {
    const reply = await post(body)
    expect([reply.status, reply.text.trimEnd().split('\n').length]).toEqual([status, 1])
    expect(reply.text.trimEnd()).toMatch(message)
    expect(await stillServes()).toBe(true)
  })

  it.each([
    ['content-type', { 'content-type': 'application/yaml' }, /^content-type is "application\/yaml"/],
    ['content-encoding', { 'content-encoding': 'gzip' }, /^content-encoding is "gzip"/],
  ])('a wrong %s with 415', async (_, headers, message) => {
    const reply = await post(review(), '/mutate-pod', headers as Record<string, string>)
    expect(reply.status).toBe(415)
    expect(reply.text).toMatch(message)
  })

  it('a legal review of 3 MB', async () => {
    const annotations = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`a-${index}`, 'x'.repeat(10_000)]),
    )
    const object = pod()
    const body = review({}, { ...object, metadata: { ...object.metadata, annotations } })
    expect(body.length).toBeGreaterThan(3_000_000)
    const { status, text } = await post(body)
    expect([status, JSON.parse(text).response.allowed]).toEqual([200, true])
  })

  it.each([10, 1_000, 10_000])('a pod with %d levels of a field nobody knows', async (levels) => {
    const body = review({}, 'HERE').replace(
      '"HERE"',
      JSON.stringify(pod()).replace(/}$/, `,"x":${nested(levels)}}`),
    )
    const { status, text } = await post(body)
    if (status === 200) expect(JSON.parse(text).response.allowed).toBe(true)
    else expect([status, text]).toEqual([400, 'the review is nested too deeply to be read\n'])
    expect(await stillServes()).toBe(true)
  })

  it.each([10, 1_000, 10_000])('a SidecarSet with %d levels of a field nobody knows', async (levels) => {
    const sidecarSet = `{"apiVersion":"apps.kruise.io/v1alpha1","kind":"SidecarSet","metadata":{"name":"a"},"spec":{"x":${nested(levels)}}}`
    const changes = { resource: { group: 'apps.kruise.io', version: 'v1alpha1', resource: 'sidecarsets' } }
    const { status } = await post(review(changes, 'HERE').replace('"HERE"', sidecarSet), '/mutate-sidecarset')
    expect([200, 400]).toContain(status)
    expect(await stillServes()).toBe(true)
  })

  it('keys that name prototypes like any others', async () => {
    const labels = '{"__proto__":"x","constructor":"y","alibabacloud.com/eci":"true"}'
    const spec =
      '{"containers":[{"name":"web","image":"w","__proto__":{"a":1},"env":[{"name":"__proto__","value":"v"}]}],"volumes":[{"name":"__proto__","emptyDir":{}}],"nodeSelector":{"__proto__":"z"}}'
    const object = `{"apiVersion":"v1","kind":"Pod","__proto__":{"polluted":1},"metadata":{"name":"web","labels":${labels},"annotations":{"__proto__":"x"}},"spec":${spec}}`
    const { status, text } = await post(review({}, 'HERE').replace('"HERE"', object))
    expect(status).toBe(200)
    expect(JSON.parse(text).response.uid).toBe('u-1')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect(await stillServes()).toBe(true)
  })

  it('two reviews sent one behind the other, in their order', async () => {
    const [first, second] = [review({ uid: 'first' }), review({ uid: 'second' })]
    const text = await sendRaw([
      head(first.length) + first + head(second.length, 'connection: close\r\n') + second,
    ])
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2)
    expect(text.indexOf('"uid":"first"')).toBeGreaterThan(0)
    expect(text.indexOf('"uid":"second"')).toBeGreaterThan(text.indexOf('"uid":"first"'))
  })

  it('half a body and then silence when the time of the caller is over', async () => {
    const text = await sendRaw([head(5_000) + review().slice(0, 300)])
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
    expect(text).toContain('the body did not arrive within 800 ms: 300 bytes did')
    expect(server.statistics.webhooks[0]?.timeouts).toBeGreaterThan(0)
    expect(await stillServes()).toBe(true)
  })

  it('headers that come a byte at a time with the end of the connection', async () => {
    const text = await sendRaw([...'POST /mutate-pod HTTP/1.1\r\nhost: localhost\r\nx-slow: 1234567890'], 50)
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
    expect(text).toContain('the request did not arrive in time')
    expect(await stillServes()).toBe(true)
  })

  it('what is no HTTP, and a connection without a handshake', async () => {
    expect(await sendRaw(['hello\r\n\r\n'])).toMatch(/^HTTP\/1\.1 400 [\s\S]*this is not an HTTP request/)
    const before = server.statistics.failedHandshakes
    await new Promise<void>((resolve) => {
      const socket = connect(server.address.port, '127.0.0.1')
      socket.on('close', () => resolve())
      socket.on('error', () => {})
      socket.resume()
    })
    expect(server.statistics.failedHandshakes).toBe(before + 1)
    expect(await stillServes()).toBe(true)
  })

  it('a caller that hangs up with nothing, and counts it', async () => {
    const before = server.statistics.webhooks[0]?.abandoned ?? 0
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: server.address.port,
      ca: authority.certificate,
      servername: 'localhost',
    })
    await new Promise<void>((resolve) => socket.once('secureConnect', () => resolve()))
    socket.write(head(5_000) + review().slice(0, 300))
    await clock.sleep(50)
    socket.destroy()
    for (let i = 0; i < 100 && server.statistics.webhooks[0]?.abandoned === before; i++) await clock.sleep(10)
    expect(server.statistics.webhooks[0]).toMatchObject({ abandoned: before + 1, inFlight: 0 })
  })
})
