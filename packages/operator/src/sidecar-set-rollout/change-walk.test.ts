import {
  defaultSidecarSet,
  type SidecarContainer,
  type SidecarSet,
  type SidecarSetSpec,
  sidecarSetUpgradableCondition,
} from '@outrigger/api'
import { ApiError } from '@outrigger/client'
import { parseRecords } from '@outrigger/injection'
import type { Pod, PodCondition } from '@outrigger/kube'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { injectedPod, webPod } from '../testdata/injected-pod.ts'
import { RolloutWorld } from '../testdata/rollout-world.ts'

let world: RolloutWorld
let generation: number

beforeEach(async () => {
  generation = 0
  world = new RolloutWorld()
  await world.start()
})
afterEach(() => world.stop())

const small = { requests: { cpu: '100m' }, limits: { memory: '64Mi' } }
const large = { requests: { cpu: '200m' }, limits: { memory: '128Mi' } }

/** What SidecarSets say in the test that runs. */
let policies: Record<string, string> = {}

function agents(container: Partial<SidecarContainer> = {}, spec: SidecarSetSpec = {}): SidecarSet {
  generation++
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: 'agents', uid: 'uid-of-agents', generation, annotations: policies },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'agent', image: 'agent:1', resources: small, ...container }],
      ...spec,
    },
  })
}

function injected(name: string, set: SidecarSet, { owner = 'ReplicaSet', uid = `uid-of-${name}` } = {}): Pod {
  const apiVersion = owner === 'Job' ? 'batch/v1' : 'apps/v1'
  const controller = { apiVersion, kind: owner, name: 'web', uid: 'rs', controller: true }
  const containers = [{ name: 'web', image: 'web:1', resources: { limits: { memory: '1Gi' } } }]
  const plain = webPod(name, { spec: { containers } })
  const metadata = { ...plain.metadata, uid, ...(owner !== '' && { ownerReferences: [controller] }) }
  return withDefaults(injectedPod({ ...plain, metadata }, [set]))
}

/** Requests that are not given are what the limits are, as the API server has it. */
function withDefaults(pod: Pod): Pod {
  const containers = pod.spec.containers.map((container) => {
    const { limits, requests } = container.resources ?? {}
    return limits ? { ...container, resources: { limits, requests: { ...limits, ...requests } } } : container
  })
  return { ...pod, spec: { ...pod.spec, containers } }
}

const agentOf = (pod: Pod, name = 'agent') => pod.spec.containers.find((container) => container.name === name)
const markOf = (pod: Pod) => pod.metadata.annotations?.['outrigger.dev/sidecar-resize']
const hashOf = (pod: Pod, key = 'kruise.io/sidecarset-hash') =>
  parseRecords(pod.metadata.annotations?.[key])?.get('agents')?.hash
const isCurrent = (pod: Pod) =>
  hashOf(pod) === world.set('agents').metadata.annotations?.['kruise.io/sidecarset-hash']
const stopOf = () => world.set('agents').status?.conditions?.[0]
const upgradable = (pod: Pod) =>
  pod.status?.conditions?.find(({ type }) => type === sidecarSetUpgradableCondition)?.status
const writesTo = (name: string) =>
  world.cluster.writes.flatMap((write) =>
    write.endsWith(`pods shop/${name}`) ? [write.split(' pods ')[0]] : [],
  )

async function begin(
  next: SidecarSet,
  pods = ['a'],
  options: Parameters<typeof injected>[2] = {},
): Promise<void> {
  const old = agents()
  await world.put(old, ...pods.map((name) => injected(name, old, options)))
  await world.pass(1_000)
  world.cluster.writes.length = 0
  // Made before the old one, applied after it.
  generation++
  await world.put({ ...next, metadata: { ...next.metadata, generation } })
  await world.pass(1_500)
}

async function say(name: string, condition: PodCondition | undefined): Promise<void> {
  const pod = world.pod(name)
  const others = pod.status?.conditions?.filter(({ type }) => !type.startsWith('PodResize')) ?? []
  await world.put({
    ...pod,
    status: { ...pod.status, conditions: [...others, ...(condition ? [condition] : [])] },
  })
}

