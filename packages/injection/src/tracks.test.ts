import { controllerRevisionOf, type SidecarSet, type SidecarSetSpec, type Track } from '@outrigger/api'
import type { Pod } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyPlan } from './apply-plan.ts'
import { isGivenRecorded, type RevisionSource } from './injected-revision.ts'
import { type InjectionFacts, planInjection } from './plan.ts'
import { workloadOf } from './pod-identity.ts'
import { facts, type PodDraft, pod, sidecarSet } from './testdata/builders.ts'
import { trackOf } from './track-choice.ts'

const versions = ['v1', 'v2', 'v3']
const content = (version: string): SidecarSetSpec => ({
  customVersion: version,
  containers: [{ name: 'agent', image: `agent:${version}` }],
})
const recorded = versions.map((version, i) =>
  controllerRevisionOf(sidecarSet('logs', content(version)), {
    namespace: 'kruise-system',
    revision: i + 1,
    collisionCount: 0,
  }),
)
const revisions: RevisionSource = {
  find: (_, { customVersion, revisionName }) =>
    recorded.find(({ metadata }) =>
      revisionName
        ? metadata.name === revisionName
        : metadata.labels?.['apps.kruise.io/sidecarset-custom-version'] === customVersion,
    ),
}

function logs(tracks: readonly Track[], annotations: Record<string, string> = {}, spec: SidecarSetSpec = {}) {
  return sidecarSet(
    'logs',
    { ...content('v3'), ...spec },
    { 'outrigger.dev/tracks': JSON.stringify(tracks), ...annotations },
  )
}

const named = (name: string, draft: PodDraft = {}): Pod => {
  const made = pod(draft)
  return { ...made, metadata: { ...made.metadata, name } }
}
const unnamed = (draft: PodDraft = {}): Pod => {
  const { name: _, ...metadata } = { ...pod(draft).metadata, generateName: 'web-' }
  return { ...pod(draft), metadata: metadata as Pod['metadata'] }
}
const injected = (subject: Pod, set: SidecarSet, more: Partial<InjectionFacts> = {}): Pod =>
  applyPlan(subject, planInjection(subject, { ...facts([set]), revisions, ...more }))
const imageOf = ({ spec }: Pod) => spec.containers.find(({ name }) => name === 'agent')?.image
const seedOf = ({ metadata }: Pod) => metadata.annotations?.['outrigger.dev/track-seed']
const pods = Array.from({ length: 200 }, (_, i) => named(`web-${i}`))

const trial: Track = { name: 'trial', customVersion: 'v2', percent: 20 }
const old: Track = { name: 'old', customVersion: 'v1', percent: 30 }

