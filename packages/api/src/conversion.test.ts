import { expect, it } from 'vitest'
import { ConversionFailure, convertSidecarSet } from './conversion.ts'
import { customResourceDefinitions } from './custom-resource-definitions.ts'

const alpha = {
  apiVersion: 'apps.kruise.io/v1alpha1',
  kind: 'SidecarSet',
  metadata: { name: 'c', labels: { team: 'x', 'apps.kruise.io/sidecarset-custom-version': '7' } },
  spec: { namespace: 'shop', namespaceSelector: { matchLabels: { env: 'prod' } }, selector: {} },
}

it('conversion moves the namespace and the custom version as OpenKruise does', () => {
  const beta = convertSidecarSet(alpha, 'apps.kruise.io/v1beta1')
  expect(beta).toEqual({
    apiVersion: 'apps.kruise.io/v1beta1',
    kind: 'SidecarSet',
    metadata: { name: 'c', labels: { team: 'x' } },
    spec: {
      selector: {},
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } },
      customVersion: '7',
    },
  })
  expect(convertSidecarSet(beta, 'apps.kruise.io/v1alpha1')).toEqual({
    ...alpha,
    spec: { selector: {}, namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } } },
  })
})

it('conversion refuses other versions and kinds', () => {
  expect(() => convertSidecarSet(alpha, 'apps.kruise.io/v2')).toThrow(ConversionFailure)
  expect(() => convertSidecarSet({ ...alpha, kind: 'Pod' }, 'v1')).toThrow(ConversionFailure)
})

it('definitions show the columns of OpenKruise and store v1beta1', () => {
  const [sidecarSets, bindings] = customResourceDefinitions()
  expect(sidecarSets?.spec.versions.map(({ name, storage }) => [name, storage])).toEqual([
    ['v1alpha1', false],
    ['v1beta1', true],
  ])
  expect(sidecarSets?.spec.versions[0]?.additionalPrinterColumns?.map(({ name }) => name)).toEqual([
    'MATCHED',
    'UPDATED',
    'READY',
    'AGE',
  ])
  expect(bindings?.metadata.name).toBe('sidecarsetresourcebindings.sidecarset.alibabacloud.com')
})
