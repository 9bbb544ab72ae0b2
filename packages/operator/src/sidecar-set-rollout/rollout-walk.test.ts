import {
  defaultSidecarSet,
  type SidecarContainer,
  type SidecarSet,
  type SidecarSetSpec,
} from '@outrigger/api'
import { ApiError } from '@outrigger/client'
import type { Pod } from '@outrigger/kube'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { injectedPod, webPod } from '../testdata/injected-pod.ts'
import { RolloutWorld, served } from '../testdata/rollout-world.ts'

let world: RolloutWorld

beforeEach(async () => {
  world = new RolloutWorld()
  await world.start()
})
afterEach(() => world.stop())

let generation = 0

function sidecarSet(
  name: string,
  container: Partial<SidecarContainer>,
  spec: SidecarSetSpec = {},
): SidecarSet {
  generation++
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name, uid: `uid-of-${name}`, generation, labels: {} },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'agent', image: 'example/agent:1.0', ...container }],
      ...spec,
    },
  })
}

const injected = (name: string, ...sets: SidecarSet[]) => injectedPod(webPod(name), sets)

const imageOf = (pod: Pod, container = 'agent') =>
  pod.spec.containers.find(({ name }) => name === container)?.image
const images = (container = 'agent', names = ['a', 'b', 'c']) =>
  names.map((name) => imageOf(world.pod(name), container))
const one = 'example/agent:1.0'
const two = 'example/agent:1.1'

