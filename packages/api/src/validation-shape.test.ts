import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withTodaysSpelling } from './old-spelling.ts'
import type { SidecarSet } from './sidecar-set.ts'
import { defaultSidecarSet } from './sidecar-set-defaults.ts'
import { sidecarSetErrors } from './validation.ts'
import { sidecarSetShapeErrors } from './validation-shape.ts'

const shapeOf = (spec: unknown) => sidecarSetShapeErrors({ spec }).map(({ field }) => field)

describe('the shape of a SidecarSet from outside', () => {
  it.each<[unknown, string[]]>([
    [5, ['spec']],
    [{ containers: 'x' }, ['spec.containers']],
    [{ containers: [null] }, ['spec.containers[0]']],
    [{ containers: [{ name: 'a', transferEnv: 5 }] }, ['spec.containers[0].transferEnv']],
    [{ containers: [{ name: 'a', transferEnv: [null] }] }, ['spec.containers[0].transferEnv[0]']],
    [{ initContainers: [{ upgradeStrategy: 'Hot' }] }, ['spec.initContainers[0].upgradeStrategy']],
    [
      { containers: [{ resourcesPolicy: { resourcesExpr: { limits: { cpu: 1 } } } }] },
      ['spec.containers[0].resourcesPolicy.resourcesExpr.limits.cpu'],
    ],
    [{ updateStrategy: { partition: 1.5 } }, ['spec.updateStrategy.partition']],
    [{ updateStrategy: { paused: 'no' } }, ['spec.updateStrategy.paused']],
    [{ updateStrategy: { scatterStrategy: {} } }, ['spec.updateStrategy.scatterStrategy']],
    [{ injectionStrategy: { revision: [] } }, ['spec.injectionStrategy.revision']],
    [{ patchPodMetadata: [{ annotations: { a: 1 } }] }, ['spec.patchPodMetadata[0].annotations[a]']],
    [{ selector: { matchLabels: { a: null } } }, ['spec.selector.matchLabels[a]']],
    [{ containers: null, updateStrategy: null, selector: { matchLabels: null } }, []],
  ])('of %j is wrong at %j', (spec, fields) => {
    expect(shapeOf(spec)).toEqual(fields)
  })

  it('is refused when it is nested without end', () => {
    let deep: unknown = 1
    for (let i = 0; i < 100_000; i++) deep = [deep]
    expect(shapeOf({ containers: [{ name: 'a', unknown: deep }] })).toEqual(['spec'])
  })

  const everything = {
    selector: {
      matchLabels: { app: 'web' },
      matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }],
    },
    namespaceSelector: { matchLabels: { team: 'x' } },
    initContainers: [{ name: 'i', image: 'i', restartPolicy: 'Always', env: [{ name: 'A', value: 'b' }] }],
    containers: [
      {
        name: 'a',
        image: 'a:1',
        podInjectPolicy: 'BeforeAppContainer',
        upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'e' },
        shareVolumePolicy: { type: 'enabled' },
        shareVolumeDevicePolicy: { type: 'enabled' },
        transferEnv: [
          {
            sourceContainerNameFrom: { fieldRef: { fieldPath: "metadata.labels['a']" } },
            envName: 'A',
            envNames: ['B'],
          },
        ],
        env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } }],
        envFrom: [{ secretRef: { name: 's' } }],
        ports: [{ name: 'http', containerPort: 80 }],
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
        livenessProbe: { httpGet: { port: 80 } },
        lifecycle: { preStop: { exec: { command: ['x'] } } },
        resources: { limits: { cpu: '1' } },
        resourcesPolicy: {
          targetContainersMode: 'sum',
          targetContainersNameRegex: '.*',
          resourcesExpr: { limits: { cpu: 'cpu' } },
        },
      },
    ],
    volumes: [{ name: 'v', configMap: { name: 'x/y', items: [{ key: 'k', path: 'p' }] } }],
    updateStrategy: {
      type: 'RollingUpdate',
      partition: '10%',
      selector: { matchLabels: { a: 'b' } },
      priorityStrategy: { weightPriority: [{ weight: 1, matchSelector: { matchLabels: { a: 'b' } } }] },
      scatterStrategy: [{ key: 'a', value: '*' }],
    },
    injectionStrategy: { revision: { customVersion: '1', policy: 'Partial' } },
    imagePullSecrets: [{ name: 's' }],
    patchPodMetadata: [{ annotations: { a: '{}' }, patchPolicy: 'MergePatchJson' }],
    revisionHistoryLimit: 3,
    strategy: { rollingUpdate: { maxUnavailable: 1 } },
  }

  it('keeps whatever comes after from failing: garbage in any place is refused in words or goes through', () => {
    const places = placesIn(everything)
    const garbage = fc.oneof(
      fc.constantFrom<unknown>(null, '', 'x', 0, -1, 1.5, true, [], {}, [null], [[]], { a: null }),
      fc.jsonValue({ maxDepth: 2 }),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(places.length - 1), garbage), { minLength: 1, maxLength: 3 }),
        (changes) => {
          const spec = structuredClone(everything)
          for (const [place, value] of changes) put(spec, places[place] ?? [], structuredClone(value))
          const draft = {
            apiVersion: 'apps.kruise.io/v1alpha1',
            kind: 'SidecarSet',
            metadata: { name: 's' },
            spec,
          } as unknown as SidecarSet
          if (sidecarSetShapeErrors(draft).length > 0) return
          const stored = defaultSidecarSet(withTodaysSpelling(draft).sidecarSet)
          expect(Array.isArray(sidecarSetErrors(stored, { others: [stored] }))).toBe(true)
        },
      ),
      { numRuns: 3_000 },
    )
  })
})

type Place = readonly (string | number)[]

function placesIn(value: unknown, path: Place = []): Place[] {
  if (typeof value !== 'object' || value === null) return [path]
  const below = Object.entries(value).flatMap(([key, field]) => placesIn(field, [...path, key]))
  return path.length === 0 ? below : [path, ...below]
}

function put(root: object, path: Place, value: unknown): void {
  let target: unknown = root
  for (const step of path.slice(0, -1)) {
    if (typeof target !== 'object' || target === null) return
    target = (target as Record<string | number, unknown>)[step]
  }
  const last = path.at(-1)
  if (typeof target === 'object' && target !== null && last !== undefined)
    (target as Record<string | number, unknown>)[last] = value
}
