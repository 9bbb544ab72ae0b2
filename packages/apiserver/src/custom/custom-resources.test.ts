import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { SeededRandom, SystemClock } from '@outrigger/foundation'
import {
  type CustomResourceDefinition,
  formatFieldError,
  type JSONSchemaProps,
  type KubeObject,
} from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { createWebhookClient } from '../admission/webhook/webhook-client.ts'
import type { Resource, WriteContext } from '../registry/resource.ts'
import { createConverter } from './conversion-webhook.ts'
import { createCustomResources } from './custom-resource.ts'
import { parseJsonPath } from './json-path.ts'
import { schemaProblems } from './schema-problems.ts'

const context: WriteContext = {
  user: { name: 'u', groups: [] },
  now: 0,
  namespace: 'a',
  isEnabled: () => false,
}

describe('custom resources', () => {
  test('prune what the schema does not know and fill in defaults', () => {
    const resource = aResource({
      properties: {
        spec: {
          type: 'object',
          properties: {
            size: { type: 'integer', default: 3 },
            free: {
              type: 'object',
              'x-kubernetes-preserve-unknown-fields': true,
              properties: { known: { type: 'string' } },
            },
            template: {
              type: 'object',
              'x-kubernetes-embedded-resource': true,
              'x-kubernetes-preserve-unknown-fields': true,
            },
            list: {
              type: 'array',
              items: { type: 'object', properties: { mode: { type: 'string', default: 'on' } } },
            },
          },
        },
      },
    })
    const object = anObject({
      spec: {
        other: 1,
        free: { any: { thing: 1 } },
        size: null,
        list: [{ x: 1 }],
        template: { kind: 'Pod', extra: 1 },
      },
      top: 2,
    })

    resource.strategy.applyDefaults(object)

    expect(object).toEqual(
      anObject({
        spec: {
          free: { any: { thing: 1 } },
          size: 3,
          list: [{ mode: 'on' }],
          template: { kind: 'Pod', extra: 1 },
        },
      }),
    )
  })

  test('check combined schemas and say which part failed', () => {
    const resource = aResource({
      properties: {
        spec: {
          type: 'object',
          properties: {
            a: { type: 'integer' },
            b: { type: 'integer' },
            p: {
              'x-kubernetes-int-or-string': true,
              anyOf: [{ type: 'integer' }, { type: 'string' }],
              pattern: '^[0-9]+%?$',
            },
          },
          oneOf: [{ required: ['a'] }, { required: ['b'] }],
        },
      },
    })

    expect(errorsOf(resource, { spec: { a: 1, p: '5%' } })).toEqual([])
    expect(errorsOf(resource, { spec: { a: 1, b: 2 } })).toEqual([
      'spec: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ])
    expect(errorsOf(resource, { spec: { a: 1, p: 'x' } })).toEqual([
      'spec.p: Invalid value: "x": spec.p in body should match \'^[0-9]+%?$\'',
    ])
  })

  test('hold transition rules against the stored object, item by item', () => {
    const resource = aResource({
      properties: {
        spec: {
          type: 'object',
          properties: {
            name: {
              type: 'string',
              'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'name is immutable' }],
            },
            items: {
              type: 'array',
              'x-kubernetes-list-type': 'map',
              'x-kubernetes-list-map-keys': ['k'],
              items: {
                type: 'object',
                required: ['k'],
                properties: { k: { type: 'string' }, n: { type: 'integer' } },
                'x-kubernetes-validations': [
                  { rule: 'self.n >= oldSelf.n', messageExpression: "self.k + ' may only grow'" },
                ],
              },
            },
          },
        },
      },
    })
    const old = {
      spec: {
        name: 'a',
        items: [
          { k: 'x', n: 1 },
          { k: 'y', n: 5 },
        ],
      },
    }

    expect(errorsOf(resource, old)).toEqual([])
    expect(
      errorsOf(
        resource,
        {
          spec: {
            name: 'b',
            items: [
              { k: 'new', n: 0 },
              { k: 'y', n: 4 },
            ],
          },
        },
        old,
      ),
    ).toEqual([
      'spec.name: Invalid value: "b": name is immutable',
      'spec.items[1]: Invalid value: y may only grow',
    ])
  })

  test('let stored values be that a stricter schema would refuse, until they change', () => {
    const strict = aResource({
      properties: {
        spec: { type: 'object', properties: { a: { type: 'string', maxLength: 2 }, b: { type: 'string' } } },
      },
    })
    const old = { spec: { a: 'long', b: 'x' } }

    expect(errorsOf(strict, { spec: { a: 'long', b: 'y' } }, old)).toEqual([])
    expect(errorsOf(strict, { spec: { a: 'longer', b: 'y' } }, old)).toEqual([
      'spec.a: Too long: may not be more than 2 bytes',
    ])
  })

  test('show columns by their JSON paths', () => {
    const [definition] = [aDefinition({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true })]
    ;(definition.spec.versions[0] as { additionalPrinterColumns?: unknown }).additionalPrinterColumns = [
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Count', type: 'integer', jsonPath: '.status.count' },
      { name: 'Since', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      { name: 'Label', type: 'string', jsonPath: '.metadata.labels.app\\.kubernetes\\.io/name' },
    ]
    const [resource] = createCustomResources(definition, undefined) as [Resource]
    const object = anObject({
      status: {
        count: 2,
        conditions: [
          { type: 'Other', status: 'False' },
          { type: 'Ready', status: 'True' },
        ],
      },
    })
    object.metadata.creationTimestamp = '1970-01-01T00:00:00Z'
    object.metadata.labels = { 'app.kubernetes.io/name': 'web' }

    expect(resource.columns.map((column) => column.cell(object, 90_000))).toEqual([
      'w',
      'True',
      2,
      '90s',
      'web',
    ])
  })

  test('scale along the declared paths', () => {
    const definition = aDefinition({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true })
    ;(definition.spec.versions[0] as { subresources?: unknown }).subresources = {
      scale: {
        specReplicasPath: '.spec.replicas',
        statusReplicasPath: '.status.replicas',
        labelSelectorPath: '.status.selector',
      },
    }
    const [resource] = createCustomResources(definition, undefined) as [Resource]
    const scale = resource.subresources['scale']
    const object = anObject({ spec: { replicas: 2 }, status: { replicas: 1, selector: 'a=b' } })
    if (scale?.type !== 'projection') throw new Error('no scale')

    expect(scale.read(object)).toMatchObject({
      spec: { replicas: 2 },
      status: { replicas: 1, selector: 'a=b' },
    })
    scale.write(object, { spec: { replicas: 7 } } as unknown as KubeObject)
    expect(object).toMatchObject({ spec: { replicas: 7 } })
  })
})

describe('schemas of definitions', () => {
  test.each<[string, JSONSchemaProps, string]>([
    [
      'a map list without keys',
      { type: 'array', 'x-kubernetes-list-type': 'map', items: { type: 'object' } },
      'S.properties[x].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map',
    ],
    [
      'a type inside anyOf',
      { type: 'string', anyOf: [{ type: 'string' }] },
      'S.properties[x].anyOf[0].type: Forbidden: must be empty to be structural',
    ],
    [
      'a wrong default',
      { type: 'integer', default: 'a' },
      'S.properties[x].default: Invalid value: "string": S.properties[x].default in body must be of type integer: "string"',
    ],
    [
      'a pattern RE2 has not',
      { type: 'string', pattern: '(?=a)' },
      'S.properties[x].pattern: Invalid value: "(?=a)": must be a valid regular expression, but isn\'t: ',
    ],
    [
      'a rule about a field that is not there',
      {
        type: 'object',
        properties: { a: { type: 'string' } },
        'x-kubernetes-validations': [{ rule: 'self.b == 1' }],
      },
      'S.properties[x].x-kubernetes-validations[0].rule: Invalid value: "self.b == 1": compilation failed: undefined field \'b\'',
    ],
    [
      'a rule about an unknown variable',
      { type: 'string', 'x-kubernetes-validations': [{ rule: 'other == 1' }] },
      "compilation failed: undeclared reference to 'other'",
    ],
  ])('refuse %s', (_, property, text) => {
    const errors = schemaProblems({ type: 'object', properties: { x: property } }, 'S').map(formatFieldError)

    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(text)
  })

  test('accept rules that Gateway API and others write', () => {
    const rules = [
      'self.all(l1, self.exists_one(l2, l1.name == l2.name))',
      'self.exists(l, l.port == 80) || self.size() < 2',
      "self.all(l, l.protocol in ['HTTP', 'TCP'] ? !has(l.tls) : true)",
    ]
    const schema: JSONSchemaProps = {
      type: 'object',
      properties: {
        listeners: {
          type: 'array',
          maxItems: 64,
          items: {
            type: 'object',
            properties: {
              name: { type: 'string', maxLength: 253 },
              port: { type: 'integer' },
              protocol: { type: 'string', maxLength: 255 },
              tls: { type: 'object', properties: { mode: { type: 'string', enum: ['Terminate'] } } },
            },
          },
          'x-kubernetes-validations': rules.map((rule) => ({ rule })),
        },
      },
    }

    expect(schemaProblems(schema, 'S').map(formatFieldError)).toEqual([])
  })
})

describe('JSON paths', () => {
  test.each([
    ['.a.b', [1]],
    ['.list[0].n', ['x']],
    ['.list[-1:].n', ['y']],
    ['.list[*].n', ['x', 'y']],
    ["['a']['b']", [1]],
    ['..n', ['x', 'y']],
    ['.list[?(@.on==true)].n', ['y']],
    ['.missing.deeper', []],
  ])('follow %s', (path, found) => {
    const value = {
      a: { b: 1 },
      list: [
        { n: 'x', on: false },
        { n: 'y', on: true },
      ],
    }

    expect(parseJsonPath(path).find(value)).toEqual(found)
  })
})

describe('conversion webhooks', () => {
  test('convert over TLS, once per stored object, and cannot change who an object is', async () => {
    const clock = new SystemClock()
    const authority = await createAuthority({ commonName: 'ca', now: clock.now() })
    const pair = await issueCertificate(authority, {
      commonName: 'h',
      dnsNames: ['hook.a.svc'],
      usages: ['server'],
      now: clock.now(),
    })
    let reviews = 0
    let rename = false
    const server = createServer(
      { key: pair.privateKey, cert: pair.certificate },
      async (incoming, outgoing) => {
        const chunks: Buffer[] = []
        for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
        const { request } = JSON.parse(Buffer.concat(chunks).toString())
        reviews++
        const convertedObjects = request.objects.map((object: KubeObject) => ({
          ...object,
          apiVersion: request.desiredAPIVersion,
          converted: true,
          metadata: { ...object.metadata, labels: { by: 'hook' }, ...(rename ? { name: 'other' } : {}) },
        }))
        outgoing.end(
          JSON.stringify({
            kind: 'ConversionReview',
            apiVersion: 'apiextensions.k8s.io/v1',
            response: { uid: request.uid, result: { status: 'Success' }, convertedObjects },
          }),
        )
      },
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = createWebhookClient(
      () => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }),
      clock,
    )
    try {
      const definition = aDefinition({ type: 'object' })
      definition.spec.conversion = {
        strategy: 'Webhook',
        webhook: {
          conversionReviewVersions: ['v1'],
          clientConfig: {
            caBundle: Buffer.from(authority.certificate).toString('base64'),
            service: { name: 'hook', namespace: 'a' },
          },
        },
      }
      const convert = createConverter(definition, client, new SeededRandom())
      const signal = new AbortController().signal
      const stored = [Object.freeze(anObject({})), Object.freeze(anObject({}))]

      const first = await convert?.(stored, 'x.example/v2', signal)
      await convert?.(stored, 'x.example/v2', signal)

      expect(first?.[0]).toMatchObject({
        apiVersion: 'x.example/v2',
        converted: true,
        metadata: { name: 'w', labels: { by: 'hook' } },
      })
      expect(reviews).toBe(1)
      rename = true
      await expect(convert?.([anObject({})], 'x.example/v2', signal)).rejects.toThrow(
        'conversion webhook for x.example/v1, Kind=Widget failed: response.convertedObjects[0] has another metadata.name',
      )
    } finally {
      client.close()
      server.closeAllConnections()
      server.close()
    }
  })
})

function aDefinition(schema: JSONSchemaProps): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.x.example' } as CustomResourceDefinition['metadata'],
    spec: {
      group: 'x.example',
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  }
}

function aResource(schema: JSONSchemaProps): Resource {
  return createCustomResources(aDefinition({ type: 'object', ...schema }), undefined)[0] as Resource
}

function anObject(fields: Record<string, unknown>): KubeObject {
  return {
    apiVersion: 'x.example/v1',
    kind: 'Widget',
    metadata: { name: 'w', namespace: 'a' },
    ...fields,
  } as KubeObject
}

function errorsOf(
  resource: Resource,
  fields: Record<string, unknown>,
  old?: Record<string, unknown>,
): string[] {
  const object = anObject(fields)
  const errors =
    old === undefined
      ? resource.strategy.validateCreate(object, context)
      : resource.strategy.validateUpdate(object, anObject(old), context)
  return errors.map(formatFieldError)
}