describe('a cold rollout', () => {
  const budget = { updateStrategy: { maxUnavailable: 1 } }

  async function begin(next: Partial<SidecarContainer> = { image: two }, spec: SidecarSetSpec = budget) {
    const old = sidecarSet('agents', {}, spec)
    await world.put(old, injected('a', old), injected('b', old), injected('c', old))
    await world.pass(1_000)
    await world.put(sidecarSet('agents', next, spec))
    await world.pass(1_000)
  }

  it('moves one pod at a time, each when the one before serves', async () => {
    await begin()
    expect(images()).toEqual([two, one, one])
    await world.pass(5_000)
    expect(images()).toEqual([two, one, one])
    await world.node('a')
    await world.pass(1_000)
    expect(images()).toEqual([two, two, one])
    expect(world.set('agents').status).toMatchObject({
      matchedPods: 3,
      updatedPods: 2,
      readyPods: 2,
      updatedReadyPods: 1,
    })
    await world.node('b')
    await world.pass(1_000)
    await world.node('c')
    await world.pass(1_000)
    expect(images()).toEqual([two, two, two])
    expect(world.set('agents').status).toMatchObject({ updatedPods: 3, readyPods: 3, updatedReadyPods: 3 })
    expect(world.set('agents').status?.conditions).toBeUndefined()
  })

  it('writes the status before it moves a pod', async () => {
    await begin()
    const writes = world.cluster.writes.filter((write) => write.startsWith('patch'))
    expect(writes.indexOf('patch pods shop/a')).toBeGreaterThan(writes.indexOf('patch sidecarsets agents'))
  })

  it('says after a while why nothing moves, with the arithmetic', async () => {
    await begin()
    await world.pass(12_000)
    expect(world.set('agents').status?.conditions).toMatchObject([
      {
        type: 'Progressing',
        status: 'False',
        reason: 'BudgetSpent',
        message:
          '2 of 3 pods wait for new images; maxUnavailable 1 of 3 lets 1 updated pods be unavailable, and 1 are: shop/a',
      },
    ])
    await world.node('a')
    await world.pass(1_000)
    expect(world.set('agents').status?.conditions).toBeUndefined()
  })

  it('forgets a pod that is deleted in its update, and its namesake starts anew', async () => {
    await begin()
    world.remove('a')
    await world.pass(1_000)
    expect(images('agent', ['b'])).toEqual([two])
    const again = injected('a', sidecarSet('agents', {}, budget))
    await world.put({ ...again, metadata: { ...again.metadata, uid: 'another' } })
    await world.node('b')
    await world.pass(1_000)
    expect(images()).toEqual([two, two, one])
  })

  it('loses no budget to pods that end', async () => {
    await begin()
    const pod = world.pod('a')
    await world.put({ ...pod, status: { ...pod.status, phase: 'Failed' } })
    await world.pass(1_000)
    expect(images()).toEqual([two, two, one])
  })

  it('goes back at once from an image that does not start, without touching the others', async () => {
    await begin({ image: 'example/agent:bad' })
    await world.node('a', { broken: ['agent'] })
    await world.pass(1_000)
    expect(images()).toEqual(['example/agent:bad', one, one])
    await world.put(sidecarSet('agents', {}, budget))
    await world.pass(1_000)
    expect(images()).toEqual([one, one, one])
    expect(world.set('agents').status).toMatchObject({ updatedPods: 3 })
  })

  it('does not move a second pod while the cache lags behind its own write', async () => {
    const old = sidecarSet('agents', {}, budget)
    await world.put(old, injected('a', old), injected('b', old))
    await world.pass(1_000)
    await world.put(sidecarSet('agents', { image: two }, budget))
    await world.clock.advance(5_000)
    expect(images('agent', ['a', 'b'])).toEqual([two, one])
  })

  it('tries pods later that are refused, and moves the others meanwhile', async () => {
    world.cluster.refuse = (verb, resource, key) => {
      if (verb === 'patch' && resource.resource === 'pods' && key === 'shop/a')
        throw new ApiError(403, { reason: 'Forbidden', message: 'a disruption budget says no' })
    }
    await begin({ image: two }, { updateStrategy: { maxUnavailable: 3 } })
    expect(images()).toEqual([one, two, two])
    await world.node('b')
    await world.node('c')
    await world.pass(12_000)
    expect(world.set('agents').status?.conditions).toMatchObject([
      { reason: 'PodsRefused', message: expect.stringContaining('pod shop/a: a disruption budget says no') },
    ])
    world.cluster.refuse = () => {}
    await world.pass(20_000)
    expect(images()).toEqual([two, two, two])
  })

  it('loses nothing when every second write meets a conflict', async () => {
    let count = 0
    world.cluster.refuse = (verb, resource) => {
      if (verb === 'patch' && resource.resource === 'pods' && count++ % 2 === 0)
        throw new ApiError(409, { reason: 'Conflict', message: 'again' })
    }
    await begin({ image: two }, { updateStrategy: { maxUnavailable: '100%' } })
    await world.pass(5_000)
    expect(images()).toEqual([two, two, two])
  })

  it('is taken up by another manager where it stands', async () => {
    await begin()
    await world.stop()
    await world.start()
    await world.pass(1_000)
    expect(images()).toEqual([two, one, one])
    await world.node('a')
    await world.pass(1_000)
    expect(images()).toEqual([two, two, one])
  })

  it('patches annotations of the pods it moves, those that retain them too', async () => {
    const patchPodMetadata = [{ annotations: { 'example.com/log': 'new' }, patchPolicy: 'Retain' as const }]
    const old = sidecarSet('agents', {}, budget)
    await world.put(old, injected('a', old))
    await world.put(sidecarSet('agents', { image: two }, { ...budget, patchPodMetadata }))
    await world.pass(1_000)
    expect(world.pod('a').metadata.annotations?.['example.com/log']).toBe('new')
  })

  it('gives the condition of a pod one entry for each SidecarSet, and takes those back that are over', async () => {
    const mine = sidecarSet('mine', {}, budget)
    const other = sidecarSet('other', { name: 'second' }, budget)
    await world.put(mine, other, injected('a', mine, other))
    await world.put(
      sidecarSet('mine', { args: ['-v'] }, budget),
      sidecarSet('other', { name: 'second', image: two }, budget),
    )
    await world.pass(2_000)
    const condition = () =>
      world.pod('a').status?.conditions?.find(({ type }) => type === 'SidecarSetUpgradable')
    expect(condition()).toMatchObject({
      status: 'False',
      reason: 'UpdateImmutableField',
      message: '{"mine":false,"other":true}',
    })
    expect(world.said).toMatchObject([
      { about: 'mine', draft: { type: 'Normal', reason: 'NotUpgradablePods' } },
    ])
    await world.put(sidecarSet('mine', {}, budget))
    await world.pass(2_000)
    expect(condition()).toMatchObject({ status: 'True', message: '{"mine":true,"other":true}' })
  })
})

