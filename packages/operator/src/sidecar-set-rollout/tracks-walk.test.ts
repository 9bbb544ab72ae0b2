import { defaultSidecarSet, type SidecarSet, type SidecarSetSpec, type Track } from '@outrigger/api'
import { parseRecords } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RevisionHistory, revisionIndexes } from '../sidecar-set-history/revision-history.ts'
import { injectedPod, webPod } from '../testdata/injected-pod.ts'
import { FedInformer } from '../testdata/memory-cluster.ts'
import { RolloutWorld } from '../testdata/rollout-world.ts'

let world: RolloutWorld

beforeEach(async () => {
  world = new RolloutWorld()
  await world.start()
})
afterEach(() => world.stop())

const names = Array.from({ length: 20 }, (_, i) => `web-${i}`)
const image = (version: string) => `example/agent:${version}`
let generation = 0

function logs(version: string, tracks: readonly Track[] = [], more: SidecarSetSpec = {}): SidecarSet {
  generation++
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: {
      name: 'logs',
      uid: 'uid-of-logs',
      generation,
      labels: { 'apps.kruise.io/sidecarset-custom-version': version },
      annotations: tracks.length > 0 ? { 'outrigger.dev/tracks': JSON.stringify(tracks) } : {},
    },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'agent', image: image(version) }],
      updateStrategy: { maxUnavailable: 20 },
      ...more,
    },
  })
}

/** The pod as injection makes it now. */
function created(name: string, labels: Record<string, string> = {}): Pod {
  const history = new RevisionHistory(new FedInformer(world.revisions, revisionIndexes).store)
  return injectedPod(webPod(name, { labels }), [world.set('logs')], history)
}

const imageOf = ({ spec }: Pod) => spec.containers.find(({ name }) => name === 'agent')?.image
const images = () => Object.fromEntries(names.map((name) => [name, imageOf(world.pod(name))]))
/** What injection would give pods of these names. */
const injectedNow = () => Object.fromEntries(names.map((name) => [name, imageOf(created(name))]))
const count = (wanted: string) => Object.values(images()).filter((one) => one === image(wanted)).length

/** Time for rounds, in which nodes take what the specs say. */
async function settle(rounds = 6): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    await world.pass(1_000)
    for (const name of names) await world.node(name)
  }
}

/** Three versions on record, the pods on the newest. */
async function begin(spec: SidecarSetSpec = {}): Promise<void> {
  for (const version of ['v1', 'v2', 'v3']) {
    await world.put(logs(version, [], spec))
    await world.pass(2_000)
  }
  await world.put(...names.map((name) => created(name)))
  await settle(1)
}

const trial = (percent: number, customVersion = 'v2'): Track => ({ name: 'trial', customVersion, percent })
const old = (percent: number): Track => ({ name: 'old', customVersion: 'v1', percent })

