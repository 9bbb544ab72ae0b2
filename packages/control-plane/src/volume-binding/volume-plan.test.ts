import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { provisionProblem } from './provision-problem.ts'
import { reviewClaims, type VolumeCatalog, volumeFor } from './volume-plan.ts'

type Facts<T extends { spec?: unknown; status?: unknown }> = Partial<{
  [Part in 'spec' | 'status']: Partial<NonNullable<T[Part]>>
}>

function aClaim(name: string, facts: Facts<PersistentVolumeClaim> = {}): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'demo', uid: `uid-${name}` },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...facts.spec },
    ...(facts.status && { status: facts.status }),
  } as PersistentVolumeClaim
}

function aVolume(
  name: string,
  storage: string,
  spec: Partial<PersistentVolume['spec']> = {},
): PersistentVolume {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, labels: { size: storage } },
    spec: { accessModes: ['ReadWriteOnce'], capacity: { storage }, hostPath: { path: `/${name}` }, ...spec },
  } as PersistentVolume
}

function aCatalog(parts: {
  claims?: PersistentVolumeClaim[]
  volumes?: PersistentVolume[]
  classes?: StorageClass[]
}): VolumeCatalog {
  const { claims = [], volumes = [], classes = [] } = parts
  return {
    claim: (_, name) => claims.find(({ metadata }) => metadata.name === name),
    volume: (name) => volumes.find(({ metadata }) => metadata.name === name),
    storageClass: (name) => classes.find(({ metadata }) => metadata.name === name),
    volumes: () => volumes,
  }
}

const aPod = (...claims: string[]) =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'demo' },
    spec: {
      containers: [],
      volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
    },
  }) as unknown as Pod

const lazy: StorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'lazy' },
  provisioner: 'x',
  volumeBindingMode: 'WaitForFirstConsumer',
}

describe('the volume of a claim', () => {
  test('is the smallest that is free, large enough and of its class', () => {
    const taken = { namespace: 'demo', name: 'other', uid: 'uid-other' }
    const volumes = [
      aVolume('small', '512Mi'),
      aVolume('large', '10Gi'),
      aVolume('fitting', '2Gi'),
      aVolume('taken', '1Gi', { claimRef: taken }),
      aVolume('elsewhere', '1Gi', { storageClassName: 'manual' }),
      aVolume('read-only', '1Gi', { accessModes: ['ReadOnlyMany'] }),
    ]
    expect(volumeFor(aClaim('c'), aCatalog({ volumes }))?.metadata.name).toBe('fitting')
    const picky = aClaim('c', { spec: { selector: { matchLabels: { size: '10Gi' } } } })
    expect(volumeFor(picky, aCatalog({ volumes }))?.metadata.name).toBe('large')
    expect(volumeFor(aClaim('c', { spec: { volumeMode: 'Block' } }), aCatalog({ volumes }))).toBeUndefined()
  })

  test('is the one that is reserved for it, but not one of a claim of that name that has gone', () => {
    const reserved = aVolume('reserved', '1Mi', { claimRef: { namespace: 'demo', name: 'c' } })
    const stale = aVolume('stale', '1Gi', { claimRef: { namespace: 'demo', name: 'c', uid: 'of-another' } })
    expect(volumeFor(aClaim('c'), aCatalog({ volumes: [stale, reserved] }))).toBe(reserved)
    expect(volumeFor(aClaim('c'), aCatalog({ volumes: [stale] }))).toBeUndefined()
  })
})

describe('the claims of a pod', () => {
  const required = {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'k', operator: 'In' as const, values: ['v'] }] }],
  }
  const bound = aClaim('bound', { spec: { volumeName: 'v' }, status: { phase: 'Bound' } })
  const waiting = aClaim('waiting', { spec: { storageClassName: 'lazy' } })
  const catalog = aCatalog({
    claims: [bound, waiting, aClaim('immediate'), aClaim('lost', { status: { phase: 'Lost' } })],
    volumes: [aVolume('v', '1Gi', { nodeAffinity: { required } })],
    classes: [lazy],
  })

  test('bind it to the nodes that reach its volumes', () => {
    expect(reviewClaims(aPod(), catalog)).toEqual({ kind: 'bound', affinities: [] })
    expect(reviewClaims(aPod('bound'), catalog)).toEqual({ kind: 'bound', affinities: [required] })
    expect(reviewClaims(aPod('bound', 'waiting'), catalog)).toEqual({
      kind: 'unbound',
      claims: [waiting],
      affinities: [required],
    })
  })

  test('keep it waiting in the words of kube-scheduler', () => {
    const message = (name: string) => (reviewClaims(aPod(name), catalog) as { message?: string }).message
    expect(message('nope')).toBe('persistentvolumeclaim "nope" not found')
    expect(message('immediate')).toBe('pod has unbound immediate PersistentVolumeClaims')
    expect(message('lost')).toContain('bound to non-existent persistentvolume')
  })
})

test('no folder stands in for a block device, a selected volume or a copy', () => {
  expect(provisionProblem(aClaim('c'))).toBeUndefined()
  expect(provisionProblem(aClaim('c', { spec: { volumeMode: 'Block' } }))).toContain('block')
  expect(provisionProblem(aClaim('c', { spec: { selector: {} } }))).toContain('Selector')
  expect(provisionProblem(aClaim('c', { spec: { dataSource: { kind: 'X', name: 'x' } } }))).toContain(
    'filled',
  )
})
