import type { SidecarSet } from '@outrigger/api'
import { ApiError } from '@outrigger/client'
import { type Pod, type PodCondition, resources } from '@outrigger/kube'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DrainWorld, drainablePod, drainingSet, gateOf } from '../testdata/drain-world.ts'

const one = 'agent:1'
const two = 'agent:2'
let world: DrainWorld

beforeEach(async () => {
  world = new DrainWorld()
  await world.start()
})
afterEach(async () => {
  await world.stop()
  expect(world.offences).toEqual([])
})

const imageOf = (pod: Pod) => pod.spec.containers.find(({ name }) => name === 'agent')?.image
const images = () => world.names.map((name) => imageOf(world.pod(name)))
const gates = () => world.names.map((name) => gateOf(world.pod(name))?.reason)
const blocker = (name = 'agents') => world.set(name).status?.conditions?.[0]

/** Pods with the first image in service. */
async function begin(count: number, options: Parameters<typeof drainingSet>[1] = {}): Promise<void> {
  const set = drainingSet(one, options)
  await world.put(set, ...['a', 'b', 'c'].slice(0, count).map((name) => drainablePod(name, set)))
  await world.live(1_500)
}

describe('a pod with the gate', () => {
  it('is put in service at once, whether its containers run or not', async () => {
    const set = drainingSet(one)
    const { status: _, ...young } = drainablePod('a', set)
    await world.put(set, young)
    await world.pass(1)
    expect(gateOf(world.pod('a'))).toMatchObject({ status: 'True', reason: 'InService' })
  })

  it('is put in service also where it carries no SidecarSet, as a copy does', async () => {
    const { metadata, ...rest } = drainablePod('a', drainingSet(one))
    const { annotations: _, ...plain } = metadata
    await world.put({ ...rest, metadata: plain })
    await world.pass(1)
    expect(gateOf(world.pod('a'))?.status).toBe('True')
  })

  it.each<[string, string, string]>([
    ['of a SidecarSet that is gone', 'Draining', 'SidecarSet gone restarts containers for content abc'],
    ['for a change it has had', 'Drained', 'SidecarSet agents restarts containers for content abc'],
    ['by nobody knows whom', 'Whatever', 'gone fishing'],
  ])('is taken back in where a drain was left %s', async (_, reason, message) => {
    const set = drainingSet(one)
    const pod = drainablePod('a', set)
    const condition = { type: 'outrigger.dev/in-service', status: 'False', reason, message }
    await world.put(set, {
      ...pod,
      status: { ...pod.status, conditions: [...(pod.status?.conditions ?? []), condition] },
    })
    await world.pass(250)
    expect(gateOf(world.pod('a'))).toMatchObject({ status: 'True', reason: 'InService' })
  })
})

