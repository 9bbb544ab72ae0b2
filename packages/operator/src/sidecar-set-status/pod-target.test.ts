import { controllerRevisionOf, defaultSidecarSet, type SidecarSet, type Track } from '@outrigger/api'
import { contentFor, type RevisionSource } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { podTargets } from './pod-target.ts'

const versions = ['v1', 'v2', 'v3']

function logs(version: string, annotations: Record<string, string> = {}): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: {
      name: 'logs',
      labels: { 'apps.kruise.io/sidecarset-custom-version': version },
      annotations,
    },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'agent', image: `agent:${version}` }],
    },
  })
}

const recorded = versions.map((version, i) =>
  controllerRevisionOf(logs(version), { namespace: 'kruise-system', revision: i + 1, collisionCount: 0 }),
)
const history: RevisionSource = {
  find: (_, { customVersion }) =>
    recorded.find(
      ({ metadata }) => metadata.labels?.['apps.kruise.io/sidecarset-custom-version'] === customVersion,
    ),
}

const someTracks: fc.Arbitrary<Track[]> = fc
  .uniqueArray(
    fc.record(
      {
        name: fc.constantFrom('a', 'b', 'c', 'd'),
        customVersion: fc.constantFrom(...versions),
        percent: fc.integer({ min: 0, max: 25 }),
        selector: fc.constantFrom('x', 'y').map((team) => ({ matchLabels: { team } })),
      },
      { requiredKeys: ['name', 'customVersion'] },
    ),
    { selector: ({ name }) => name, maxLength: 4 },
  )
  .map((tracks) => tracks as Track[])

const somePod: fc.Arbitrary<Pod> = fc
  .record({
    name: fc.constantFrom('web-0', 'web-1', 'web-7d4b9c-x2x4z'),
    team: fc.constantFrom('x', 'y', 'z'),
    seed: fc.option(fc.stringMatching(/^[0-9a-z]{8}$/), { nil: undefined }),
    owner: fc.option(fc.constantFrom('web-7d4b9c', 'web'), { nil: undefined }),
  })
  .map(({ name, team, seed, owner }) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      labels: { app: 'web', team, 'pod-template-hash': '7d4b9c' },
      ...(seed !== undefined && { annotations: { 'outrigger.dev/track-seed': seed } }),
      ...(owner !== undefined && {
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: 'u', controller: true },
        ],
      }),
    },
    spec: { containers: [{ name: 'web', image: 'web:1' }] },
  }))

describe('what a pod should come to', () => {
  it('is what injection would give it, whatever the tracks and whoever the pod is', () => {
    fc.assert(
      fc.property(someTracks, somePod, fc.boolean(), (tracks, pod, isByWorkload) => {
        const set = logs('v3', {
          'outrigger.dev/tracks': JSON.stringify(tracks),
          ...(isByWorkload && { 'outrigger.dev/assign-by': 'Workload' }),
        })
        const given = contentFor(set, pod, { revisions: history })
        const { hash, missing } = podTargets(set, history).of(pod)
        expect(missing).toBeUndefined()
        expect(hash).toBe(given.metadata.annotations?.['kruise.io/sidecarset-hash'])
      }),
    )
  })

  it('is the present content without tracks, always the same object', () => {
    const targets = podTargets(logs('v3'), history)
    fc.assert(
      fc.property(somePod, (pod) => {
        expect(targets.of(pod)).toBe(targets.all[0])
      }),
    )
    expect(targets.all).toHaveLength(1)
  })

  it('is not known where the version of its track is not recorded', () => {
    const set = logs('v3', { 'outrigger.dev/tracks': '[{"name":"a","customVersion":"v9"}]' })
    const [pod] = fc.sample(somePod, 1)
    expect(pod && podTargets(set, history).of(pod)).toMatchObject({
      track: 'a',
      missing: 'customVersion v9',
    })
  })
})
