import { compileLabelSelector } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { webhookDeclarations } from './webhook-declarations.ts'

const declarations = webhookDeclarations('kruise-system')
const value = fc.constantFrom('true', 'false', 'enabled')
const podLabels = fc.dictionary(
  fc.constantFrom(
    'alibabacloud.com/eci',
    'alibabacloud.com/acs',
    'eci',
    'serverless.alibabacloud.com/virtual-node',
    'app',
  ),
  value,
)
const namespaceLabels = fc.dictionary(
  fc.constantFrom('alibabacloud.com/eci', 'alibabacloud.com/acs', 'virtual-node-affinity-injection', 'team'),
  value,
)

function asked(labels: Record<string, string>, ofNamespace: Record<string, string>) {
  return declarations.filter(
    ({ kind, rules, objectSelector, namespaceSelector }) =>
      kind === 'mutating' &&
      rules.some(
        ({ operations, resources }) => operations?.includes('CREATE') && resources?.includes('pods'),
      ) &&
      compileLabelSelector(objectSelector ?? {}).matches(labels) &&
      compileLabelSelector(namespaceSelector ?? {}).matches(ofNamespace),
  )
}

describe('the webhooks for pod creation', () => {
  it('ask about every pod exactly once', () => {
    fc.assert(
      fc.property(podLabels, namespaceLabels, (labels, ofNamespace) => {
        expect(asked(labels, { 'kubernetes.io/metadata.name': 'shop', ...ofNamespace })).toHaveLength(1)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    [{}, {}, 'Ignore'],
    [{ app: 'web' }, { team: 'true' }, 'Ignore'],
    [{ 'alibabacloud.com/eci': 'true' }, {}, 'Fail'],
    [{ 'alibabacloud.com/acs': 'true' }, {}, 'Fail'],
    [{}, { 'alibabacloud.com/eci': 'true' }, 'Fail'],
    [{}, { 'virtual-node-affinity-injection': 'enabled' }, 'Fail'],
    [{ 'serverless.alibabacloud.com/virtual-node': 'true' }, {}, 'Fail'],
  ])('for pod labels %j in a namespace with %j have failurePolicy %s', (labels, ofNamespace, policy) => {
    expect(asked(labels, { 'kubernetes.io/metadata.name': 'shop', ...ofNamespace })[0]?.failurePolicy).toBe(
      policy,
    )
  })

  it('leave the namespace of the manager alone', () => {
    expect(asked({}, { 'kubernetes.io/metadata.name': 'kruise-system' })).toEqual([])
  })

  it('have names of their own', () => {
    expect(new Set(declarations.map(({ name }) => name)).size).toBe(declarations.length)
  })
})