describe('whether a node has taken an image', () => {
  it.each<[string, string, string, string, boolean]>([
    [
      'another tag of the same digest, the old name still reported',
      'a:2',
      'a:1',
      'docker.io/library/a@sha256:1',
      true,
    ],
    ['a short name reported in full', 'a:2', 'docker.io/library/a:2', 'docker.io/library/a@sha256:1', true],
    ['a digest that runs, from another registry', 'r.io/a@sha256:1', 'x', 'mirror.io/a@sha256:1', true],
    ['a digest that does not run', 'r.io/a@sha256:2', 'x', 'r.io/a@sha256:1', false],
  ])('%s', async (_, image, reported, imageID, expected) => {
    const old = sidecarSet('agents', { image: 'a:1' })
    const pod = injected('a', old)
    const withId = (subject: Pod, id: string, name: string, startedAt: string): Pod => ({
      ...subject,
      status: {
        ...subject.status,
        containerStatuses: (subject.status?.containerStatuses ?? []).map((status) =>
          status.name === 'agent'
            ? { ...status, image: name, imageID: id, state: { running: { startedAt } } }
            : status,
        ),
      },
    })
    await world.put(old, withId(pod, 'docker.io/library/a@sha256:1', 'a:1', '2025-01-01T00:00:00Z'))
    await world.put(sidecarSet('agents', { image }))
    await world.pass(1_000)
    expect(imageOf(world.pod('a'))).toBe(image)
    await world.put(withId(world.pod('a'), imageID, reported, '2027-01-01T00:00:00Z'))
    await world.pass(1_000)
    expect(world.set('agents').status?.updatedReadyPods).toBe(expected ? 1 : 0)
  })
})