describe('a change of amounts, where the SidecarSet says Resize', () => {
  beforeEach(() => {
    policies = { 'outrigger.dev/on-resources-change': 'Resize' }
  })

  it('resizes the running pod, then its records follow', async () => {
    await begin(agents({ resources: large }))
    const pod = world.pod('a')
    expect(agentOf(pod)?.resources).toEqual({
      requests: { cpu: '200m', memory: '128Mi' },
      limits: { memory: '128Mi' },
    })
    expect(agentOf(pod, 'web')?.resources?.limits).toEqual({ memory: '1Gi' })
    expect(isCurrent(pod)).toBe(true)
    expect(hashOf(pod, 'kruise.io/sidecarset-hash-without-image')).toBe(
      world.set('agents').metadata.annotations?.['kruise.io/sidecarset-hash-without-image'],
    )
    expect(markOf(pod)).toBeUndefined()
    expect(writesTo('a').slice(0, 4)).toEqual(['try resize', 'patch', 'resize', 'patch'])
    await world.pass(2_000)
    expect(upgradable(world.pod('a'))).toBe('True')
  })

  it('takes the image along, once the node has taken the amounts', async () => {
    const refuse = world.cluster.refuse
    world.cluster.refuse = (verb, resource, key) => {
      if (verb === 'resize') void say('a', { type: 'PodResizeInProgress', status: 'True' })
      refuse(verb, resource, key)
    }
    await begin(agents({ resources: large, image: 'agent:2' }))
    await say('a', { type: 'PodResizeInProgress', status: 'True' })
    await world.pass(5_000)
    expect(agentOf(world.pod('a'))).toMatchObject({ image: 'agent:1' })
    expect(isCurrent(world.pod('a'))).toBe(false)
    world.cluster.refuse = refuse
    await say('a', undefined)
    await world.pass(5_000)
    expect(agentOf(world.pod('a'))).toMatchObject({
      image: 'agent:2',
      resources: { limits: { memory: '128Mi' } },
    })
    expect(isCurrent(world.pod('a'))).toBe(true)
    expect(markOf(world.pod('a'))).toBeUndefined()
  })

  it('leaves everything as it was where the API server refuses it, and says so', async () => {
    world.cluster.refuse = (verb) => {
      if (verb === 'try resize')
        throw new ApiError(422, { reason: 'Invalid', message: 'Pod QOS Class may not change' })
    }
    await begin(agents({ resources: large, image: 'agent:2' }))
    const before = world.pod('a')
    await world.pass(30_000)
    expect(agentOf(world.pod('a'))).toEqual(agentOf(before))
    expect(agentOf(before)).toMatchObject({ image: 'agent:1', resources: { limits: { memory: '64Mi' } } })
    expect(writesTo('a').filter((verb) => verb === 'patch' || verb === 'resize')).toEqual([])
    expect(stopOf()).toMatchObject({ reason: 'PodsRefused' })
    expect(stopOf()?.message).toContain('1 of 1 pods wait to be resized')
    expect(stopOf()?.message).toContain('Pod QOS Class may not change')
    expect(world.said.filter(({ draft }) => draft.reason === 'SidecarResizeFailed').length).toBeGreaterThan(0)
    world.cluster.refuse = () => {}
    await world.pass(60_000)
    expect(isCurrent(world.pod('a'))).toBe(true)
  })

  it.each([
    [
      'says it cannot',
      { type: 'PodResizePending', status: 'True', reason: 'Infeasible', message: 'too much' },
    ],
    [
      'does not get to it',
      { type: 'PodResizePending', status: 'True', reason: 'Deferred', message: 'no room' },
    ],
  ] as const)('takes the amounts back where the node %s', async (_, condition) => {
    let isAsked = false
    world.cluster.refuse = (verb) => {
      if (verb === 'resize') isAsked = true
    }
    // The node speaks before the rollout looks again.
    const old = agents()
    await world.put(old, injected('a', old))
    await say('a', condition)
    await world.pass(1_000)
    await world.put(agents({ resources: large, image: 'agent:2' }))
    await world.pass(140_000)
    expect(isAsked).toBe(true)
    const pod = world.pod('a')
    expect(world.said.map(({ draft }) => draft.message).join()).toContain(condition.message)
    expect(isCurrent(pod)).toBe(false)
    expect(agentOf(pod)?.image).toBe('agent:1')
    // Either taken back or, after the pause, tried once more: the mark says which.
    if (markOf(pod) === undefined) expect(agentOf(pod)?.resources?.limits).toEqual({ memory: '64Mi' })
  })

  it('goes on where a manager ended between two writes', async () => {
    let isCut = true
    world.cluster.refuse = (verb) => {
      if (verb === 'patch' && isCut && markOf(world.pod('a'))) throw new ApiError(503, { message: 'gone' })
    }
    await begin(agents({ resources: large, image: 'agent:2' }))
    expect(markOf(world.pod('a'))).toBeDefined()
    expect(agentOf(world.pod('a'))).toMatchObject({
      image: 'agent:1',
      resources: { limits: { memory: '128Mi' } },
    })
    await world.stop()
    isCut = false
    await world.start()
    await world.pass(3_000)
    expect(agentOf(world.pod('a'))).toMatchObject({
      image: 'agent:2',
      resources: { limits: { memory: '128Mi' } },
    })
    expect(isCurrent(world.pod('a'))).toBe(true)
    expect(markOf(world.pod('a'))).toBeUndefined()
  })

  it('gives back what a pod had when the SidecarSet goes back in the middle', async () => {
    const first = agents()
    await world.put(first, injected('a', first))
    await world.pass(1_000)
    await say('a', { type: 'PodResizeInProgress', status: 'True' })
    await world.put(agents({ resources: large }))
    await world.pass(3_000)
    expect(markOf(world.pod('a'))).toBeDefined()
    expect(agentOf(world.pod('a'))?.resources?.limits).toEqual({ memory: '128Mi' })
    await world.put(agents())
    await world.pass(3_000)
    expect(agentOf(world.pod('a'))?.resources).toEqual({
      requests: { cpu: '100m', memory: '64Mi' },
      limits: { memory: '64Mi' },
    })
    expect(markOf(world.pod('a'))).toBeUndefined()
    expect(isCurrent(world.pod('a'))).toBe(true)
  })

  it('leaves a pod the limits it got where Kubernetes takes none away, and goes back in all else', async () => {
    const { cluster } = world
    const patch = cluster.patch.bind(cluster)
    cluster.patch = (resource, key, change, options) => {
      if (options?.subresource === 'resize' && JSON.stringify(change.body).includes('null'))
        throw new ApiError(422, { reason: 'Invalid', message: 'resource limits cannot be removed' })
      return patch(resource, key, change, options)
    }
    const first = agents()
    await world.put(first, injected('a', first))
    await world.pass(1_000)
    await say('a', { type: 'PodResizeInProgress', status: 'True' })
    await world.put(
      agents({ resources: { requests: { cpu: '200m' }, limits: { memory: '64Mi', cpu: '1' } } }),
    )
    await world.pass(3_000)
    expect(markOf(world.pod('a'))).toBeDefined()
    await world.put(agents())
    await world.pass(3_000)
    expect(agentOf(world.pod('a'))?.resources).toEqual({
      requests: { cpu: '100m', memory: '64Mi' },
      limits: { memory: '64Mi', cpu: '1' },
    })
    expect(markOf(world.pod('a'))).toBeUndefined()
    expect(isCurrent(world.pod('a'))).toBe(true)
  })

  it('counts pods that are being resized as spent', async () => {
    const old = agents()
    await world.put(old, injected('a', old), injected('b', old))
    for (const name of ['a', 'b']) await say(name, { type: 'PodResizeInProgress', status: 'True' })
    await world.pass(1_000)
    await world.put(agents({ resources: large }))
    await world.pass(5_000)
    expect(['a', 'b'].filter((name) => markOf(world.pod(name)))).toHaveLength(1)
  })

  it('waits where the API server cannot resize, and says why', async () => {
    world.canResize = false
    await begin(agents({ resources: large, image: 'agent:2' }))
    await world.pass(15_000)
    expect(agentOf(world.pod('a'))).toMatchObject({
      image: 'agent:1',
      resources: { limits: { memory: '64Mi' } },
    })
    expect(writesTo('a').filter((verb) => verb === 'resize')).toEqual([])
    expect(stopOf()?.message).toContain('this Kubernetes cannot resize pods in place')
    expect(upgradable(world.pod('a'))).toBe('False')
  })

  it('leaves amounts alone that others have set', async () => {
    const old = agents({ resources: { requests: { cpu: '100m' } } })
    const pod = injected('a', old)
    const limited = {
      ...pod,
      spec: {
        ...pod.spec,
        containers: pod.spec.containers.map((container) =>
          container.name === 'agent'
            ? { ...container, resources: { requests: { cpu: '100m' }, limits: { memory: '512Mi' } } }
            : container,
        ),
      },
    }
    await world.put(old, limited)
    await world.pass(1_000)
    await world.put(agents({ resources: { requests: { cpu: '200m' } } }))
    await world.pass(3_000)
    expect(agentOf(world.pod('a'))?.resources).toEqual({
      requests: { cpu: '200m' },
      limits: { memory: '512Mi' },
    })
  })
})

