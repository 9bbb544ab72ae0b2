import { ManualClock } from '@outrigger/foundation/testing'
import { SidecarSetIndex } from '@outrigger/injection'
import { compileLabelSelector } from '@outrigger/kube'
import type { AdmissionRequest } from '@outrigger/webhook'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { filebeat } from '../testdata/objects.ts'
import { shareOneEntry } from './required-sidecar-sets.ts'
import { createSidecarSetMutator } from './sidecar-set/sidecar-set-handlers.ts'
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

describe('required SidecarSets', () => {
  const required = (name: string, spec: object) => ({
    ...filebeat(),
    metadata: { name, annotations: {} as Record<string, string> },
    spec: { ...filebeat().spec, selector: { matchLabels: { app: 'web' } }, ...spec },
  })
  const entries = (...sets: ReturnType<typeof required>[]) =>
    webhookDeclarations('kruise-system', new SidecarSetIndex(sets)).filter(({ path }) =>
      path.includes('required'),
    )

  it('are asked for with their own selectors, outside of the manager’s namespace', () => {
    const [entry] = entries(required('a', { namespaceSelector: { matchLabels: { team: 'x' } } }))
    const asks = (labels: Record<string, string>, ofNamespace: Record<string, string>) =>
      compileLabelSelector(entry?.objectSelector ?? {}).matches(labels) &&
      compileLabelSelector(entry?.namespaceSelector ?? {}).matches(ofNamespace)
    const labels = { app: 'web' }
    expect(asks(labels, { team: 'x', 'kubernetes.io/metadata.name': 'shop' })).toBe(true)
    expect(asks(labels, { team: 'y', 'kubernetes.io/metadata.name': 'shop' })).toBe(false)
    expect(asks(labels, { team: 'x', 'kubernetes.io/metadata.name': 'kruise-system' })).toBe(false)
    expect(asks({ app: 'other' }, { team: 'x', 'kubernetes.io/metadata.name': 'shop' })).toBe(false)
  })

  it('are all that do not say Ignore', () => {
    const bestEffort = required('b', {})
    bestEffort.metadata.annotations['outrigger.dev/failure-policy'] = 'Ignore'
    expect(entries(required('a', {}), bestEffort).map(({ name }) => name)).toEqual(['a.required.vpod.kb.io'])
  })

  it('do not hold up kube-system unless they say Fail', () => {
    const strict = required('b', {})
    strict.metadata.annotations['outrigger.dev/failure-policy'] = 'Fail'
    const asks = entries(required('a', {}), strict).map(({ namespaceSelector }) =>
      compileLabelSelector(namespaceSelector ?? {}).matches({ 'kubernetes.io/metadata.name': 'kube-system' }),
    )
    expect(asks).toEqual([false, true])
  })

  it('that select pods of virtual nodes alone need no entry: those wait for their label', () => {
    const selector = { matchLabels: { 'serverless.alibabacloud.com/virtual-node': 'true' } }
    expect(entries(required('a', { selector }))).toEqual([])
  })

  it('share one entry about all pods when they are more than a hundred', () => {
    const many = (count: number) => entries(...Array.from({ length: count }, (_, i) => required(`s${i}`, {})))
    expect(many(100)).toHaveLength(100)
    expect(many(101).map(({ name }) => name)).toEqual(['required.vpod.kb.io'])
    const shared = (count: number) =>
      shareOneEntry(new SidecarSetIndex(Array.from({ length: count }, (_, i) => required(`s${i}`, {}))))
    // The one that goes from 101 changes what is asked.
    expect([100, 101, 102].map(shared)).toEqual([false, false, true])
  })

  it('with an empty selector, which selects nothing, are asked for never', () => {
    expect(entries(required('a', { selector: {} }))).toEqual([])
  })

  it('with a value nobody knows draw a warning', async () => {
    const object = required('a', {})
    object.metadata.annotations['outrigger.dev/failure-policy'] = 'fail'
    const resource = { group: 'apps.kruise.io', version: 'v1alpha1', resource: 'sidecarsets' }
    const request = { resource, object, operation: 'CREATE' } as unknown as AdmissionRequest
    const answer = await createSidecarSetMutator({ clock: new ManualClock() })(
      request,
      new AbortController().signal,
    )
    expect(answer.warnings).toContain(
      'metadata.annotations[outrigger.dev/failure-policy]: "fail" counts as Fail; write Fail or Ignore',
    )
  })
})
