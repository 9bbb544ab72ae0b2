import { deepFreeze, type KubeObject } from '@outrigger/kube'
import { expect, test } from 'vitest'
import { knownSchema } from './known-schema.ts'
import { KindsUnderTest } from './testing/kinds-under-test.ts'
import { shapeForWire } from './wire-shape.ts'

const podSchema = knownSchema('', 'v1', 'Pod')

test('drops what Go leaves out and writes what Go always writes', () => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', labels: {}, creationTimestamp: null },
    spec: {
      hostNetwork: false,
      automountServiceAccountToken: false,
      nodeName: '',
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        { name: 'a', env: [{ name: 'A', value: '' }], resources: { limits: { cpu: 0.5, memory: '1024Mi' } } },
      ],
      tolerations: [],
    },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  }

  shapeForWire(podSchema, pod)

  expect(pod).toEqual({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: {
      automountServiceAccountToken: false,
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        { name: 'a', env: [{ name: 'A' }], resources: { limits: { cpu: '500m', memory: '1Gi' } } },
      ],
    },
    status: {
      conditions: [{ type: 'Ready', status: 'True', lastProbeTime: null, lastTransitionTime: null }],
    },
  })
})

test('leaves what is in shape alone, so that stored objects may stay frozen', async () => {
  const kinds = new KindsUnderTest()
  for (const [plural, body] of Object.entries(samples as Record<string, object>)) {
    const resource = kinds.find(plural)
    const { object, errors } = await kinds.create(resource, body)
    expect(errors, plural).toEqual([])
    const frozen = deepFreeze(object) as KubeObject

    expect(() => resource.strategy.applyDefaults(frozen), plural).not.toThrow()
  }
})

const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
const selector = { matchLabels: { a: 'b' } }
const samples = {
  pods: {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i', resources: { limits: { cpu: 1 } } }] },
  },
  deployments: { metadata: { name: 'd' }, spec: { selector, template } },
  statefulsets: { metadata: { name: 's' }, spec: { serviceName: 's', selector, template } },
  daemonsets: { metadata: { name: 'd' }, spec: { selector, template } },
  services: { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } },
  namespaces: { metadata: { name: 'n' } },
  nodes: { metadata: { name: 'n' }, status: { capacity: { cpu: 4 } } },
  secrets: { metadata: { name: 's' }, stringData: { a: 'b' } },
  limitranges: { metadata: { name: 'l' }, spec: { limits: [{ type: 'Container', max: { cpu: 2 } }] } },
  leases: { metadata: { name: 'l' }, spec: {} },
}