describe('a resize with an image that is cut off', () => {
  const whole = (pod: Pod, set: SidecarSet) => {
    const [wanted] = set.spec.containers ?? []
    const has = agentOf(pod)
    return (
      has?.image === wanted?.image &&
      has?.resources?.limits?.['memory'] === wanted?.resources?.limits?.['memory'] &&
      markOf(pod) === undefined &&
      hashOf(pod) === set.metadata.annotations?.['kruise.io/sidecarset-hash']
    )
  }

  /** Records and images agree always, amounts as well but where a mark says what they were. */
  function expectNoHalf(pod: Pod, [old, next]: readonly [SidecarSet, SidecarSet]): void {
    const content = agentOf(pod)?.image === next.spec.containers?.[0]?.image ? next : old
    expect(hashOf(pod)).toBe(content.metadata.annotations?.['kruise.io/sidecarset-hash'])
    if (markOf(pod) === undefined) expect(whole(pod, content)).toBe(true)
  }

  const cuts = ['try resize', 'patch', 'resize', 'patch again'].flatMap((name, write) =>
    (['goes on', 'goes back'] as const).flatMap((then) =>
      (['before', 'after'] as const).map((when) => [when, name, then, write] as const),
    ),
  )

  it.each(cuts)('%s %s: another manager %s, and no moment shows a half', async (when, _, then, write) => {
    policies = { 'outrigger.dev/on-resources-change': 'Resize' }
    const [old, next] = [agents(), agents({ resources: large, image: 'agent:2' })]
    await world.put(old, injected('a', old))
    await world.pass(1_000)
    let writes = 0
    let isCut = false
    world.cluster.refuse = (verb, { resource }) => {
      if (resource !== 'pods' || verb === 'eviction') return
      if (writes++ === write + (when === 'after' ? 1 : 0)) isCut = true
      if (isCut) throw new ApiError(503, { message: 'cut off' })
    }
    await world.put(next)
    for (let i = 0; i < 12 && !isCut; i++) {
      await world.pass(250)
      expectNoHalf(world.pod('a'), [old, next])
    }
    await world.stop()
    world.cluster.refuse = () => {}
    if (then === 'goes back')
      await world.put({ ...old, metadata: { ...old.metadata, generation: generation + 1 } })
    await world.start()
    for (let i = 0; i < 20; i++) {
      await world.node('a')
      await world.pass(250)
      expectNoHalf(world.pod('a'), [old, next])
    }
    expect(whole(world.pod('a'), then === 'goes on' ? next : old)).toBe(true)
  })
})