describe('a pod of a SidecarSet with tracks', () => {
  it('gets the content of its track, or the present one, in about the proportions of the shares', () => {
    const images = pods.map((one) => imageOf(injected(one, logs([trial, old]))))
    const count = (image: string) => images.filter((one) => one === image).length
    expect(count('agent:v2')).toBeGreaterThan(25)
    expect(count('agent:v2')).toBeLessThan(55)
    expect(count('agent:v1')).toBeGreaterThan(40)
    expect(count('agent:v1')).toBeLessThan(80)
    expect(count('agent:v1') + count('agent:v2') + count('agent:v3')).toBe(200)
  })

  it('records the revision it was given', () => {
    const set = logs([{ name: 'all', customVersion: 'v1' }])
    const record = JSON.parse(
      injected(pod(), set).metadata.annotations?.['kruise.io/sidecarset-hash'] ?? '{}',
    )
    expect(record.logs).toMatchObject({
      hash: recorded[0]?.metadata.annotations?.['kruise.io/sidecarset-hash'],
      controllerRevision: recorded[0]?.metadata.name,
    })
  })

  it('stays on its track while that grows, and while its version changes', () => {
    for (const one of pods) {
      if (trackOf(logs([trial]), one)?.name !== 'trial') continue
      for (const percent of [21, 50, 100]) {
        const grown = logs([{ ...trial, percent, customVersion: 'v1' }])
        expect(trackOf(grown, one)?.name).toBe('trial')
      }
    }
  })

  it('is on none with a share of 0, and always on one with all of them', () => {
    for (const one of pods) {
      expect(trackOf(logs([{ ...trial, percent: 0 }]), one)).toBeUndefined()
      expect(trackOf(logs([{ ...trial, percent: 100 }]), one)?.name).toBe('trial')
    }
  })

  it('competes for those tracks alone whose selector picks it', () => {
    const set = logs([{ ...trial, percent: 100, selector: { matchLabels: { team: 'a' } } }])
    expect(imageOf(injected(pod({ labels: { team: 'a' } }), set))).toBe('agent:v2')
    expect(imageOf(injected(pod({ labels: { team: 'b' } }), set))).toBe('agent:v3')
  })

  it('is taken by the first track without a share, whatever others there are', () => {
    const selector = { matchLabels: { team: 'a' } }
    const set = logs([
      { ...trial, percent: 100 },
      { name: 'team-a', customVersion: 'v1', selector },
      { name: 'late', customVersion: 'v3', selector },
    ])
    expect(trackOf(set, pod({ labels: { team: 'a' } }))?.name).toBe('team-a')
    expect(trackOf(set, pod())?.name).toBe('trial')
  })

  it('outside of them gets what it would get without tracks', () => {
    const spec: SidecarSetSpec = {
      injectionStrategy: { revision: { customVersion: 'v1', policy: 'Always' } },
    }
    expect(imageOf(injected(pod(), logs([{ ...trial, percent: 0 }], {}, spec)))).toBe('agent:v1')
  })

  it('is refused where the revision of its track is not recorded, and no other pod is', () => {
    const set = logs([{ name: 'team-a', customVersion: 'v9', selector: { matchLabels: { team: 'a' } } }])
    expect(() => injected(pod({ labels: { team: 'a' } }), set)).toThrow(
      'SidecarSet logs: track team-a asks for customVersion v9, which is not recorded',
    )
    expect(imageOf(injected(pod(), set))).toBe('agent:v3')
  })

  it('may get the present content by its version before that is recorded', () => {
    const set = logs([{ name: 'all', customVersion: 'v3' }])
    const { revisions: _, ...known } = { ...facts([set]), revisions }
    expect(imageOf(applyPlan(pod(), planInjection(pod(), known)))).toBe('agent:v3')
  })

  it('counts as on none while the annotation cannot be read', () => {
    const set = sidecarSet('logs', content('v3'), { 'outrigger.dev/tracks': '[{"name":"trial"}]' })
    expect(imageOf(injected(pod(), set))).toBe('agent:v3')
  })

  it('is told its track and why', () => {
    const [reason] = planInjection(named('web-1'), { ...facts([logs([trial, old])]), revisions }).contents
    expect(reason?.reason).toMatch(/^on .*, decided by its name shop\/web-1$/)
    const set = logs([{ name: 'team-a', customVersion: 'v1', selector: { matchLabels: { app: 'web' } } }])
    expect(planInjection(pod(), { ...facts([set]), revisions }).contents).toEqual([
      {
        sidecarSet: 'logs',
        track: 'team-a',
        reason: 'on track team-a (customVersion v1), which takes the pods app=web',
      },
    ])
  })
})

describe('a pod that reaches its node late', () => {
  it('keeps what it carries, if that is one of the contents it may have', () => {
    const before = injected(pod(), logs([{ name: 'all', customVersion: 'v1' }]))
    const now = logs([
      { name: 'all', customVersion: 'v2' },
      { name: 'other', customVersion: 'v1', percent: 0 },
    ])
    const record = (subject: Pod) =>
      JSON.parse(subject.metadata.annotations?.['kruise.io/sidecarset-hash'] ?? '{}').logs.hash
    expect(record(injected(before, now, { isLate: true }))).toBe(record(before))
    expect(record(injected(before, now))).not.toBe(record(before))
  })
})