describe('a hot upgrade', () => {
  const mesh = (tag: string, spec: SidecarSetSpec = {}) =>
    sidecarSet(
      'mesh-set',
      {
        name: 'mesh',
        image: `example/mesh:${tag}`,
        upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'example/mesh:empty' },
      },
      spec,
    )
  const state = () => {
    const pod = world.pod('a')
    const annotations = pod.metadata.annotations ?? {}
    const tag = (container: string) => imageOf(pod, container)?.replace(/.*:/, '')
    const number = (which: string, container: string) =>
      annotations[`${which}.sidecarset.kruise.io/${container}`]
    return {
      images: [tag('mesh-1'), tag('mesh-2')],
      working: JSON.parse(annotations['kruise.io/sidecarset-working-hotupgrade-container'] ?? '{}').mesh,
      version: [number('version', 'mesh-1'), number('version', 'mesh-2')],
      versionalt: [number('versionalt', 'mesh-1'), number('versionalt', 'mesh-2')],
    }
  }
  const counted = () => {
    const { updatedPods, readyPods } = world.set('mesh-set').status ?? {}
    return [updatedPods, readyPods]
  }

  async function release(tag: string, spec: SidecarSetSpec = {}): Promise<string> {
    await world.put(mesh(tag, spec))
    const version = world.set('mesh-set').metadata.resourceVersion ?? ''
    await world.pass(1_000)
    return version
  }

  beforeEach(async () => {
    const first = mesh('v1')
    await world.put(first, injected('a', first))
    await world.pass(1_000)
  })

  it('walks through the states, again and again', async () => {
    expect(state()).toEqual({
      images: ['v1', 'empty'],
      working: 'mesh-1',
      version: ['1', '0'],
      versionalt: ['0', '1'],
    })
    expect(counted()).toEqual([1, 1])

    const two = await release('v2')
    const upgraded = state()
    expect(upgraded).toMatchObject({ images: ['v1', 'v2'], working: 'mesh-2' })
    expect(Number(upgraded.version[1])).toBeGreaterThanOrEqual(Number(two))
    expect(upgraded.versionalt).toEqual([upgraded.version[1], '1'])
    expect(counted()).toEqual([1, 0])

    await world.node('a', { left: ['mesh-2'] })
    await world.pass(5_000)
    expect(state().images).toEqual(['v1', 'v2'])
    await world.node('a')
    await world.pass(1_000)
    expect(state()).toEqual({
      images: ['empty', 'v2'],
      working: 'mesh-2',
      version: ['0', upgraded.version[1]],
      versionalt: [upgraded.version[1], '0'],
    })
    expect(world.said).toMatchObject([
      { about: 'a', draft: { type: 'Normal', reason: 'ResetContainerSucceed' } },
    ])
    expect(counted()).toEqual([1, 0])
    await world.node('a')
    await world.pass(1_000)
    expect(counted()).toEqual([1, 1])

    await release('v3')
    expect(state()).toMatchObject({ images: ['v3', 'v2'], working: 'mesh-1' })
  })

  it('waits for a container that is still taking over', async () => {
    await release('v2')
    await world.node('a', { broken: ['mesh-2'] })
    await world.pass(5_000)
    expect(state().images).toEqual(['v1', 'v2'])
  })

  it('waits for a native sidecar that is still taking over', async () => {
    const native = (tag: string) => {
      const { metadata, spec, ...rest } = mesh(tag)
      const initContainers = spec.containers?.map((one) => ({ ...one, restartPolicy: 'Always' }))
      const annotations = { ...metadata.annotations, 'outrigger.dev/update-native-sidecars': 'true' }
      return defaultSidecarSet({
        ...rest,
        metadata: { ...metadata, annotations },
        spec: { ...spec, containers: [], ...(initContainers && { initContainers }) },
      })
    }
    const natives = () => world.pod('a').spec.initContainers?.map(({ image }) => image?.replace(/.*:/, ''))
    world.removeSet('mesh-set')
    world.remove('a')
    const first = native('v1')
    await world.put(first, injected('a', first))
    await world.pass(1_000)
    await world.put(native('v2'))
    await world.pass(1_000)
    expect(natives()).toEqual(['v1', 'v2'])

    await world.node('a', { broken: ['mesh-2'] })
    await world.pass(5_000)
    expect(natives()).toEqual(['v1', 'v2'])
    await world.node('a')
    await world.pass(1_000)
    expect(natives()).toEqual(['empty', 'v2'])
  })

  it('gives a new container that does not start the next image', async () => {
    await release('bad')
    await world.node('a', { broken: ['mesh-2'] })
    await release('v3')
    expect(state()).toMatchObject({ images: ['v1', 'v3'], working: 'mesh-2' })
  })

  it('goes back to the container that works, by emptying the one that does not start', async () => {
    await release('bad')
    await world.node('a', { broken: ['mesh-2'] })
    await release('v1')
    expect(state()).toMatchObject({ images: ['v1', 'empty'], working: 'mesh-1', version: ['1', '0'] })
    expect(state().versionalt[0]).toBe('0')
    await world.node('a')
    await world.pass(1_000)
    expect(counted()).toEqual([1, 1])
  })

  it('goes back also when both run, and the old one was never emptied', async () => {
    await release('v2', { updateStrategy: { paused: false } })
    const pod = served(world.pod('a'))
    await world.stop()
    await world.put(pod, mesh('v1'))
    await world.start()
    await world.pass(1_000)
    await world.node('a')
    await world.pass(1_000)
    expect(state()).toMatchObject({ images: ['v1', 'empty'], working: 'mesh-1' })
  })

  it('starts nothing while paused, but finishes what was begun', async () => {
    await release('v2')
    await release('v3', { updateStrategy: { paused: true } })
    await world.node('a')
    await world.pass(2_000)
    expect(state().images).toEqual(['empty', 'v2'])
    await world.pass(5_000)
    expect(state().images).toEqual(['empty', 'v2'])
  })

  it('is finished by another manager, whatever step it was at', async () => {
    const restart = async () => {
      await world.stop()
      await world.start()
      await world.pass(1_000)
    }
    await release('v2')
    await restart()
    expect(state()).toMatchObject({ images: ['v1', 'v2'], working: 'mesh-2' })
    await world.stop()
    await world.node('a')
    await world.start()
    await world.pass(1_000)
    expect(state().images).toEqual(['empty', 'v2'])
    await restart()
    await world.node('a')
    await restart()
    expect(counted()).toEqual([1, 1])
    expect(state()).toMatchObject({ images: ['empty', 'v2'], working: 'mesh-2' })
  })

  it('says when the old container cannot be emptied', async () => {
    await release('v2')
    world.cluster.refuse = (verb, resource) => {
      if (verb === 'patch' && resource.resource === 'pods')
        throw new ApiError(403, { reason: 'Forbidden', message: 'no' })
    }
    await world.node('a')
    await world.pass(1_000)
    expect(world.said).toMatchObject([
      { about: 'a', draft: { type: 'Warning', reason: 'ResetContainerFailed' } },
    ])
  })
})