describe('a change that no running pod can be given, where the SidecarSet says Recreate', () => {
  const next = (spec: SidecarSetSpec = {}) => agents({ env: [{ name: 'LEVEL', value: 'debug' }] }, spec)

  beforeEach(() => {
    policies = { 'outrigger.dev/on-other-change': 'Recreate' }
  })

  const evictions = () => world.cluster.writes.filter((write) => write.startsWith('eviction'))
  const left = (...names: string[]) => names.filter((name) => world.names.includes(name))

  it('evicts within maxUnavailable, and goes on when owners have made pods that are ready', async () => {
    await begin(next({ updateStrategy: { maxUnavailable: 1 } }), ['a', 'b', 'c'])
    await world.pass(5_000)
    expect(evictions()).toHaveLength(1)
    await world.pass(5_000)
    expect(evictions()).toHaveLength(1)
    const fresh = injected('d', world.set('agents'))
    await world.put({ ...fresh, status: { phase: 'Pending' } })
    await world.pass(5_000)
    expect(evictions()).toHaveLength(1)
    await world.node('d')
    await world.pass(5_000)
    expect(evictions()).toHaveLength(2)
    expect(left('a', 'b', 'c')).toHaveLength(1)
    expect(world.said.filter(({ draft }) => draft.reason === 'RecreatedForSidecars')).toHaveLength(2)
  })

  it('counts and evicts pods that lack a container the SidecarSet has now', async () => {
    const more = [
      { name: 'agent', image: 'agent:1', resources: small },
      { name: 'tracer', image: 'tracer:1' },
    ]
    await begin(agents({}, { containers: more }), ['a'])
    expect(world.set('agents').status?.matchedPods).toBe(1)
    await world.pass(5_000)
    expect(evictions()).toHaveLength(1)
  })

  it('takes no notice of pods that lack a container where nobody would make them anew', async () => {
    const more = [
      { name: 'agent', image: 'agent:1', resources: small },
      { name: 'tracer', image: 'tracer:1' },
    ]
    await begin(agents({}, { containers: more }), ['a'], { owner: 'Job' })
    await world.pass(5_000)
    expect(world.set('agents').status?.matchedPods).toBe(0)
    expect(evictions()).toEqual([])
  })

  it('keeps to the partition while pods are away', async () => {
    await begin(next({ updateStrategy: { maxUnavailable: '100%', partition: '50%' } }), ['a', 'b', 'c', 'd'])
    await world.pass(10_000)
    expect(left('a', 'b', 'c', 'd')).toHaveLength(2)
  })

  it('waits while the rollout is paused, and for pods that nobody makes anew', async () => {
    await begin(next({ updateStrategy: { paused: true } }))
    await world.pass(10_000)
    expect(evictions()).toEqual([])
    expect(stopOf()).toMatchObject({
      reason: 'Paused',
      message: expect.stringContaining('wait to be made anew'),
    })
  })

  it('leaves pods alone that nobody makes anew, and says so', async () => {
    await begin(next(), ['a'], { owner: 'Job' })
    await world.pass(15_000)
    expect(evictions()).toEqual([])
    expect(stopOf()).toMatchObject({ reason: 'NotUpgradable' })
    expect(stopOf()?.message).toContain('Job web would count the deleted pod as a failure')
    expect(upgradable(world.pod('a'))).toBe('False')
  })

  it('evicts nothing where the manager may not', async () => {
    world.canEvict = false
    await begin(next())
    await world.pass(15_000)
    expect(evictions()).toEqual([])
    expect(stopOf()?.message).toContain('--recreate-pods')
  })

  it('evicts nothing where a new pod would not get the content', async () => {
    await begin(next({ injectionStrategy: { paused: true } }))
    await world.pass(15_000)
    expect(evictions()).toEqual([])
    expect(stopOf()?.message).toContain('injectionStrategy.paused')
  })

  it('evicts nothing while webhooks do not answer', async () => {
    world.isAnswering = false
    await begin(next())
    await world.pass(15_000)
    expect(evictions()).toEqual([])
    expect(stopOf()).toMatchObject({ reason: 'EvictionsPaused' })
    world.isAnswering = true
    await world.pass(10_000)
    expect(evictions()).toHaveLength(1)
  })

  it('pauses when the new pod comes with the old content', async () => {
    const old = agents()
    await world.put(old, injected('a', old))
    await world.pass(1_000)
    await world.put(next())
    await world.pass(8_000)
    expect(evictions()).toHaveLength(1)
    await world.put(injected('b', old))
    await world.pass(30_000)
    expect(evictions()).toHaveLength(1)
    expect(stopOf()?.message).toContain('evictions pause')
    await world.pass(60_000)
    expect(evictions()).toHaveLength(2)
  })

  it('is told of by a disruption budget that it must wait', async () => {
    world.cluster.refuse = (verb) => {
      if (verb === 'eviction')
        throw new ApiError(429, { reason: 'TooManyRequests', message: 'violate the disruption budget' })
    }
    await begin(next())
    await world.pass(15_000)
    expect(left('a')).toEqual(['a'])
    expect(stopOf()?.message).toContain('disruption budget')
    world.cluster.refuse = () => {}
    await world.pass(60_000)
    expect(left('a')).toEqual([])
  })

  it('counts what hashes leave out: a volume makes pods anew, and without policies changes nothing', async () => {
    const mounting = { volumeMounts: [{ name: 'config', mountPath: '/etc/agent' }] }
    const of = (name: string) => agents(mounting, { volumes: [{ name: 'config', configMap: { name } }] })
    const old = of('one')
    await world.put(old, injected('a', old))
    await world.pass(1_000)
    const changed = of('two')
    await world.put({ ...changed, metadata: { ...changed.metadata, annotations: withoutPolicies(changed) } })
    await world.pass(10_000)
    expect(evictions()).toEqual([])
    await world.put(of('two'))
    await world.pass(10_000)
    expect(evictions()).toHaveLength(1)
  })
})

