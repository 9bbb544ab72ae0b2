import { request as httpsRequest } from 'node:https'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { type Clock, SystemClock, SystemRandom, silentLogger } from '@outrigger/foundation'
import { isRecord } from '@outrigger/kube'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApiServer } from '../api-server.ts'
import recorded from '../kinds/testdata/recorded-writes.json' with { type: 'json' }

/** A minute passes with each look at it, so that every write could have a time of its own. */
class HastyClock extends SystemClock implements Clock {
  #looks = 0

  override now(): number {
    this.#looks++
    return super.now() + this.#looks * 60_000
  }
}

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Record<string, unknown>
}

interface Answer {
  readonly status: number
  readonly body: Manifest & Record<string, unknown>
}

const stop = new AbortController()
let running: Promise<void>
let call: (method: string, path: string, body?: unknown, type?: string) => Promise<Answer>

beforeAll(async () => {
  const now = Date.now()
  const authority = await createAuthority({ commonName: 'test', now })
  const own = await issueCertificate(authority, {
    commonName: 'apiserver',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  const server = createApiServer({
    clock: new HastyClock(),
    random: new SystemRandom(),
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificate: own.certificate, key: own.privateKey, clientAuthorities: authority.certificate },
    tokens: [{ token: 'admin', user: { name: 'admin', groups: ['system:masters'] } }],
  })
  running = server.run(stop.signal)
  const { url } = await server.ready
  call = (method, path, body, type = 'application/json') =>
    new Promise((resolve, reject) => {
      const headers = { authorization: 'Bearer admin', 'content-type': type }
      const request = httpsRequest(
        `${url}${path}`,
        { method, ca: authority.certificate, headers },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () => {
            resolve({ status: answer.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) })
          })
        },
      )
      request.on('error', reject)
      request.end(body === undefined ? undefined : JSON.stringify(body))
    })
  await call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
})

afterAll(async () => {
  stop.abort()
  await running
})

const apply = (path: string, manifest: Manifest, manager = 'flux', force = true) =>
  call('PATCH', `${path}?fieldManager=${manager}&force=${force}`, manifest, 'application/apply-patch+yaml')

const versionOf = ({ status, body }: Answer) => {
  expect(status, JSON.stringify(body)).toBeLessThan(300)
  return body.metadata['resourceVersion']
}

/** Each manifest that the real server accepted, with the path of its collection. */
const accepted = (
  recorded as unknown as readonly {
    readonly name: string
    readonly steps: readonly { method: string; path: string; status: number; body: Manifest }[]
  }[]
).flatMap(({ name, steps }) =>
  steps
    .filter(({ method, status, path }) => method === 'POST' && status === 201 && !path.endsWith('reviews'))
    // The server itself writes the rules of aggregated roles.
    .filter(({ body }) => body.apiVersion !== undefined && !('aggregationRule' in body))
    .map(({ path, body }, index) => ({
      name: `${name} ${index}`,
      path: path.replace('/NS/', '/default/'),
      body,
    })),
)

