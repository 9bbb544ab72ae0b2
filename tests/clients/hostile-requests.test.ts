import { connect } from 'node:http2'
import { type RequestOptions, request } from 'node:https'
import { startTestApiServer, type TestApiServer } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const configMaps = '/api/v1/namespaces/default/configmaps'
const json = { 'content-type': 'application/json' }

interface Ask {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

describe('requests no ordinary client sends', () => {
  let server: TestApiServer

  beforeAll(async () => {
    server = await startTestApiServer()
  })
  afterAll(() => server.stop())

  const ask = (method: string, path: string, { headers = {}, body }: Ask = {}) =>
    new Promise<{ readonly code: number; readonly type: string; readonly text: string }>(
      (resolve, reject) => {
        const { hostname, port } = new URL(server.url)
        const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
        const options: RequestOptions = {
          hostname,
          port,
          ca: server.certificateAuthority,
          method,
          path,
          headers: { authorization: `Bearer ${server.token}`, ...length, ...headers },
        }
        const sent = request(options, (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('end', () =>
            resolve({
              code: answer.statusCode ?? 0,
              type: answer.headers['content-type'] ?? '',
              text: Buffer.concat(chunks).toString(),
            }),
          )
        })
        sent.on('error', reject)
        sent.end(body)
      },
    )

  it('are refused with a status when the method does not fit', async () => {
    for (const [method, path] of [
      ['OPTIONS', '/api/v1/pods'],
      ['TRACE', '/api/v1/pods'],
      ['PUT', configMaps],
      ['POST', `${configMaps}/x`],
    ] as const) {
      const { code, text } = await ask(method, path)
      expect([method, code]).toEqual([method, 405])
      expect(JSON.parse(text)).toMatchObject({ reason: 'MethodNotAllowed' })
    }
  })

  it('find nothing in what JavaScript objects inherit', async () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect((await ask('GET', `/api/v1/${name}`)).code).toBe(404)
      expect((await ask('GET', `${configMaps}/x/${name}`)).code).toBe(404)
      expect((await ask('GET', `/openapi/v3/apis/${name}/v1`)).code).toBe(404)
    }
    const body = '{"metadata":{"name":"inherits"},"data":{"__proto__":"v","constructor":"c"}}'
    const created = await ask('POST', configMaps, { headers: json, body })
    // Keys with underscores are fine, and an own field like any other.
    expect(created.code).toBe(201)
    expect(created.text).toContain('"__proto__":"v"')
    expect(created.text).toContain('"constructor":"c"')
  })

  it.each([
    ['deep arrays', `{"data":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
    ['deep objects', `${'{"a":'.repeat(400_000)}1${'}'.repeat(400_000)}`],
    ['a million numbers where texts belong', `{"metadata":{"finalizers":[${'1,'.repeat(1_000_000)}1]}}`],
    ['two documents', '{"metadata":{"name":"a"}}{"metadata":{"name":"b"}}'],
    ['nothing', ''],
  ])('are refused quickly when the body is %s', async (_, body) => {
    const { code, text } = await ask('POST', configMaps, { headers: json, body })
    expect(code).toBe(400)
    expect(text.length).toBeLessThan(10_000)
  })

  it('are refused when the body is too large, wrongly encoded or of a strange type', async () => {
    const large = Buffer.alloc(4 * 1024 * 1024, 32)
    expect(
      (await ask('POST', configMaps, { headers: { ...json, connection: 'keep-alive' }, body: large })).code,
    ).toBe(413)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await ask('POST', configMaps, { headers: form, body: 'a=b' })).code).toBe(415)
    const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf' }
    expect((await ask('POST', configMaps, { headers: protobuf, body: 'k8s\0rubbish' })).code).toBe(400)
    const yaml = { 'content-type': 'application/yaml' }
    const bomb = Array.from({ length: 9 }, (_, level) => {
      const inner = level === 0 ? '"x"' : `*a${level - 1}`
      return `a${level}: &a${level} [${Array(9).fill(inner).join(',')}]`
    }).join('\n')
    expect((await ask('POST', configMaps, { headers: yaml, body: bomb })).code).toBe(400)
  })

  it('get JSON when they would rather have protobuf', async () => {
    const accept = 'application/vnd.kubernetes.protobuf,application/json'
    const answer = await ask('GET', configMaps, { headers: { accept } })
    expect(answer).toMatchObject({ code: 200, type: 'application/json' })
    const only = await ask('GET', configMaps, { headers: { accept: 'application/vnd.kubernetes.protobuf' } })
    expect(only.code).toBe(406)
    const swagger = await ask('GET', '/openapi/v2', {
      headers: { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' },
    })
    expect(swagger.type).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf')
  })

  it('do not leave paths by dots or escapes', async () => {
    for (const path of [
      '/api/v1/namespaces/../../etc/passwd',
      `${configMaps}/..%2f..%2fx`,
      `${configMaps}/a%00b`,
      '/api/v1/namespaces/default/nothing%zz',
    ])
      expect((await ask('GET', path)).code).toBe(404)
  })

  it('watch a thousand times over one connection', async () => {
    const watches = 1_000
    const session = connect(server.url, { ca: server.certificateAuthority })
    const path = `${configMaps}?watch=1&fieldSelector=metadata.name%3Dwatched`
    try {
      await new Promise((resolve) => session.once('remoteSettings', resolve))
      let started = 0
      let received = 0
      await new Promise<void>((resolve, reject) => {
        for (let index = 0; index < watches; index++) {
          const stream = session.request({ ':path': path, authorization: `Bearer ${server.token}` })
          stream.once('error', reject)
          stream.once('response', () => {
            if (++started < watches) return
            const body = '{"metadata":{"name":"watched"}}'
            ask('POST', configMaps, { headers: json, body }).catch(reject)
          })
          stream.once('data', () => {
            if (++received === watches) resolve()
          })
        }
      })
      expect(received).toBe(watches)
    } finally {
      session.destroy()
    }
  })
})