describe('a rollout with tracks', () => {
  it('brings every pod to what injection would give it, however tracks come, grow, shrink and go', async () => {
    await begin()
    const steps = [
      [trial(30)],
      [trial(30), old(30)],
      [trial(60), old(30)],
      [trial(10), old(50)],
      [trial(100)],
      [],
    ]
    for (const tracks of steps) {
      await world.put(logs('v3', tracks))
      await settle()
      expect(images()).toEqual(injectedNow())
      expect(world.set('logs').status).toMatchObject({ matchedPods: 20, updatedPods: 20, readyPods: 20 })
    }
    expect(count('v3')).toBe(20)
  })

  it('moves no pod but those of the track that changes, and the rest', async () => {
    await begin()
    await world.put(logs('v3', [trial(30)]))
    await settle()
    const before = images()
    await world.put(logs('v3', [trial(60)]))
    await settle()
    const after = images()
    for (const name of names) if (before[name] === image('v2')) expect(after[name]).toBe(image('v2'))
    expect(count('v2')).toBeGreaterThan(Object.values(before).filter((one) => one === image('v2')).length)
  })

  it('keeps the pods of a track while its version and the newest one change', async () => {
    await begin()
    await world.put(logs('v3', [trial(40)]))
    await settle()
    const before = names.filter((name) => imageOf(world.pod(name)) === image('v2'))
    await world.put(logs('v4', [trial(40, 'v1')]))
    await settle()
    expect(names.filter((name) => imageOf(world.pod(name)) === image('v1'))).toEqual(before)
    expect(count('v4')).toBe(20 - before.length)
  })

  it('records on each pod the revision that it has', async () => {
    await begin()
    await world.put(logs('v3', [trial(50)]))
    await settle()
    const revisionOf = (version: string) =>
      world.revisions.find(
        ({ metadata }) => metadata.labels?.['apps.kruise.io/sidecarset-custom-version'] === version,
      )
    for (const name of names) {
      const pod = world.pod(name)
      const revision = revisionOf(imageOf(pod) === image('v2') ? 'v2' : 'v3')
      expect(
        parseRecords(pod.metadata.annotations?.['kruise.io/sidecarset-hash'])?.get('logs'),
      ).toMatchObject({
        controllerRevision: revision?.metadata.name,
        hash: revision?.metadata.annotations?.['kruise.io/sidecarset-hash'],
      })
    }
  })

  it('goes on within the budget, in both directions', async () => {
    const spec: SidecarSetSpec = { updateStrategy: { maxUnavailable: 2 } }
    await begin(spec)
    await world.put(logs('v3', [trial(100)], spec))
    await world.pass(3_000)
    expect(count('v2')).toBe(2)
    await settle(12)
    expect(count('v2')).toBe(20)
    await world.put(logs('v3', [], spec))
    await world.pass(3_000)
    expect(count('v3')).toBe(2)
  })

  it('stands still while it is paused, and keeps what a partition keeps', async () => {
    const spec = (more: SidecarSetSpec['updateStrategy']) => ({
      updateStrategy: { maxUnavailable: 20, ...more },
    })
    await begin()
    await world.put(logs('v3', [trial(100)], spec({ paused: true })))
    await settle(2)
    expect(count('v2')).toBe(0)
    await world.put(logs('v3', [trial(100)], spec({ partition: 15 })))
    await settle(2)
    expect(count('v2')).toBe(5)
  })

  it('takes a pod to another track when its labels change', async () => {
    await begin()
    await world.put(
      logs('v3', [{ name: 'team', customVersion: 'v1', selector: { matchLabels: { team: 'a' } } }]),
    )
    await settle(2)
    expect(count('v1')).toBe(0)
    const pod = world.pod('web-7')
    await world.put({ ...pod, metadata: { ...pod.metadata, labels: { app: 'web', team: 'a' } } })
    await settle(2)
    expect(imageOf(world.pod('web-7'))).toBe(image('v1'))
    expect(count('v1')).toBe(1)
  })

  it('leaves pods alone whose revision is gone, says so, and goes on once it is there', async () => {
    await begin()
    await world.put(logs('v3', [trial(50, 'v9')]))
    await settle(2)
    expect(count('v3')).toBe(20)
    await world.pass(12_000)
    expect(world.set('logs').status?.conditions).toMatchObject([
      {
        reason: 'RevisionMissing',
        message: expect.stringMatching(
          /^\d+ of 20 pods are on a track whose revision is not recorded and stay as they are: track trial asks for customVersion v9$/,
        ),
      },
    ])
    await world.put(logs('v9', [], { updateStrategy: { paused: true } }))
    await world.pass(2_000)
    await world.put(logs('v3', [trial(50, 'v9')]))
    await settle()
    expect(count('v9')).toBeGreaterThan(3)
    expect(count('v9') + count('v3')).toBe(20)
    expect(world.set('logs').status?.conditions ?? []).toEqual([])
  })

  it('truncates no revision that a track names', async () => {
    const short: SidecarSetSpec = { revisionHistoryLimit: 1 }
    await begin()
    await world.put(logs('v3', [trial(0)], short))
    await world.pass(60_000)
    const versions = () =>
      world.revisions
        .map(({ metadata }) => metadata.labels?.['apps.kruise.io/sidecarset-custom-version'])
        .sort()
    expect(versions()).toEqual(['v2', 'v3'])
    await world.put(logs('v3', [], short))
    await world.pass(60_000)
    expect(versions()).toEqual(['v3'])
  })
})

