import { describe, expect, test } from 'vitest'
import { schemaOfKind } from './builtin-schema.ts'
import { findUnknownFields, pruneUnknown } from './field-validation.ts'
import { fieldSince, newestRelease, resourceSince, schemaOfRelease } from './release.ts'
import type { Schema } from './schema.ts'

const schema = (kind: string, group = '') => schemaOfKind(group, 'v1', kind) as Schema
const pod = () => ({
  spec: {
    containers: [{ name: 'app', image: 'app:1', startupProbe: { grpc: { port: 1 } } }],
    initContainers: [{ name: 'native', image: 'native:1', restartPolicy: 'Always' }],
    schedulingGates: [{ name: 'wait' }],
    tolerations: [{ operator: 'Exists' }],
  },
})

describe('a schema of an older release', () => {
  test('has not the fields that came later, however deep', () => {
    expect(findUnknownFields(pod(), schemaOfRelease(schema('Pod'), 22))).toEqual([
      'spec.containers[0].startupProbe.grpc',
      'spec.initContainers[0].restartPolicy',
      'spec.schedulingGates',
    ])
  })

  test('gains a field with the release that switched its gate on', () => {
    const unknownIn = (release: number) => findUnknownFields(pod(), schemaOfRelease(schema('Pod'), release))
    expect(unknownIn(26)).toEqual(['spec.initContainers[0].restartPolicy', 'spec.schedulingGates'])
    expect(unknownIn(28)).toEqual(['spec.initContainers[0].restartPolicy'])
    expect(unknownIn(29)).toEqual([])
    expect(unknownIn(newestRelease)).toEqual([])
  })

  test('lets what was there stay as it is', () => {
    const object = pod()
    pruneUnknown(object, schemaOfRelease(schema('Pod'), 22))
    expect(object.spec).toEqual({
      containers: [{ name: 'app', image: 'app:1', startupProbe: {} }],
      initContainers: [{ name: 'native', image: 'native:1' }],
      tolerations: [{ operator: 'Exists' }],
    })
    const today = schema('Pod').properties?.['spec']?.properties?.['containers']
    expect(schemaOfRelease(schema('Pod'), 22).properties?.['spec']?.properties?.['containers']).toMatchObject(
      {
        listType: today?.listType,
        listMapKeys: today?.listMapKeys,
        patchMergeKey: today?.patchMergeKey,
      },
    )
  })

  test('is the same value each time, also where a definition contains itself', () => {
    const definition = schema('CustomResourceDefinition', 'apiextensions.k8s.io')
    const old = schemaOfRelease(definition, 24)
    expect(schemaOfRelease(definition, 24)).toBe(old)
    const version = old.properties?.['spec']?.properties?.['versions']?.items
    let node = version?.properties?.['schema']?.properties?.['openAPIV3Schema']
    for (let depth = 0; depth < 5; depth++) {
      expect(Object.keys(node?.properties ?? {})).not.toContain('x-kubernetes-validations')
      node = node?.properties?.['not']
    }
    expect(Object.keys(version?.properties ?? {})).not.toContain('selectableFields')
  })
})

test('knows since when a field or a resource can be used', () => {
  expect(fieldSince('io.k8s.api.core.v1.Container', 'restartPolicy')).toBe(29)
  expect(fieldSince('io.k8s.api.core.v1.Container', 'image')).toBe(22)
  expect(resourceSince('', 'v1', 'pods/resize')).toBe(33)
  expect(resourceSince('authentication.k8s.io', 'v1', 'selfsubjectreviews')).toBe(28)
  expect(resourceSince('', 'v1', 'pods')).toBe(22)
})