describe('a pod without a name', () => {
  const set = logs([{ ...trial, percent: 50 }])

  it('is given a seed by which it is decided then and later', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.999_999, noNaN: true }), (chance) => {
        const settled = injected(unnamed(), set, { chance })
        expect(seedOf(settled)).toMatch(/^[0-9a-z]{8}$/)
        const later = { ...settled, metadata: { ...settled.metadata, name: 'web-x7k2p' } }
        expect(imageOf(settled)).toBe(trackOf(set, later) === undefined ? 'agent:v3' : 'agent:v2')
      }),
    )
  })

  it('is injected twice as once', () => {
    const once = injected(unnamed(), set, { chance: 0.4 })
    expect(injected(once, set, { chance: 0.9 })).toEqual(once)
  })

  it.each<[string, SidecarSet]>([
    ['there are no tracks', sidecarSet('logs', content('v3'))],
    ['no share is drawn for', logs([{ name: 'all', customVersion: 'v1' }])],
    ['no track picks it', logs([{ ...trial, selector: { matchLabels: { app: 'other' } } }])],
    ['its workload decides', logs([{ ...trial, percent: 50 }], { 'outrigger.dev/assign-by': 'Workload' })],
  ])('gets no seed where %s', (_, other) => {
    const owned = unnamed()
    owned.metadata.ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-5d4', uid: 'u', controller: true },
    ]
    expect(seedOf(injected(owned, other, { chance: 0.5 }))).toBeUndefined()
  })

  it('gets none where nothing may be drawn, and is on no track by share then', () => {
    const settled = injected(unnamed(), set)
    expect(seedOf(settled)).toBeUndefined()
    expect(imageOf(settled)).toBe('agent:v3')
  })
})

describe('assignment by workload', () => {
  const owned = (kind: string, name: string, hash?: string) => {
    const made = pod(hash === undefined ? {} : { labels: { 'pod-template-hash': hash } })
    const owner = { apiVersion: 'apps/v1', kind, name, uid: 'u', controller: true }
    return { ...made, metadata: { ...made.metadata, ownerReferences: [owner] } }
  }

  it.each([
    ['ReplicaSet', 'web-7d4b9c', '7d4b9c', 'Deployment/web'],
    ['ReplicaSet', 'web', undefined, 'ReplicaSet/web'],
    ['ReplicaSet', 'web-7d4b9c', 'other', 'ReplicaSet/web-7d4b9c'],
    ['StatefulSet', 'db', undefined, 'StatefulSet/db'],
    ['Job', 'nightly-29301120', undefined, 'CronJob/nightly'],
    ['Job', 'once', undefined, 'Job/once'],
  ])('knows the pods of %s %s as those of %s', (kind, name, hash, workload) => {
    expect(workloadOf(owned(kind, name, hash))).toBe(workload)
  })

  it('gives all pods of a workload the same, over releases and scaling', () => {
    const set = logs([{ ...trial, percent: 50 }], { 'outrigger.dev/assign-by': 'Workload' })
    const tracks = new Set<string | undefined>()
    for (let i = 0; i < 30; i++) {
      const release = (hash: string) => trackOf(set, owned('ReplicaSet', `web-${i}-${hash}`, hash))?.name
      expect(release('aaa')).toBe(release('bbb'))
      tracks.add(release('aaa'))
    }
    expect(tracks).toEqual(new Set([undefined, 'trial']))
  })
})

describe('policy Partial', () => {
  const partial = (partition: string) =>
    sidecarSet('logs', {
      ...content('v3'),
      updateStrategy: { partition },
      injectionStrategy: { revision: { customVersion: 'v1', policy: 'Partial' } },
    })

  it('gives the recorded content to the pods that a rollout leaves on it first', () => {
    for (const partition of ['0%', '30%', '70%', '100%'])
      for (const one of pods.slice(0, 50)) {
        const isRecorded = imageOf(injected(one, partial(partition))) === 'agent:v1'
        expect(isGivenRecorded(partial(partition), one)).toBe(isRecorded)
        if (partition === '0%') expect(isRecorded).toBe(false)
        if (partition === '100%') expect(isRecorded).toBe(true)
      }
  })

  it('takes a pod off the recorded content once as the partition goes down, and never back', () => {
    for (const one of pods) {
      const steps = ['100%', '80%', '50%', '20%', '0%'].map((step) => isGivenRecorded(partial(step), one))
      expect(steps).toEqual([...steps].sort().reverse())
    }
  })

  it('takes about the share it says', () => {
    const count = pods.filter((one) => isGivenRecorded(partial('70%'), one)).length
    expect(count).toBeGreaterThan(115)
    expect(count).toBeLessThan(165)
  })

  it('draws a seed for a pod without a name, and none where there is nothing to draw', () => {
    expect(seedOf(injected(unnamed(), partial('70%'), { chance: 0.2 }))).toBeDefined()
    expect(seedOf(injected(unnamed(), partial('100%'), { chance: 0.2 }))).toBeUndefined()
    expect(seedOf(injected(unnamed(), partial('0%'), { chance: 0.2 }))).toBeUndefined()
  })
})