it('never are more pods away than maxUnavailable allows, whatever owners and nodes do', async () => {
  const steps = fc.array(fc.constantFrom('make', 'serve', 'wait', 'break', 'delete'), {
    minLength: 10,
    maxLength: 40,
  })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (maxUnavailable, walk) => {
      await world.stop()
      world = new RolloutWorld()
      await world.start()
      policies = { 'outrigger.dev/on-other-change': 'Recreate' }
      const old = agents({}, { updateStrategy: { maxUnavailable } })
      const size = 5
      await world.put(old, ...Array.from({ length: size }, (_, i) => injected(`old-${i}`, old)))
      await world.pass(1_000)
      await world.put(agents({ env: [{ name: 'A' }] }, { updateStrategy: { maxUnavailable } }))
      let made = 0
      let others = 0
      const isReady = (name: string) =>
        world.pod(name).status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
      const unready = () => world.names.find((name) => !isReady(name))
      for (const step of walk) {
        if (step === 'make' && world.names.length < size) {
          const pod = injected(`new-${made++}`, world.set('agents'))
          await world.put({ ...pod, status: { phase: 'Pending' } })
        } else if (step === 'serve') {
          const name = unready()
          if (name !== undefined) await world.node(name)
        } else if (step === 'break' || step === 'delete') {
          const name = world.names.find((one) => isReady(one))
          // What others take away is not the rollout's doing.
          if (name !== undefined) others++
          if (name !== undefined && step === 'break') await world.node(name, { broken: ['agent'] })
          if (name !== undefined && step === 'delete') world.remove(name)
        }
        await world.pass(4_000)
        const away = size - world.names.filter((name) => isReady(name)).length
        expect(away).toBeLessThanOrEqual(maxUnavailable + others)
      }
    }),
    { numRuns: 15 },
  )
})

