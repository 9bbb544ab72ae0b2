import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { ApiError, type Client } from '@outrigger/client'
import {
  type Container,
  type MutatingWebhookConfiguration,
  type Namespace,
  type Pod,
  resources,
} from '@outrigger/kube'
import {
  aContainer,
  aNamespace,
  aPod,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import { allow, createWebhookServer, fixedCertificate } from '@outrigger/webhook'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type FaultyManager,
  startFaultyManager,
  withFaultyWrites,
  withLaggingWatches,
} from './faulty-manager.ts'

const { sidecarSets } = outriggerResources
let cluster: TestCluster
let manager: FaultyManager | undefined

beforeAll(async () => {
  cluster = await startTestCluster({
    hasManager: false,
    nodes: [{ name: 'node-1', isVirtual: false }],
    runtime: { pullDelay: 0, sandboxDelay: 0 },
  })
  await cluster.admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
})

afterEach(async () => {
  for (const { metadata } of (await cluster.admin.list<SidecarSet>(sidecarSets)).items)
    await cluster.admin.delete(sidecarSets, { namespace: '', name: metadata.name })
  await cluster.admin.deleteCollection(resources.pods, { namespace: 'default', gracePeriodSeconds: 0 })
  await eventually('an empty namespace', async () => (await pods()).length === 0, cluster)
  await manager?.stop()
  manager = undefined
})

afterAll(() => cluster.stop())

const pods = async () => (await cluster.admin.list<Pod>(resources.pods, { namespace: 'default' })).items
const agentOf = (pod: Pod) => pod.spec.containers.find(({ name }) => name === 'agent')
const restartsOf = ({ status }: Pod) =>
  status?.containerStatuses?.find(({ name }) => name === 'agent')?.restartCount
const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
const key = (name: string) => ({ namespace: 'default', name })

/** Starts the manager and gives every pod with `app=web` an agent. */
async function begin(
  strategy: SidecarSet['spec']['updateStrategy'],
  faults?: (client: Client) => Client,
  first = agent('agent:1'),
) {
  manager = await startFaultyManager(cluster, faults ? { faults } : {})
  await cluster.admin.create<SidecarSet>(
    sidecarSets,
    aSidecarSet({ spec: { containers: [first], updateStrategy: { ...strategy } } }),
  )
  await status(({ observedGeneration }) => observedGeneration === 1)
}

/** Ends as soon as it is asked to: an image that is not known, without a command of the test's. */
const agent = (image: string, changes: Partial<Container> = {}): Container => ({
  name: 'agent',
  image,
  ...changes,
})

/** The status at last, for the newest spec. */
const status = (isDone: (status: NonNullable<SidecarSet['status']>) => boolean, timeout = 15_000) =>
  eventually(
    'the status',
    async () => {
      const found = await cluster.admin.get<SidecarSet>(sidecarSets, { namespace: '', name: 'agent' })
      const isNew = found.status?.observedGeneration === found.metadata.generation
      if (isNew && found.status && isDone(found.status)) return found.status
      throw new Error(JSON.stringify(found.status))
    },
    { clock: cluster.clock, timeout },
  )

const allUpdated = (count: number, timeout?: number) =>
  status(
    ({ matchedPods, updatedPods, updatedReadyPods }) =>
      [matchedPods, updatedPods, updatedReadyPods].every((value) => value === count),
    timeout,
  )

const release = (container: Container) =>
  cluster.admin.patch<SidecarSet>(
    sidecarSets,
    { namespace: '', name: 'agent' },
    { type: 'merge', body: { spec: { containers: [container] } } },
  )

async function createPods(count: number, spec: Partial<Pod['spec']> = {}) {
  for (let i = 0; i < count; i++) await createPod(`web-${i}`, spec)
  await eventually('ready pods', async () => (await pods()).every(isReady), cluster)
}