describe('a rollout of pods with the gate', () => {
  it('takes one pod after the other out, restarts it after the grace, and takes it back in', async () => {
    await begin(2)
    await world.put(drainingSet(two))
    await world.pass(500)
    expect(gates()).toEqual(['Draining', 'InService'])
    expect(images()).toEqual([one, one])
    await world.react()
    await world.pass(1_000)
    expect(gates()).toEqual(['Drained', 'InService'])
    expect(images()).toEqual([one, one])
    await world.pass(6_000)
    expect(images()).toEqual([two, one])
    expect(gates()).toEqual(['Drained', 'InService'])
    await world.react()
    await world.pass(250)
    expect(gates()[0]).toBe('InService')
    await world.live(20_000)
    expect(images()).toEqual([two, two])
    expect(gates()).toEqual(['InService', 'InService'])
    expect(world.set('agents').status).toMatchObject({ updatedReadyPods: 2, readyPods: 2 })
  })

  it('counts drained pods as unavailable, and drains no more than the budget has room for', async () => {
    await begin(3, { spec: { updateStrategy: { maxUnavailable: 2 } } })
    await world.put(drainingSet(two, { spec: { updateStrategy: { maxUnavailable: 2 } } }))
    let most = 0
    for (let step = 0; step < 60; step++) {
      await world.live(500)
      most = Math.max(most, gates().filter((reason) => reason !== 'InService').length)
    }
    expect(most).toBe(2)
    expect(images()).toEqual([two, two, two])
  })

  it('waits while an EndpointSlice still names the pod, says which, and gives up after a minute', async () => {
    await begin(1)
    await world.put(drainingSet(two))
    await world.pass(500)
    await world.node('a')
    world.endpoints(['a'])
    await world.pass(20_000)
    expect(gateOf(world.pod('a'))?.message).toContain('still in EndpointSlices web-1')
    expect(blocker()).toMatchObject({ reason: 'Draining', message: expect.stringContaining('web-1') })
    for (let step = 0; step < 130; step++) {
      await world.pass(500)
      await world.node('a')
      world.endpoints(['a'])
    }
    expect(images()).toEqual([one])
    expect(gates()).toEqual(['InService'])
    expect(world.said.map(({ draft }) => draft.reason)).toContain('DrainNotConfirmed')
    expect(blocker()).toMatchObject({ reason: 'PodsRefused', message: expect.stringContaining('web-1') })
    await world.live(80_000)
    expect(images()).toEqual([two])
    expect(gates()).toEqual(['InService'])
  })

  it('is content with readiness where a cluster has no EndpointSlices', async () => {
    world.cluster.refuse = (verb, { resource }) => {
      if (verb === 'list' && resource === 'endpointslices') throw new ApiError(404, { reason: 'NotFound' })
    }
    await begin(1)
    await world.put(drainingSet(two))
    await world.live(15_000)
    expect(images()).toEqual([two])
  })

  it('takes nothing out where it may not see endpoints, restarts nothing, and says so', async () => {
    world.cluster.refuse = (verb, { resource }) => {
      if (verb === 'list' && resource === 'endpointslices')
        throw new ApiError(403, { reason: 'Forbidden', message: 'may not list endpointslices' })
    }
    await begin(1)
    await world.put(drainingSet(two))
    for (let step = 0; step < 30; step++) {
      await world.live(1_000)
      expect([images(), gates()]).toEqual([[one], ['InService']])
    }
    expect(blocker()).toMatchObject({
      reason: 'PodsRefused',
      message: expect.stringContaining('not drained, so not restarted: may not list endpointslices'),
    })
  })

  it('takes a pod back in at once where it may not see endpoints any more', async () => {
    await begin(1)
    await world.put(drainingSet(two))
    await world.pass(500)
    expect(gates()).toEqual(['Draining'])
    world.cluster.refuse = (verb, { resource }) => {
      if (verb === 'list' && resource === 'endpointslices') throw new ApiError(403, { reason: 'Forbidden' })
    }
    await world.live(2_000)
    expect([images(), gates()]).toEqual([[one], ['InService']])
  })

  it('does not mind Services that publish pods which are not ready', async () => {
    await begin(1)
    const publish = () => {
      const slice = world.cluster.of(resources.endpointSlices).get('shop/web-1')
      for (const { conditions } of (slice as { endpoints?: { conditions: { ready: boolean } }[] })
        .endpoints ?? [])
        conditions.ready = true
    }
    await world.put(drainingSet(two))
    for (let step = 0; step < 40; step++) {
      await world.live(500)
      publish()
    }
    expect(images()).toEqual([two])
  })

  it('changes pods without the gate as ever', async () => {
    const old = drainingSet(one, { drain: '' })
    await world.put(old, drainablePod('a', old))
    await world.put(drainingSet(two))
    await world.pass(1_000)
    expect(images()).toEqual([two])
    expect(gates()).toEqual([undefined])
  })

  it('drains nothing for a hot upgrade, nor for a change that restarts nothing', async () => {
    const upgradeStrategy = { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'agent:empty' } as const
    const hot = drainingSet(one, { container: { upgradeStrategy } })
    await world.put(hot, drainablePod('a', hot))
    await world.pass(500)
    await world.put(drainingSet(two, { container: { upgradeStrategy } }))
    world.allow('a')
    await world.pass(1_000)
    expect(world.pod('a').spec.containers.map(({ image }) => image)).toContain(two)
    expect(gates()).toEqual(['InService'])
  })

  it('gives a pod that was restarted with a bad image the next one at once, without serving between', async () => {
    await begin(1)
    await world.put(drainingSet('agent:bad'))
    await world.live(1_500)
    await world.pass(6_000)
    expect(images()).toEqual(['agent:bad'])
    await world.node('a', { broken: ['agent'] })
    await world.pass(5_000)
    expect(gates()).toEqual(['Drained'])
    await world.put(drainingSet(one))
    await world.pass(1_000)
    expect(images()).toEqual([one])
    await world.live(1_000)
    expect(gates()).toEqual(['InService'])
  })

  it('lets another SidecarSet use the drain that is there, and takes the pod in when both are done', async () => {
    const [mine, other] = [drainingSet(one), drainingSet('log:1', second)]
    await world.put(mine, other, drainablePod('a', mine, other))
    await world.live(1_500)
    await world.put(drainingSet(two), drainingSet('log:2', second))
    await world.live(1_500)
    await world.pass(6_000)
    expect(world.pod('a').spec.containers.map(({ image }) => image)).toEqual([two, 'log:2', 'web:1'])
    expect(gates()).toEqual(['Drained'])
    await world.live(1_000)
    expect(gates()).toEqual(['InService'])
  })
})

