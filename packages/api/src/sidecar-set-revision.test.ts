import { expect, it } from 'vitest'
import { withTodaysSpelling } from './old-spelling.ts'
import type { SidecarSet, SidecarSetSpec } from './sidecar-set.ts'
import { defaultSidecarSet } from './sidecar-set-defaults.ts'
import {
  controllerRevisionOf,
  recordedData,
  revisionData,
  sidecarSetAtRevision,
} from './sidecar-set-revision.ts'

const sidecarSet = (spec: SidecarSetSpec, image = 'example/agent:1.0'): SidecarSet =>
  defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: {
      name: 'agents',
      uid: 'u',
      labels: { team: 'x', 'apps.kruise.io/sidecarset-custom-version': '7' },
      annotations: { mine: 'kept', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'agent', image, volumeMounts: [{ name: 'agent-data', mountPath: '/data' }] }],
      volumes: [{ name: 'agent-data' }],
      ...spec,
    },
  })

it('a revision has the name, labels, owner and data of OpenKruise', () => {
  const revision = controllerRevisionOf(sidecarSet({}), {
    namespace: 'kruise-system',
    revision: 3,
    collisionCount: 0,
  })
  expect(revision).toMatchObject({
    metadata: {
      name: 'agents-7c9ccc6db4',
      namespace: 'kruise-system',
      labels: {
        team: 'x',
        'controller.kubernetes.io/hash': '7c9ccc6db4',
        'apps.kruise.io/sidecarset-custom-version': '7',
        'kruise.io/sidecarset-name': 'agents',
      },
      ownerReferences: [
        {
          apiVersion: 'apps.kruise.io/v1beta1',
          kind: 'SidecarSet',
          name: 'agents',
          uid: 'u',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    revision: 3,
    data: { spec: { $patch: 'replace', imagePullSecrets: null, initContainers: null } },
  })
  expect(Object.keys(revision.metadata.annotations ?? {}).sort()).toEqual([
    'kruise.io/sidecarset-hash',
    'kruise.io/sidecarset-hash-without-image',
    'mine',
  ])
  expect(recordedData(revision)).toBe(revisionData(sidecarSet({}).spec))
})

it.each([
  ['without $patch', ['$patch']],
  ['without $patch and patchPodMetadata', ['$patch', 'patchPodMetadata']],
])('a revision that an early release recorded %s says the same', (_, absent) => {
  const { spec } = sidecarSet({})
  const recorded = JSON.parse(revisionData(spec)) as { spec: Record<string, unknown> }
  for (const field of absent) delete recorded.spec[field]
  expect(recordedData({ data: recorded })).toBe(revisionData(spec))
  expect(recordedData({ data: { spec: { containers: [] } } })).not.toBe(revisionData(spec))
})

it("volumes are recorded as Kubernetes' client types print them", () => {
  const volumes: SidecarSetSpec['volumes'] = [
    { name: 'a', emptyDir: { sizeLimit: '1024Mi' } },
    {
      name: 'b',
      downwardAPI: {
        items: [{ path: 'cpu', resourceFieldRef: { containerName: 'web', resource: 'limits.cpu' } }],
      },
    },
    {
      name: 'c',
      ephemeral: {
        volumeClaimTemplate: {
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '0.5Gi' } } },
        },
      },
    },
  ]
  const { spec } = JSON.parse(revisionData(sidecarSet({ volumes }).spec)) as { spec: { volumes: unknown } }
  expect(spec.volumes).toEqual([
    { name: 'a', emptyDir: { sizeLimit: '1Gi' } },
    {
      name: 'b',
      downwardAPI: {
        defaultMode: 420,
        items: [
          { path: 'cpu', resourceFieldRef: { containerName: 'web', resource: 'limits.cpu', divisor: '0' } },
        ],
      },
    },
    {
      name: 'c',
      ephemeral: {
        volumeClaimTemplate: {
          metadata: { creationTimestamp: null },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '512Mi' } } },
        },
      },
    },
  ])
})

it('a restored SidecarSet has the content and hashes of then and the metadata of now', () => {
  const old = sidecarSet({})
  const now = sidecarSet({ injectionStrategy: { paused: false } }, 'example/agent:1.1')
  const options = { namespace: 'n', revision: 1, collisionCount: 0 }
  const restored = sidecarSetAtRevision(now, controllerRevisionOf(old, options))
  expect(restored?.spec.containers?.[0]?.image).toBe('example/agent:1.0')
  expect(restored?.spec.selector).toBeUndefined()
  expect(restored?.metadata.annotations).toEqual(old.metadata.annotations)
  expect(restored?.status?.latestRevision).toBe('agents-7c9ccc6db4')
  expect(revisionData(restored?.spec ?? {})).toBe(revisionData(old.spec))
  const { annotations: _, ...metadata } = controllerRevisionOf(old, options).metadata
  const bare = { ...controllerRevisionOf(old, options), metadata }
  expect(sidecarSetAtRevision(now, bare)?.metadata.annotations?.['kruise.io/sidecarset-hash']).toBe(
    old.metadata.annotations?.['kruise.io/sidecarset-hash'],
  )
  expect(sidecarSetAtRevision(now, { ...bare, data: {} })).toBeUndefined()
})

it('old spellings become those of today, with a warning each, and today wins', () => {
  const spec = { paused: true, strategy: { rollingUpdate: { maxUnavailable: 3 } } } as SidecarSetSpec
  const { sidecarSet: respelled, warnings } = withTodaysSpelling(sidecarSet({ updateStrategy: {}, ...spec }))
  expect(respelled.spec.updateStrategy).toMatchObject({ paused: true })
  expect(warnings).toEqual([
    expect.stringContaining('use spec.updateStrategy.paused'),
    expect.stringContaining('use spec.updateStrategy.maxUnavailable'),
  ])
  expect('paused' in respelled.spec || 'strategy' in respelled.spec).toBe(false)
  const bare = { ...respelled, spec: { ...spec } }
  expect(withTodaysSpelling(bare).sidecarSet.spec.updateStrategy).toEqual({ paused: true, maxUnavailable: 3 })
})