const createPod = (name: string, spec: Partial<Pod['spec']> = {}) =>
  eventually(
    `creation of ${name}`,
    () =>
      cluster.admin
        .create<Pod>(
          resources.pods,
          aPod({ name, labels: { app: 'web' }, spec: { terminationGracePeriodSeconds: 1, ...spec } }),
        )
        .catch((error: unknown) => {
          // A namesake that is still going away, or a webhook that is not back yet.
          if (error instanceof ApiError && (error.code === 409 || error.code === 500)) return undefined
          throw error
        }),
    cluster,
  )

describe('pods that are deleted during their update and come back under the same name', () => {
  it('do not hold the rollout up, and old actions do not reach the new ones', async () => {
    await begin({ maxUnavailable: 1 })
    await createPods(4)
    await release(agent('agent:2'))
    await eventually(
      'the first change',
      async () => (await pods()).some((pod) => agentOf(pod)?.image === 'agent:2'),
      cluster,
    )
    const before = await pods()
    const replaced = before.filter(
      (pod) => agentOf(pod)?.image === 'agent:2' || pod.metadata.name === 'web-3',
    )
    for (const { metadata } of replaced) {
      await cluster.admin.delete(resources.pods, key(metadata.name), { gracePeriodSeconds: 0 })
      await createPod(metadata.name)
    }
    await allUpdated(4)
    const after = await pods()
    expect(after.map((pod) => agentOf(pod)?.image)).toEqual(Array(4).fill('agent:2'))
    for (const { metadata } of replaced) {
      const now = after.find((pod) => pod.metadata.name === metadata.name)
      expect(now?.metadata.uid).not.toBe(metadata.uid)
      expect(now && restartsOf(now)).toBe(0)
    }
  })
})