describe('a hot upgrade to a track and back', () => {
  const mesh = (version: string, tracks: readonly Track[] = []) =>
    logs(version, tracks, {
      containers: [
        {
          name: 'agent',
          image: image(version),
          upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: image('empty') },
        },
      ],
    })
  const annotation = (key: string) => world.pod('web-0').metadata.annotations?.[key] ?? ''
  const working = () => JSON.parse(annotation('kruise.io/sidecarset-working-hotupgrade-container')).agent
  const running = () => world.pod('web-0').spec.containers.find(({ name }) => name === working())?.image
  const settleOne = async () => {
    for (let i = 0; i < 6; i++) {
      await world.pass(1_000)
      await world.node('web-0')
    }
  }

  it('changes containers each time, and numbers its steps upwards', async () => {
    for (const version of ['v1', 'v2']) {
      await world.put(mesh(version))
      await world.pass(2_000)
    }
    await world.put(created('web-0'))
    await settleOne()
    const all: Track = { name: 'all', customVersion: 'v1' }
    let step = 1n
    for (const [tracks, version] of [
      [[all], 'v1'],
      [[], 'v2'],
      [[all], 'v1'],
    ] as const) {
      const before = working()
      await world.put(mesh('v2', tracks))
      await settleOne()
      expect([running(), working()]).toEqual([image(version), before === 'agent-1' ? 'agent-2' : 'agent-1'])
      const number = BigInt(annotation(`version.sidecarset.kruise.io/${working()}`))
      expect(number).toBeGreaterThan(step)
      step = number
      expect(world.set('logs').status).toMatchObject({ updatedPods: 1, updatedReadyPods: 1 })
      const images = world.pod('web-0').spec.containers.map((container) => container.image)
      expect(images).toContain(image('empty'))
    }
  })
})

describe('pods made anew for a track', () => {
  const evictions = () => world.cluster.writes.filter((write) => write.startsWith('eviction'))
  const args = (version: string, tracks: readonly Track[] = []) => {
    const set = logs(version, tracks, {
      containers: [{ name: 'agent', image: image(version), args: [version] }],
    })
    const { annotations } = set.metadata
    const policy = { 'outrigger.dev/on-other-change': 'Recreate' }
    return { ...set, metadata: { ...set.metadata, annotations: { ...annotations, ...policy } } }
  }
  const owned = (name: string): Pod => {
    const pod = created(name)
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'rs', controller: true }
    return { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } }
  }

  it('are right under their new names, also where they get what the old ones had', async () => {
    for (const version of ['v1', 'v2']) {
      await world.put(args(version))
      await world.pass(2_000)
    }
    const old = names.slice(0, 6)
    await world.put(...old.map(owned))
    await world.pass(31_000)
    const set = args('v2', [{ name: 'trial', customVersion: 'v1', percent: 50 }])
    await world.put(set)
    await world.pass(20_000)
    const onTrial = old.filter((name) => imageOf(created(name)) === image('v1'))
    expect(onTrial.length).toBeGreaterThan(1)
    expect(evictions()).toHaveLength(onTrial.length)
    for (const name of onTrial) {
      world.remove(name)
      await world.put(owned(`new-${name}`))
    }
    await world.pass(30_000)
    expect(evictions()).toHaveLength(onTrial.length)
    expect(world.set('logs').status).toMatchObject({ matchedPods: 6, updatedPods: 6 })
  })
})

describe('a rollout under policy Partial', () => {
  it('keeps as many pods as the partition says, and those first to which injection gives the older content', async () => {
    await begin()
    const partial = (partition: string): SidecarSetSpec => ({
      updateStrategy: { maxUnavailable: 20, partition },
      injectionStrategy: { revision: { customVersion: 'v3', policy: 'Partial' } },
    })
    for (const [partition, kept] of [
      ['70%', 14],
      ['40%', 8],
      ['0%', 0],
    ] as const) {
      await world.put(logs('v4', [], partial(partition)))
      await settle(2)
      expect(count('v3')).toBe(kept)
      const given = injectedNow()
      const agreed = names.filter((name) => given[name] === imageOf(world.pod(name))).length
      const recorded = Object.values(given).filter((one) => one === image('v3')).length
      // They differ by just as many as the draw is off the number.
      expect(agreed).toBe(20 - Math.abs(recorded - kept))
    }
  })
})
