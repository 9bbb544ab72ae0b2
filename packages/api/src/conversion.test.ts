import { expect, it } from 'vitest'
import { ConversionFailure, convertSidecarSet, withNamespaceSelector } from './conversion.ts'
import { customResourceDefinitions, withStoredVersionOf } from './custom-resource-definitions.ts'

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

it('a definition over one that is there stores what is stored already in the same version', () => {
  const [wanted] = customResourceDefinitions()
  if (wanted === undefined) throw new Error('there is a definition of SidecarSets')
  const stored = (names: readonly string[], storage: string) =>
    withStoredVersionOf(wanted, {
      ...wanted,
      spec: {
        ...wanted.spec,
        versions: names.map((name) => ({ name, served: true, storage: name === storage })),
      },
    }).spec.versions.find((version) => version.storage)?.name
  expect(stored(['v1alpha1'], 'v1alpha1')).toBe('v1alpha1')
  expect(stored(['v1alpha1', 'v1beta1'], 'v1beta1')).toBe('v1beta1')
  expect(stored(['v9'], 'v9')).toBe('v1beta1')
  expect(withStoredVersionOf(wanted, undefined)).toBe(wanted)
})

it('a namespace becomes the selector it stands for, unless the author wrote a selector of another kind', () => {
  const specOf = (spec: object) => withNamespaceSelector({ ...alpha, spec }).spec
  const shop = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } } }
  expect(specOf({ selector: {}, namespace: 'shop' })).toEqual({ selector: {}, ...shop })
  // A manifest applied again: what became of the namespace is there, and the namespace again.
  const before = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'bank' } } }
  expect(specOf({ ...before, namespace: 'shop' })).toEqual(shop)
  expect(specOf(alpha.spec)).toEqual(alpha.spec)
  expect(specOf(shop)).toEqual(shop)
})
