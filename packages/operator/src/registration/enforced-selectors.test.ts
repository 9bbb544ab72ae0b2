import type { LabelSelector, MutatingWebhookConfiguration } from '@outrigger/kube'
import { expect, it } from 'vitest'
import { withEnforcedSelectors } from './enforced-selectors.ts'

type Requirement = NonNullable<LabelSelector['matchExpressions']>[number]

const configuration = (matchExpressions?: Requirement[]) =>
  ({
    webhooks: [{ name: 'pods', ...(matchExpressions && { namespaceSelector: { matchExpressions } }) }],
  }) as unknown as MutatingWebhookConfiguration
const selectorAfter = (wanted: Requirement[] | undefined, found: Requirement[] | undefined) =>
  withEnforcedSelectors(configuration(wanted), configuration(found)).webhooks?.[0]?.namespaceSelector
    ?.matchExpressions

const ours: Requirement = { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kruise-system'] }
const system: Requirement = { key: 'control-plane', operator: 'NotIn', values: ['true'] }
const managed: Requirement = { key: 'kubernetes.azure.com/managedby', operator: 'NotIn', values: ['aks'] }

it('keeps what a managed cluster requires, in its order', () => {
  expect(selectorAfter([ours], [ours, system, managed])).toEqual([ours, system, managed])
  expect(selectorAfter([ours], [system, managed, ours])).toEqual([system, managed, ours])
  expect(selectorAfter(undefined, [system, managed])).toEqual([system, managed])
})

it('keeps it when what we want changes', () => {
  const next: Requirement = { ...ours, values: ['elsewhere'] }
  expect(selectorAfter([next], [ours, system, managed])).toEqual([next, system, managed])
})

it('keeps nothing else that somebody wrote', () => {
  const theirs: Requirement = { key: 'team', operator: 'In', values: ['a'] }
  expect(selectorAfter([ours], [ours, theirs])).toEqual([ours])
  expect(selectorAfter([ours], [theirs, system])).toEqual([ours, system])
  expect(selectorAfter(undefined, [theirs])).toBeUndefined()
  expect(selectorAfter([ours], undefined)).toEqual([ours])
})
