import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { SeededRandom, SystemClock, silentLogger } from '@outrigger/foundation'
import { type KubeObject, type MutatingWebhook, schemaOfKind } from '@outrigger/kube'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MemoryObjects } from '../../auth/memory-objects.ts'
import type { Resource } from '../../registry/resource.ts'
import type { AdmissionAttributes, AdmissionPlugin } from '../plugin.ts'
import { createWebhookAdmission } from './webhook-admission.ts'
import { createWebhookClient, type WebhookClient } from './webhook-client.ts'

type Answer = (request: Record<string, unknown>) => Record<string, unknown>
const group = 'admissionregistration.k8s.io'
const clock = new SystemClock()

let server: Server
let client: WebhookClient
let caBundle: string
const answers = new Map<string, Answer>()
const seen: string[] = []
let connections = 0

beforeAll(async () => {
  const authority = await createAuthority({ commonName: 'ca', now: clock.now() })
  const pair = await issueCertificate(authority, {
    commonName: 'hook',
    dnsNames: ['hook.system.svc'],
    usages: ['server'],
    now: clock.now(),
  })
  caBundle = Buffer.from(authority.certificate).toString('base64')
  server = createServer({ key: pair.privateKey, cert: pair.certificate }, async (incoming, outgoing) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
    const { request } = JSON.parse(Buffer.concat(chunks).toString())
    const path = new URL(incoming.url ?? '/', 'https://x').pathname
    seen.push(path)
    const answer = answers.get(path)
    if (answer === undefined) return // never answers
    const response = { uid: request.uid, ...answer(request) }
    outgoing.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }))
  })
  server.on('secureConnection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

beforeEach(() => {
  const { port } = server.address() as AddressInfo
  seen.length = 0
  answers.clear()
  client?.close()
  client = createWebhookClient(
    (_, name) => (name === 'hook' ? { host: '127.0.0.1', port } : undefined),
    clock,
  )
})

afterAll(async () => {
  client.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

describe('mutating webhooks', () => {
  test('are called in order over one kept connection, and patches add up', async () => {
    answers.set('/a', () => ({
      allowed: true,
      ...patch([{ op: 'add', path: '/metadata/labels', value: { a: '1' } }]),
    }))
    answers.set('/b', (request) => ({
      allowed: true,
      warnings: ['mind the gap'],
      ...patch([
        {
          op: 'add',
          path: '/metadata/labels/b',
          value: JSON.stringify(request['object']).includes('"a":"1"') ? 'yes' : 'no',
        },
      ]),
    }))
    const { mutate, warnings } = aChain([aWebhook('/a'), aWebhook('/b')])
    connections = 0

    const pod = await mutate()

    expect(pod.metadata.labels).toEqual({ a: '1', b: 'yes' })
    expect(warnings).toEqual(['mind the gap'])
    expect(connections).toBe(1)
  })

  test('are called again when a later one changed the object and they asked for it', async () => {
    let calls = 0
    answers.set('/a', () => ({
      allowed: true,
      ...patch([{ op: 'add', path: '/metadata/annotations', value: { calls: `${++calls}` } }]),
    }))
    answers.set('/b', () => ({
      allowed: true,
      ...patch([{ op: 'add', path: '/metadata/labels', value: { b: '1' } }]),
    }))
    const { mutate } = aChain([{ ...aWebhook('/a'), reinvocationPolicy: 'IfNeeded' }, aWebhook('/b')])

    expect((await mutate()).metadata.annotations).toEqual({ calls: '2' })
    expect(seen).toEqual(['/a', '/b', '/a'])
  })

  test('refuse with their own code and words', async () => {
    answers.set('/a', () => ({ allowed: false, status: { code: 403, message: 'not today' } }))
    const { mutate } = aChain([aWebhook('/a')])

    await expect(mutate()).rejects.toMatchObject({
      code: 403,
      message: 'admission webhook "a.example" denied the request: not today',
    })
  })

  test('are passed over by selectors, by conditions and by rules', async () => {
    answers.set('/a', () => ({ allowed: false }))
    const { mutate, concerns } = aChain([
      { ...aWebhook('/a'), namespaceSelector: { matchLabels: { inject: 'yes' } } },
      { ...aWebhook('/a'), objectSelector: { matchExpressions: [{ key: 'x', operator: 'Exists' }] } },
      {
        ...aWebhook('/a'),
        matchConditions: [
          { name: 'c', expression: "object.metadata.name != 'p' && request.operation == 'CREATE'" },
        ],
      },
      {
        ...aWebhook('/a'),
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods/status'] }],
      },
    ])

    await mutate()

    expect(seen).toEqual([])
    expect(concerns('DELETE')).toBe(false)
  })
})

describe('a webhook that fails', () => {
  test('fails the request, or is ignored if its policy says so', async () => {
    const broken = {
      ...aWebhook('/a'),
      clientConfig: { caBundle, service: { name: 'gone', namespace: 'system', path: '/a' } },
    }

    await expect(aChain([broken]).mutate()).rejects.toMatchObject({
      code: 500,
      message:
        'Internal error occurred: failed calling webhook "a.example": failed to call webhook: Post "https://gone.system.svc:443/a?timeout=10s": no endpoints available for service "gone"',
    })
    await expect(aChain([{ ...broken, failurePolicy: 'Ignore' }]).mutate()).resolves.toBeDefined()
  })

  test('is given up after its time', async () => {
    const silent: MutatingWebhook = { ...aWebhook('/silent'), timeoutSeconds: 1 }

    await expect(aChain([silent]).mutate()).rejects.toThrow('context deadline exceeded')
  })

  test('is not trusted with a certificate of somebody else', async () => {
    const other = await createAuthority({ commonName: 'other', now: clock.now() })
    const webhook = aWebhook('/a')
    webhook.clientConfig.caBundle = Buffer.from(other.certificate).toString('base64')

    await expect(aChain([webhook]).mutate()).rejects.toThrow('x509: certificate signed by unknown authority')
  })

  test('has no say in a dry run unless it is free of side effects', async () => {
    const { mutate } = aChain([{ ...aWebhook('/a'), sideEffects: 'Some' }], { isDryRun: true })

    await expect(mutate()).rejects.toThrow('admission webhook "a.example" does not support dry run')
  })
})

test('a request that no webhook wants costs microseconds', async () => {
  const { concerns } = aChain([{ ...aWebhook('/a'), rules: [] }])
  concerns('CREATE')

  const start = performance.now()
  for (let round = 0; round < 10_000; round++) concerns('CREATE')
  expect((performance.now() - start) / 10_000).toBeLessThan(0.02)
})

function patch(operations: object[]) {
  return { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') }
}

function aWebhook(path: string): MutatingWebhook {
  return {
    name: `${path.slice(1)}.example`,
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    clientConfig: { caBundle, service: { name: 'hook', namespace: 'system', path } },
    rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['CREATE'], resources: ['pods'] }],
  }
}

function aChain(webhooks: MutatingWebhook[], over: Partial<AdmissionAttributes> = {}) {
  const objects = new MemoryObjects()
  objects.put({ group: '', resource: 'namespaces' }, anObject('Namespace', '', 'a'))
  objects.put({ group, resource: 'mutatingwebhookconfigurations' }, {
    ...anObject('MutatingWebhookConfiguration', '', 'hooks'),
    webhooks,
  } as KubeObject)
  const [plugin] = createWebhookAdmission({
    objects,
    client,
    clock,
    random: new SeededRandom(),
    logger: silentLogger,
  }) as [AdmissionPlugin]
  const warnings: string[] = []
  const attributes: AdmissionAttributes = {
    operation: 'CREATE',
    resource: pods,
    subresource: '',
    namespace: 'a',
    name: 'p',
    object: anObject('Pod', 'a', 'p'),
    oldObject: undefined,
    options: {},
    isDryRun: false,
    user: { name: 'jo', groups: [] },
    warn: (text) => warnings.push(text),
    ...over,
  }
  return {
    warnings,
    concerns: (operation: AdmissionAttributes['operation']) => plugin.concerns({ ...attributes, operation }),
    async mutate(): Promise<KubeObject> {
      if (plugin.concerns(attributes)) await plugin.mutate?.(attributes, new AbortController().signal)
      return attributes.object as KubeObject
    },
  }
}

function anObject(kind: string, namespace: string, name: string): KubeObject {
  return { apiVersion: 'v1', kind, metadata: { name, ...(namespace === '' ? {} : { namespace }) } }
}

const pods = {
  group: '',
  version: 'v1',
  plural: 'pods',
  kind: 'Pod',
  namespaced: true,
  schema: schemaOfKind('', 'v1', 'Pod'),
  strategy: { applyDefaults() {} },
  storage: { group: '', resource: 'pods', version: 'v1' },
} as unknown as Resource