describe('a change of amounts that a running pod takes', () => {
  const annotations = { 'outrigger.dev/on-resources-change': 'Resize' }
  const sized = (image: string, cpu: string, spec = {}) =>
    drainingSet(image, { annotations, container: { resources: { requests: { cpu } } }, spec })
  const cpu = () =>
    world.pod('a').spec.containers.find(({ name }) => name === 'agent')?.resources?.requests?.['cpu']

  beforeEach(async () => {
    const set = sized(one, '100m')
    await world.put(set, drainablePod('a', set))
    await world.live(1_500)
  })

  it('needs no drain alone', async () => {
    await world.put(sized(one, '200m'))
    await world.pass(500)
    expect(gates()).toEqual(['InService'])
    await world.live(3_000)
    expect([cpu(), gates()]).toEqual(['200m', ['InService']])
  })

  it('waits for the drain together with a new image, and both come before the pod is taken in', async () => {
    await world.put(sized(two, '200m'))
    await world.live(3_000)
    expect([cpu(), images(), gates()]).toEqual(['100m', [one], ['Drained']])
    await world.pass(6_000)
    expect([cpu(), images(), gates()]).toEqual(['200m', [two], ['Drained']])
    await world.live(2_000)
    expect(gates()).toEqual(['InService'])
    expect(world.set('agents').status).toMatchObject({ updatedReadyPods: 1 })
  })

  it('waits for the drain when a new image comes while it is under way', async () => {
    let isHeld = true
    world.cluster.refuse = (verb) => {
      if (verb === 'resize' && isHeld) throw new ApiError(503, { reason: 'ServiceUnavailable' })
    }
    await world.put(sized(one, '200m'))
    await world.live(1_000)
    await world.put(sized(two, '200m'))
    isHeld = false
    await world.live(30_000)
    expect([cpu(), images(), gates()]).toEqual(['200m', [two], ['InService']])
  })
})

const second = { name: 'logs', container: { name: 'log' } }

/** What brings a pod to each step of its drain, and what the gate says there. */
const steps: readonly (readonly [string, () => Promise<void>, string])[] = [
  ['taken out', () => world.pass(500), 'Draining'],
  [
    'unready',
    async () => {
      await world.pass(500)
      await world.react()
    },
    'Draining',
  ],
  [
    'drained',
    async () => {
      await world.live(500)
      await world.pass(1_000)
    },
    'Drained',
  ],
]

describe.each(steps)('a pod that is %s', (_, reach, reason) => {
  beforeEach(async () => {
    await begin(1)
    await world.put(drainingSet(two))
    await reach()
    expect(gates()).toEqual([reason])
    expect(images()).toEqual([one])
  })

  it('goes on with another manager', async () => {
    await world.stop()
    await world.start()
    await world.live(10_000)
    expect([images(), gates()]).toEqual([[two], ['InService']])
  })

  it.each<[string, () => Promise<void> | void]>([
    [
      'the rollout is paused',
      () => world.put(drainingSet(two, { spec: { updateStrategy: { paused: true } } })),
    ],
    ['it is rolled back', () => world.put(drainingSet(one))],
    [
      'the partition is raised',
      () => world.put(drainingSet(two, { spec: { updateStrategy: { partition: 1 } } })),
    ],
    ['its SidecarSet is deleted', () => world.removeSet('agents')],
    ['more than images change', () => world.put(drainingSet(two, { container: { args: ['--new'] } }))],
    [
      'nothing is rolled out any more',
      () => world.put(drainingSet(two, { spec: { updateStrategy: { type: 'NotUpdate' } } })),
    ],
  ])('is taken back in when %s', async (_name, happen) => {
    await happen()
    await world.pass(1_000)
    await world.react()
    await world.pass(500)
    expect([images(), gates()]).toEqual([[one], ['InService']])
  })

  it('goes on with the newest content', async () => {
    await world.put(drainingSet('agent:3'))
    await world.live(10_000)
    expect([images(), gates()]).toEqual([['agent:3'], ['InService']])
  })

  it('is changed as ever when the annotation goes', async () => {
    await world.put({
      ...withoutDrain(drainingSet(two)),
      metadata: {
        ...withoutDrain(drainingSet(two)).metadata,
        generation: world.set('agents').metadata.generation ?? 0,
      },
    })
    world.allow('a')
    await world.live(3_000)
    expect([images(), gates()]).toEqual([[two], ['InService']])
  })
})

function withoutDrain(set: SidecarSet): SidecarSet {
  const { 'outrigger.dev/drain-before-restart': _, ...annotations } = set.metadata.annotations ?? {}
  return { ...set, metadata: { ...set.metadata, annotations } }
}

