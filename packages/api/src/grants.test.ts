import type { Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { grantsFor, isReferenceGranted } from './grants.ts'
import { foreignReferencesOf, formatInjectedReferences, parseInjectedReferences } from './references.ts'
import type { SidecarSetResourceBinding } from './sidecar-set-resource-binding.ts'

const binding: SidecarSetResourceBinding = {
  apiVersion: 'sidecarset.alibabacloud.com/v1alpha1',
  kind: 'SidecarSetResourceBinding',
  metadata: { name: 'filebeat', namespace: 'kube-system' },
  spec: {
    subjects: [{ kind: 'SidecarSet', name: 'filebeat' }],
    resourceRefs: [{ kind: 'ConfigMap', name: 'filebeat-config' }],
  },
}
const question = {
  sidecarSet: 'filebeat',
  kind: 'ConfigMap',
  namespace: 'kube-system',
  name: 'filebeat-config',
} as const

function pod(annotation?: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'shop',
      ...(annotation && { annotations: { 'outrigger.dev/injected-references': annotation } }),
    },
    spec: {
      containers: [{ name: 'web' }],
      volumes: [{ name: 'config', configMap: { name: 'kube-system/filebeat-config' } }],
    },
  }
}

const record = formatInjectedReferences([{ ...question, volume: 'config' }])

describe('a grant', () => {
  it('needs a binding in the namespace of the object that names the SidecarSet, the kind and the object', () => {
    expect(isReferenceGranted(question, [binding])).toBe(true)
    expect(isReferenceGranted({ ...question, kind: 'Secret' }, [binding])).toBe(false)
    expect(isReferenceGranted({ ...question, namespace: 'default' }, [binding])).toBe(false)
    expect(isReferenceGranted({ ...question, sidecarSet: 'other' }, [binding])).toBe(false)
    expect(isReferenceGranted({ ...question, name: 'other' }, [binding])).toBe(false)
  })

  it('is given for a recorded reference, waited for without a binding, refused without a record', () => {
    expect(grantsFor(pod(record), [binding])).toMatchObject([{ decision: 'granted', sidecarSet: 'filebeat' }])
    expect(grantsFor(pod(record), [])).toMatchObject([
      {
        decision: 'waiting',
        message: expect.stringContaining('create a SidecarSetResourceBinding in namespace kube-system'),
      },
    ])
    expect(grantsFor(pod(), [binding])).toMatchObject([{ decision: 'refused' }])
    expect(grantsFor(pod('[{"sidecarSet":'), [binding])).toMatchObject([{ decision: 'refused' }])
  })

  it('is not given for a record of another volume', () => {
    const other = formatInjectedReferences([{ ...question, volume: 'other' }])
    expect(grantsFor(pod(other), [binding])).toMatchObject([{ decision: 'refused' }])
  })
})

it('references are found in volumes, projected sources, variables and pull secrets', () => {
  const { spec } = pod()
  spec.volumes!.push({
    name: 'all',
    projected: { sources: [{ secret: { name: 'a/b' } }, { configMap: { name: 'c' } }] },
  })
  spec.initContainers = [{ name: 'i', envFrom: [{ secretRef: { name: 'a/c' } }] }]
  spec.containers[0]!.env = [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'a/d', key: 'k' } } }]
  spec.imagePullSecrets = [{ name: 'a/e' }]
  expect(foreignReferencesOf({ spec }).map(({ field, kind }) => [field, kind])).toEqual([
    ['spec.volumes[0].configMap.name', 'ConfigMap'],
    ['spec.volumes[1].projected.sources[0].secret.name', 'Secret'],
    ['spec.initContainers[0].envFrom[0].secretRef.name', 'Secret'],
    ['spec.containers[0].env[0].valueFrom.configMapKeyRef.name', 'ConfigMap'],
    ['spec.imagePullSecrets[0].name', undefined],
  ])
})

it('records of injected references survive the annotation and come out sorted', () => {
  const other = { ...question, sidecarSet: 'a', container: 'x' }
  const text = formatInjectedReferences([{ ...question, volume: 'config' }, other])
  expect(parseInjectedReferences(text)).toEqual([{ ...other }, { ...question, volume: 'config' }])
  expect(formatInjectedReferences(parseInjectedReferences(text)!)).toBe(text)
  expect(parseInjectedReferences(undefined)).toEqual([])
  expect(parseInjectedReferences('{}')).toBeUndefined()
})