describe('the arithmetic of budgets', () => {
  it('moves at least one pod with 5 % of 5', async () => {
    await begin({ maxUnavailable: '5%' })
    await createPods(5)
    await release(agent('agent:2'))
    await allUpdated(5)
  })

  it('counts no finished pods', async () => {
    await begin({ maxUnavailable: 1 })
    await createPods(2)
    const done = { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' }
    await createPod('evicted', { nodeName: 'gone' })
    await cluster.admin.patch(
      resources.pods,
      key('evicted'),
      { type: 'merge', body: { status: done } },
      { subresource: 'status' },
    )
    await release(agent('agent:2'))
    await allUpdated(2)
    await cluster.admin.delete(resources.pods, key('evicted'), { gracePeriodSeconds: 0 })
  })

  it('names who blocks: pods whose foreign readiness gate stays closed', async () => {
    await begin({ maxUnavailable: 1 })
    await createPod('gated-0', { readinessGates: [{ conditionType: 'example.com/open' }] })
    await createPod('gated-1', { readinessGates: [{ conditionType: 'example.com/open' }] })
    const openGate = (name: string, is: string) =>
      cluster.admin.patch(
        resources.pods,
        key(name),
        { type: 'strategic', body: { status: { conditions: [{ type: 'example.com/open', status: is }] } } },
        { subresource: 'status' },
      )
    for (const name of ['gated-0', 'gated-1']) await openGate(name, 'True')
    await eventually('ready pods', async () => (await pods()).every(isReady), cluster)
    await release(agent('agent:2'))
    await eventually(
      'the first change',
      async () => {
        const changed = (await pods()).find((pod) => agentOf(pod)?.image === 'agent:2')
        if (changed === undefined) return false
        await openGate(changed.metadata.name, 'False')
        return true
      },
      { clock: cluster.clock, every: 5 },
    )
    const isMoving = async () => {
      const { status: now } = await cluster.admin.get<SidecarSet>(sidecarSets, {
        namespace: '',
        name: 'agent',
      })
      const blocker = now?.conditions?.find(({ type }) => type === 'Progressing')
      // Either the gate was closed too late to hold anything up, or who holds it up is named.
      return now?.updatedPods === 2 || (blocker?.message ?? '').includes('gated-')
    }
    await eventually('progress or a named blocker', isMoving, { clock: cluster.clock, timeout: 16_000 })
  })

  it('follows a partition that is raised and lowered again', async () => {
    await begin({ maxUnavailable: 3, partition: 2 })
    await createPods(3)
    await release(agent('agent:2'))
    await status(({ updatedReadyPods }) => updatedReadyPods === 1)
    const partition = (value: number) =>
      cluster.admin.patch<SidecarSet>(
        sidecarSets,
        { namespace: '', name: 'agent' },
        { type: 'merge', body: { spec: { updateStrategy: { partition: value } } } },
      )
    await partition(3)
    await status(({ matchedPods }) => matchedPods === 3)
    await partition(0)
    await allUpdated(3)
  })
})

describe('images that differ in name only', () => {
  it('are rolled out to the end: another registry, and latest', async () => {
    const image = (name: string) => agent(name, { imagePullPolicy: 'IfNotPresent' })
    await begin({ maxUnavailable: 3 })
    await release(image('agent:1'))
    await createPods(3)
    for (const name of ['registry.example/library/agent:1', 'agent:latest', 'agent']) {
      await release(image(name))
      await allUpdated(3)
      expect((await pods()).map((pod) => agentOf(pod)?.image)).toEqual(Array(3).fill(name))
    }
  })

  it('are declared to be no update where latest would change the pull policy too', async () => {
    await begin({ maxUnavailable: 3 })
    await createPods(1)
    await release(agent('agent:latest'))
    const { conditions } = await status(({ conditions: now = [] }) => now.length > 0)
    expect(conditions?.[0]).toMatchObject({ type: 'Progressing', status: 'False', reason: 'NotUpgradable' })
    expect((await pods()).map((pod) => agentOf(pod)?.image)).toEqual(['agent:1'])
  })
})

describe('a bad image', () => {
  it('is left again for the one before, and nothing of a mixed release is applied', async () => {
    await begin({ maxUnavailable: 1 })
    await createPods(3)
    await release(agent('agent:no-such'))
    await eventually(
      'a pod that does not start',
      async () => (await pods()).some((pod) => agentOf(pod)?.image === 'agent:no-such'),
      cluster,
    )
    await release(agent('agent:1'))
    await allUpdated(3)
    expect((await pods()).map((pod) => agentOf(pod)?.image)).toEqual(Array(3).fill('agent:1'))
    await release(agent('agent:2', { env: [{ name: 'MODE', value: 'new' }] }))
    await status(({ updatedPods }) => updatedPods === 0)
    await cluster.clock.sleep(1_000)
    for (const pod of await pods()) {
      expect(agentOf(pod)?.image).toBe('agent:1')
      expect(agentOf(pod)?.env?.some(({ name }) => name === 'MODE') ?? false).toBe(false)
    }
  })
})

describe('a server that refuses every second write with 409', () => {
  it('restarts every sidecar once and not more often', async () => {
    let writes = 0
    await begin({ maxUnavailable: 2 }, (client) =>
      withFaultyWrites(client, (resource) => {
        if (resource === 'pods' && writes++ % 2 === 0) throw new ApiError(409, { reason: 'Conflict' })
      }),
    )
    await createPods(4)
    await release(agent('agent:2'))
    await allUpdated(4)
    const after = await pods()
    expect(after.map((pod) => agentOf(pod)?.image)).toEqual(Array(4).fill('agent:2'))
    expect(after.map(restartsOf)).toEqual([1, 1, 1, 1])
    expect(writes).toBeGreaterThan(4)
  })
})

describe('a cache that is a second late, and a server that refuses every second write', () => {
  it('restart no sidecar twice, keep to the budget and let no pod become ready twice', async () => {
    let writes = 0
    // Deaf to SIGTERM: each pod is away for the whole second of its grace.
    const deaf = (image: string) => aContainer({ name: 'agent', image })
    await begin(
      { maxUnavailable: 2 },
      (client) =>
        withLaggingWatches(
          withFaultyWrites(client, (resource) => {
            if (resource === 'pods' && writes++ % 2 === 0) throw new ApiError(409, { reason: 'Conflict' })
          }),
          cluster.clock,
          1_000,
        ),
      deaf('agent:1'),
    )
    await createPods(6)
    await allUpdated(6)
    const stopping = new AbortController()
    const seen = followReadiness(stopping.signal)
    await release(deaf('agent:2'))
    await allUpdated(6, 60_000)
    stopping.abort()
    const { mostAway, changes } = await seen

    expect((await pods()).map(restartsOf)).toEqual(Array(6).fill(1))
    expect(mostAway).toBeGreaterThan(0)
    expect(mostAway).toBeLessThanOrEqual(2)
    // Away once and back once, each of them.
    expect([...changes.values()]).toEqual(Array(6).fill(2))
  }, 90_000)
})

/** Watches the pods as the API server has them: how many were not ready at a time, and how often each one changed. */
async function followReadiness(signal: AbortSignal) {
  const ready = new Map((await pods()).map((pod) => [pod.metadata.name, isReady(pod)]))
  const changes = new Map<string, number>()
  let mostAway = 0
  try {
    for await (const event of cluster.admin.watch<Pod>(resources.pods, { namespace: 'default', signal })) {
      if (event.type !== 'MODIFIED') continue
      const { object } = event
      const { name } = object.metadata
      if (name === undefined || ready.get(name) === isReady(object)) continue
      ready.set(name, isReady(object))
      changes.set(name, (changes.get(name) ?? 0) + 1)
      mostAway = Math.max(mostAway, [...ready.values()].filter((is) => !is).length)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return { mostAway, changes }
}

describe('other webhooks before and after', () => {
  it('change nothing about it: injecting again adds nothing, and names that collide make no pod invalid', async () => {
    const serving = await cluster.issue({
      commonName: 'other',
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      usages: ['server'],
    })
    let calls = 0
    const add = (name: string) => ({
      allowed: true as const,
      patch: [{ op: 'add' as const, path: '/spec/containers/-', value: aContainer({ name }) }],
    })
    const other = createWebhookServer({
      clock: cluster.clock,
      logger: cluster.logger,
      listen: { host: '127.0.0.1', port: 0 },
      certificate: fixedCertificate(serving, cluster.certificateAuthority),
      handlers: Object.fromEntries(
        ['first', 'last'].map((name) => [
          `/${name}`,
          ({ object }) => {
            calls++
            const has = (object as Pod).spec.containers.some((container) => container.name === name)
            return has ? allow : add(name)
          },
        ]),
      ),
    })
    const stopping = new AbortController()
    const ended = other.run(stopping.signal)
    await other.ready
    const configurations = ['first', 'last']
    const nameOf = (which: string) => (which === 'first' ? 'aaa-other' : 'zzz-other')
    for (const which of configurations)
      await cluster.admin.create<MutatingWebhookConfiguration>(resources.mutatingWebhookConfigurations, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: nameOf(which) },
        webhooks: [
          {
            name: `${which}.example.com`,
            admissionReviewVersions: ['v1'],
            sideEffects: 'None',
            reinvocationPolicy: 'IfNeeded',
            rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
            clientConfig: {
              url: `https://127.0.0.1:${other.address.port}/${which}`,
              caBundle: Buffer.from(cluster.certificateAuthority).toString('base64'),
            },
          },
        ],
      })
    try {
      await begin({})
      const pod = await eventually(
        'an injected pod',
        async () => {
          const created = await createPod(`web-${calls}`)
          return agentOf(created) && created
        },
        cluster,
      )
      expect(pod.spec.containers.map(({ name }) => name).sort()).toEqual(['agent', 'first', 'last', 'main'])
      const again = await createPod('copy', {
        containers: pod.spec.containers,
        volumes: pod.spec.volumes ?? [],
      })
      expect(again.spec.containers.map(({ name }) => name).sort()).toEqual(['agent', 'first', 'last', 'main'])
    } finally {
      for (const which of configurations)
        await cluster.admin.delete(resources.mutatingWebhookConfigurations, {
          namespace: '',
          name: nameOf(which),
        })
      stopping.abort()
      await ended
    }
  })
})