describe('the history', () => {
  const names = () => world.revisions.map(({ metadata, revision }) => [metadata.name, revision])

  it('has every content once; one that comes back is the newest again under its old name', async () => {
    await world.put(sidecarSet('agents', {}))
    await world.pass(2_000)
    await world.put(sidecarSet('agents', { image: two }))
    await world.pass(2_000)
    expect(names().map(([, revision]) => revision)).toEqual([1, 2])
    const [first] = names()
    await world.put(sidecarSet('agents', {}))
    await world.pass(2_000)
    expect(names()).toHaveLength(2)
    expect(names()[0]).toEqual([first?.[0], 3])
    expect(world.set('agents').status).toMatchObject({ latestRevision: first?.[0], collisionCount: 0 })
  })

  it('drops the oldest beyond the limit, and none that a pod carries', async () => {
    const spec = { revisionHistoryLimit: 2, updateStrategy: { type: 'NotUpdate' as const } }
    const old = sidecarSet('agents', {}, spec)
    await world.put(old, injected('a', old))
    for (const image of ['a:1', 'a:2', 'a:3', 'a:4']) {
      await world.put(sidecarSet('agents', { image }, spec))
      await world.pass(3_000)
    }
    expect(names().map(([, revision]) => revision)).toEqual([1, 5])
  })

  it('takes another name where its own is taken by other content', async () => {
    const set = sidecarSet('agents', {})
    await world.put(set)
    await world.pass(2_000)
    const [taken] = world.revisions
    await world.stop()
    const fresh = new RolloutWorld()
    if (taken)
      await fresh.cluster.create(
        { group: 'apps', version: 'v1', resource: 'controllerrevisions', kind: '', namespaced: true },
        {
          ...taken,
          metadata: { ...taken.metadata, labels: {}, ownerReferences: [] },
          data: {},
        },
      )
    world = fresh
    await world.start()
    await world.put(set)
    await world.pass(3_000)
    expect(world.set('agents').status).toMatchObject({ collisionCount: 1 })
    expect(names()).toHaveLength(2)
    expect(world.set('agents').status?.latestRevision).toBe(names()[1]?.[0])
  })

  it('renames the custom version of content that is recorded already', async () => {
    await world.put(sidecarSet('agents', {}, { customVersion: '1' }))
    await world.pass(2_000)
    await world.put(sidecarSet('agents', {}, { customVersion: '2' }))
    await world.pass(2_000)
    expect(
      world.revisions.map(({ metadata }) => metadata.labels?.['apps.kruise.io/sidecarset-custom-version']),
    ).toEqual(['2'])
  })
})