describe('between the restart and its end', () => {
  it('a pod stays out of service through pause, deletion and another manager, and then comes back', async () => {
    await begin(1)
    await world.put(drainingSet(two))
    await world.live(1_500)
    await world.pass(6_000)
    expect(images()).toEqual([two])
    await world.stop()
    await world.start()
    await world.put(drainingSet(two, { spec: { updateStrategy: { paused: true } } }))
    await world.pass(5_000)
    world.removeSet('agents')
    await world.pass(5_000)
    expect(gates()).toEqual(['Drained'])
    await world.live(500)
    expect(gates()).toEqual(['InService'])
  })
})

describe('a cache that is behind', () => {
  const behind = async (condition: Partial<PodCondition>) => {
    const type = 'outrigger.dev/in-service'
    await world.cluster.patch(
      resources.pods,
      { namespace: 'shop', name: 'a' },
      { type: 'strategic', body: { status: { conditions: [{ type, ...condition }] } } },
    )
  }

  it('restarts no pod that somebody has taken back in meanwhile', async () => {
    await begin(1)
    await world.put(drainingSet(two))
    await world.live(1_500)
    expect(gates()).toEqual(['Drained'])
    await behind({ status: 'True', reason: 'InService', message: '' })
    await world.clock.advance(20_000)
    expect(images()).toEqual([one])
  })

  it('takes in no pod whose restart has begun meanwhile', async () => {
    await begin(1)
    // The restart is the doing of another manager.
    world.allow('a')
    await world.put(drainingSet(two, { spec: { updateStrategy: { paused: true } } }))
    await world.pass(500)
    const message = 'SidecarSet gone restarts containers for content abc'
    await behind({ status: 'False', reason: 'Drained', message })
    world.cluster.refuse = () => {
      throw new ApiError(503, { reason: 'ServiceUnavailable' })
    }
    await world.pass(500)
    world.cluster.refuse = () => {}
    const state = JSON.stringify({
      agents: {
        updateTimestamp: '2027-01-01T00:00:00Z',
        lastContainerStatuses: { agent: { imageID: 'docker.io/agent@sha256:1' } },
      },
    })
    await world.cluster.patch(
      resources.pods,
      { namespace: 'shop', name: 'a' },
      {
        type: 'strategic',
        body: {
          metadata: { annotations: { 'kruise.io/sidecarset-inplace-update-state': state } },
          spec: { containers: [{ name: 'agent', image: two }] },
        },
      },
    )
    await world.clock.advance(60_000)
    expect(gates()).toEqual(['Drained'])
  })
})

type Deed = (on: DrainWorld) => Promise<void> | void

const deeds: Readonly<Record<string, Deed>> = {
  'nodes report': (on) => on.react(),
  'one node reports': (on) => on.node('a'),
  'endpoints follow': (on) => on.endpoints(),
  'time passes': (on) => on.pass(1_000),
  'much time passes': (on) => on.pass(7_000),
  'caches lag': (on) => on.clock.advance(2_000),
  'the manager is replaced': async (on) => {
    await on.stop()
    await on.start()
  },
  'release two': (on) => on.put(drainingSet(two)),
  'release three': (on) => on.put(drainingSet('agent:3')),
  'go back': (on) => on.put(drainingSet(one)),
  pause: (on) => on.put(drainingSet(two, { spec: { updateStrategy: { paused: true } } })),
  'raise the partition': (on) => on.put(drainingSet(two, { spec: { updateStrategy: { partition: 2 } } })),
  'another SidecarSet changes': (on) => on.put(drainingSet('log:2', second)),
  'and back': (on) => on.put(drainingSet('log:1', second)),
}

it('whatever happens between, no pod restarts under traffic or stays out of service', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...Object.keys(deeds)), { maxLength: 40 }),
      fc.boolean(),
      async (story, isConflicting) => {
        const on = new DrainWorld()
        await on.start()
        const [mine, other] = [drainingSet(one), drainingSet('log:1', second)]
        await on.put(mine, other, drainablePod('a', mine, other), drainablePod('b', mine, other))
        await on.live(1_000)
        let writes = 0
        on.cluster.refuse = (verb, { resource }) => {
          if (isConflicting && verb === 'patch' && resource === 'pods' && writes++ % 2 === 0)
            throw new ApiError(409, { reason: 'Conflict' })
        }
        for (const deed of story) await deeds[deed]?.(on)
        await on.put(drainingSet('agent:9'))
        await on.live(60_000)
        await on.stop()
        expect(on.offences).toEqual([])
        for (const name of on.names) {
          expect(imageOf(on.pod(name))).toBe('agent:9')
          expect(gateOf(on.pod(name))?.status).toBe('True')
        }
      },
    ),
    { numRuns: 60 },
  )
}, 120_000)