const podTemplate = {
  metadata: { labels: { app: 'web' } },
  spec: {
    containers: [
      {
        name: 'web',
        image: 'web',
        env: [
          { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        ],
        ports: [{ containerPort: 80 }],
        livenessProbe: { httpGet: { port: 80 } },
        resources: { limits: { cpu: 1, memory: '1024Mi' } },
      },
    ],
    volumes: [
      {
        name: 'facts',
        downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
      },
      { name: 'all', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
    ],
  },
}

const deployment: Manifest & Record<string, unknown> = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: { selector: { matchLabels: { app: 'web' } }, template: podTemplate },
}
const deployments = '/apis/apps/v1/namespaces/default/deployments'

describe('A write that changes nothing', () => {
  it('is none when the same manifest of any kind is applied, put or patched again', async () => {
    let judged = 0
    for (const { name, path, body } of accepted) {
      const object = `${path}/again`
      const { name: _, generateName: __, ...metadata } = body.metadata
      const manifest = { ...body, metadata: { ...metadata, name: 'again', namespace: undefined } }
      const first = await apply(object, manifest)
      // A name of its own, or what it refers to, is part of the rules of some kinds.
      if (first.status === 422 || first.status === 403) continue
      judged++
      const version = versionOf(first)
      expect(versionOf(await apply(object, manifest)), `${name} applied again`).toBe(version)
      const { body: stored } = await call('GET', object)
      expect(versionOf(await call('PUT', object, stored)), `${name} put again`).toBe(version)
      expect(
        versionOf(await call('PATCH', object, stored, 'application/merge-patch+json')),
        `${name} merged again`,
      ).toBe(version)
      expect(
        versionOf(await call('PATCH', object, {}, 'application/strategic-merge-patch+json')),
        `${name} patched with nothing`,
      ).toBe(version)
      await call('DELETE', `${object}?gracePeriodSeconds=0`)
    }
    expect(judged).toBeGreaterThan(40)
  })

  it('is none for a workload whose manifest leaves fields inside of references to their defaults', async () => {
    const version = versionOf(await apply(`${deployments}/web`, deployment))
    const before = await call('GET', `${deployments}/web`)
    expect(versionOf(await apply(`${deployments}/web`, deployment))).toBe(version)
    expect(versionOf(await apply(`${deployments}/web`, deployment, 'flux', false))).toBe(version)
    expect((await call('GET', `${deployments}/web`)).body).toEqual(before.body)
  })

  it('is none when two appliers of the same fields take turns', async () => {
    const path = '/api/v1/namespaces/default/configmaps/shared'
    const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shared' }, data: { a: '1' } }
    await apply(path, manifest, 'one')
    const version = versionOf(await apply(path, manifest, 'two'))
    for (const manager of ['one', 'two', 'one'])
      expect(versionOf(await apply(path, manifest, manager))).toBe(version)
  })

  it('still is one when it only takes fields over', async () => {
    const path = '/api/v1/namespaces/default/configmaps/taken'
    const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'taken' }, data: { a: '1' } }
    const version = versionOf(await apply(path, manifest, 'one'))
    const taken = await apply(path, manifest, 'two')
    expect(versionOf(taken)).not.toBe(version)
    expect(taken.body.metadata['managedFields']).toHaveLength(2)
  })

  it('is none for custom resources whose schema fills in defaults, whatever the manifest leaves out', async () => {
    await call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', widgets)
    const path = '/apis/example.org/v1/namespaces/default/widgets'
    await expect.poll(async () => (await call('GET', path)).status, { timeout: 30_000 }).toBe(200)
    let count = 0
    await fc.assert(
      fc.asyncProperty(widgetSpec, async (spec) => {
        const name = `w${count++}`
        const manifest = { apiVersion: 'example.org/v1', kind: 'Widget', metadata: { name }, spec }
        const version = versionOf(await apply(`${path}/${name}`, manifest))
        expect(versionOf(await apply(`${path}/${name}`, manifest))).toBe(version)
        const sent = { ...manifest, metadata: { name, resourceVersion: version } }
        expect(versionOf(await call('PUT', `${path}/${name}`, sent))).toBe(version)
        const merged = await call('PATCH', `${path}/${name}`, manifest, 'application/merge-patch+json')
        expect(versionOf(merged)).toBe(version)
      }),
      { numRuns: 40 },
    )
  })

  it('has the answer of what is stored, also as a dry run', async () => {
    const { body } = await apply(`${deployments}/web`, deployment)
    const dry = await apply(`${deployments}/web`, deployment, 'flux&dryRun=All')
    expect(isRecord(dry.body.metadata) && dry.body).toEqual(body)
  })
})

const widgets = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.org' },
  spec: {
    group: 'example.org',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                default: {},
                properties: {
                  size: { type: 'integer', default: 3 },
                  ref: {
                    type: 'object',
                    'x-kubernetes-map-type': 'atomic',
                    properties: { name: { type: 'string' }, kind: { type: 'string', default: 'Secret' } },
                  },
                  parts: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: {
                      type: 'object',
                      required: ['name'],
                      properties: { name: { type: 'string' }, mode: { type: 'string', default: 'on' } },
                    },
                  },
                  steps: {
                    type: 'array',
                    items: { type: 'object', properties: { every: { type: 'string', default: '1m' } } },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
}

const widgetSpec = fc.record(
  {
    size: fc.integer({ min: 0, max: 9 }),
    ref: fc.record(
      { name: fc.string(), kind: fc.constantFrom('Secret', 'ConfigMap') },
      { requiredKeys: ['name'] },
    ),
    parts: fc.uniqueArray(
      fc.record(
        { name: fc.constantFrom('a', 'b', 'c'), mode: fc.constantFrom('on', 'off') },
        { requiredKeys: ['name'] },
      ),
      { selector: ({ name }) => name },
    ),
    steps: fc.array(fc.record({ every: fc.constantFrom('1m', '2m') }, { requiredKeys: [] }), {
      maxLength: 3,
    }),
  },
  { requiredKeys: [] },
)
