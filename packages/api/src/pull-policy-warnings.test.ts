import { expect, it } from 'vitest'
import { pullPolicyWarnings } from './pull-policy-warnings.ts'
import type { SidecarContainer, SidecarSet } from './sidecar-set.ts'
import { defaultSidecarSet } from './sidecar-set-defaults.ts'

const sidecarSet = (container: Partial<SidecarContainer>): SidecarSet => ({
  apiVersion: 'apps.kruise.io/v1alpha1',
  kind: 'SidecarSet',
  metadata: { name: 's' },
  spec: { selector: { matchLabels: { app: 'web' } }, containers: [{ name: 'agent', ...container }] },
})
const stored = defaultSidecarSet(sidecarSet({ image: 'agent:1' }))
const warnings = (container: Partial<SidecarContainer>) => {
  const next = sidecarSet(container)
  return pullPolicyWarnings(next, defaultSidecarSet(next), stored)
}

it('a change to latest warns that the pull policy changes too, unless one is said', () => {
  expect(warnings({ image: 'agent:latest' })).toEqual([
    expect.stringContaining('say imagePullPolicy: IfNotPresent to roll it out'),
  ])
  expect(warnings({ image: 'agent:latest', imagePullPolicy: 'IfNotPresent' })).toEqual([])
  expect(warnings({ image: 'agent:2' })).toEqual([])
})