function withoutPolicies({ metadata }: SidecarSet): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([key]) => !key.startsWith('outrigger.dev/on-')),
  )
}

describe('a change of images', () => {
  it('waits where the SidecarSet says Wait, and makes pods anew where it says Recreate', async () => {
    policies = { 'outrigger.dev/on-image-change': 'Wait' }
    await begin(agents({ image: 'agent:2' }))
    await world.pass(5_000)
    expect(agentOf(world.pod('a'))?.image).toBe('agent:1')
    policies = { 'outrigger.dev/on-image-change': 'Recreate' }
    await world.put(agents({ image: 'agent:2' }))
    await world.pass(5_000)
    expect(world.names).toEqual([])
  })

  it('waits together with anything else that changes and waits: nothing is applied by half', async () => {
    policies = { 'outrigger.dev/on-other-change': 'Wait' }
    const mounting = { volumeMounts: [{ name: 'config', mountPath: '/etc/agent' }] }
    const of = (name: string, image: string) =>
      agents({ ...mounting, image }, { volumes: [{ name: 'config', configMap: { name } }] })
    const old = of('one', 'agent:1')
    await world.put(old, injected('a', old))
    await world.pass(1_000)
    await world.put(of('two', 'agent:2'))
    await world.pass(5_000)
    expect(agentOf(world.pod('a'))?.image).toBe('agent:1')
  })
})
