import { describe, expect, test } from 'vitest'
import { type AnyCondition, withCondition } from './conditions.ts'
import type { Node, Pod, PodSpec } from './generated/kinds.ts'
import { formatGoJson } from './go-json.ts'
import { scaledValue } from './int-or-string.ts'
import { podAdmitsNode, preferredNodeWeight } from './node-affinity.ts'
import { controllerOf, controllerReference, isControlledBy } from './owner-reference.ts'
import { podLimits, podRequests, qosClassOf } from './pod-resources.ts'
import { findUntoleratedTaint, toleratesTaint } from './taints.ts'

describe('pod resources', () => {
  test('count sidecars beside containers and beside later init containers', () => {
    const pod = aPod({
      initContainers: [
        { name: 'early', resources: { requests: { cpu: '5' } } },
        { name: 'sidecar', restartPolicy: 'Always', resources: { requests: { cpu: '1', memory: '1Gi' } } },
        { name: 'late', resources: { requests: { cpu: '5' } } },
      ],
      containers: [
        { name: 'a', resources: { requests: { cpu: '500m' } } },
        { name: 'b', resources: { limits: { memory: '1Gi' } } },
      ],
      overhead: { cpu: '100m' },
    })

    expect(podRequests(pod)).toEqual({ cpu: '6100m', memory: '2Gi' })
    expect(podLimits(pod)).toEqual({ memory: '1Gi' })
  })

  test('of the pod as a whole win', () => {
    const pod = aPod({
      containers: [{ name: 'a', resources: { requests: { cpu: '1', memory: '1Gi' } } }],
      resources: { requests: { cpu: '3' } },
    })

    expect(podRequests(pod)).toEqual({ cpu: '3', memory: '1Gi' })
  })

  test('decide the quality of service', () => {
    const full = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1024Mi' } }

    expect(qosClassOf(aPod({ containers: [{ name: 'a', resources: full }] }))).toBe('Guaranteed')
    expect(qosClassOf(aPod({ containers: [{ name: 'a', resources: full }, { name: 'b' }] }))).toBe(
      'Burstable',
    )
    expect(qosClassOf(aPod({ containers: [{ name: 'a', resources: { requests: { x: '1' } } }] }))).toBe(
      'BestEffort',
    )
  })
})

describe('placement', () => {
  test('follows node selectors, expressions and fields', () => {
    const node = { metadata: { name: 'n1', labels: { zone: 'a', cores: '8' } } } as unknown as Node
    const admits = (matchExpressions: object[], matchFields: object[] = []) =>
      podAdmitsNode(
        aPod({
          containers: [],
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchExpressions, matchFields }],
              },
            },
          },
        } as never),
        node,
      )

    expect(admits([{ key: 'cores', operator: 'Gt', values: ['4'] }])).toBe(true)
    expect(admits([{ key: 'cores', operator: 'Lt', values: ['8'] }])).toBe(false)
    expect(
      admits(
        [{ key: 'zone', operator: 'NotIn', values: ['b'] }],
        [{ key: 'metadata.name', operator: 'In', values: ['n1'] }],
      ),
    ).toBe(true)
    expect(admits([], [{ key: 'metadata.name', operator: 'In', values: ['n2'] }])).toBe(false)
    expect(admits([])).toBe(false)
    expect(podAdmitsNode(aPod({ containers: [], nodeSelector: { zone: 'b' } }), node)).toBe(false)
    expect(preferredNodeWeight(aPod({ containers: [] }), node)).toBe(0)
  })

  test('respects taints', () => {
    const taint = { key: 'virtual', value: 'yes', effect: 'NoSchedule' } as const

    expect(toleratesTaint({ operator: 'Exists' }, taint)).toBe(true)
    expect(toleratesTaint({ key: 'virtual', value: 'yes' }, taint)).toBe(true)
    expect(toleratesTaint({ key: 'virtual', operator: 'Exists', effect: 'NoExecute' }, taint)).toBe(false)
    expect(toleratesTaint({}, { key: 'a', effect: 'NoSchedule' })).toBe(false)
    expect(findUntoleratedTaint([taint], [{ key: 'other', operator: 'Exists' }])).toBe(taint)
    expect(findUntoleratedTaint([{ ...taint, effect: 'PreferNoSchedule' }], [])).toBeUndefined()
  })
})

describe('small rules', () => {
  test('a condition keeps its time while its status stays', () => {
    const first = withCondition<AnyCondition>(undefined, { type: 'Ready', status: 'False' }, 't1')
    const same = withCondition(first, { type: 'Ready', status: 'False', lastTransitionTime: 'x' }, 't2')
    const turned = withCondition(first, { type: 'Ready', status: 'True', reason: 'R' }, 't3')

    expect(same).toBe(first)
    expect(turned).toEqual([{ type: 'Ready', status: 'True', reason: 'R', lastTransitionTime: 't3' }])
  })

  test('percentages scale without floating dust', () => {
    expect(scaledValue('7%', 100, 'up')).toBe(7)
    expect(scaledValue('25%', 10, 'up')).toBe(3)
    expect(scaledValue('25%', 10, 'down')).toBe(2)
    expect(scaledValue(3, 10, 'up')).toBe(3)
    expect(scaledValue('x', 10, 'up')).toBeNaN()
  })

  test('a controller is known by its uid', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'r', uid: 'u' } }
    const pod = {
      ...aPod({ containers: [] }),
      metadata: { name: 'p', ownerReferences: [controllerReference(owner)] },
    }

    expect(controllerOf(pod)?.name).toBe('r')
    expect(isControlledBy(pod, owner)).toBe(true)
    expect(isControlledBy(pod, { ...owner, metadata: { name: 'r', uid: 'other' } })).toBe(false)
  })

  test('Go writes keys in order and escapes what HTML would read', () => {
    expect(formatGoJson({ b: '<&>', a: [undefined, 1.5], c: undefined, é: '\u2028' })).toBe(
      '{"a":[null,1.5],"b":"\\u003c\\u0026\\u003e","é":"\\u2028"}',
    )
  })
})

function aPod(spec: PodSpec): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec }
}
