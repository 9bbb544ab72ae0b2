import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { ApiError } from '@outrigger/client'
import { type EndpointSlice, type Namespace, type Pod, resources, type Service } from '@outrigger/kube'
import {
  aContainer,
  aNamespace,
  aPod,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { startFaultyManager, withFaultyWrites, withLaggingWatches } from './faulty-manager.ts'
import { type ManagerProcess, startManagerProcess } from './manager-process.ts'

const { sidecarSets } = outriggerResources
const gate = 'outrigger.dev/in-service'
const drain = 2_000
const setKey = { namespace: '', name: 'agent' }
let cluster: TestCluster
let stopManager: () => Promise<unknown> = async () => {}

beforeAll(async () => {
  cluster = await startTestCluster({
    hasManager: false,
    nodes: [{ name: 'node-1', isVirtual: false }],
    runtime: { pullDelay: 0, sandboxDelay: 0 },
  })
  await cluster.admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
  await cluster.admin.create<Service>(resources.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  })
})

afterEach(async () => {
  await cluster.admin.delete(sidecarSets, setKey)
  await cluster.admin.deleteCollection(resources.pods, { namespace: 'default', gracePeriodSeconds: 0 })
  await eventually('an empty namespace', async () => (await pods()).length === 0, cluster)
  await stopManager()
  stopManager = async () => {}
})

afterAll(() => cluster.stop())

const pods = async () => (await cluster.admin.list<Pod>(resources.pods, { namespace: 'default' })).items
const conditionOf = ({ status }: Pod, wanted: string) =>
  status?.conditions?.find(({ type }) => type === wanted)
const isReady = (pod: Pod) => conditionOf(pod, 'Ready')?.status === 'True'
const imageOf = (pod: Pod) => pod.spec.containers.find(({ name }) => name === 'agent')?.image

/** Pods in service whose sidecar is drained before it restarts. */
async function begin(count: number): Promise<void> {
  await cluster.admin.create<SidecarSet>(
    sidecarSets,
    aSidecarSet({
      annotations: { 'outrigger.dev/drain-before-restart': `${drain}ms` },
      spec: { containers: [agent('agent:1')], updateStrategy: { maxUnavailable: 1 } },
    }),
  )
  for (let i = 0; i < count; i++) await createPod(`web-${i}`)
  await eventually('pods in service', async () => (await pods()).every(isReady), cluster)
}

const agent = (image: string) => aContainer({ name: 'agent', image })

const createPod = (name: string) =>
  eventually(
    `the sidecar of ${name}`,
    async () => {
      const draft = aPod({ name, labels: { app: 'web' }, spec: { terminationGracePeriodSeconds: 1 } })
      const probe = await cluster.admin.create<Pod>(resources.pods, draft, { dryRun: true })
      return imageOf(probe) === undefined ? undefined : cluster.admin.create<Pod>(resources.pods, draft)
    },
    cluster,
  )

const release = (image: string) =>
  cluster.admin.patch<SidecarSet>(sidecarSets, setKey, {
    type: 'merge',
    body: { spec: { containers: [agent(image)] } },
  })

const untilDone = (count: number) =>
  eventually(
    'the end of the rollout',
    async () => {
      const { status, metadata } = await cluster.admin.get<SidecarSet>(sidecarSets, setKey)
      const isSeen = status?.observedGeneration === metadata.generation
      if (isSeen && status?.updatedReadyPods === count) return true
      throw new Error(JSON.stringify([status, (await pods()).map((pod) => conditionOf(pod, gate))]))
    },
    { clock: cluster.clock, timeout: 60_000 },
  )

/** What an observer of pods and endpoints sees in a rollout. */
class Observer {
  /** By pod: how often it became ready or stopped being so. */
  readonly changes = new Map<string, number>()
  /** By pod: milliseconds without traffic when its new image was written. */
  readonly quiet = new Map<string, number>()
  /** Pods that were in service between the write of an image and the node's word that it runs. */
  readonly early: string[] = []
  /** The most pods that were not ready at a time. */
  mostAway = 0
  readonly #before = new Map<string, Pod>()
  readonly #lastSent = new Map<string, number>()
  readonly #sent = new Set<string>()
  readonly #stop = new AbortController()
  readonly #ended: Promise<unknown>

  constructor(known: readonly Pod[], onChange: (pods: readonly Pod[]) => void = () => {}) {
    for (const pod of known) this.#before.set(pod.metadata.name, pod)
    const { signal } = this.#stop
    const quietly = (work: Promise<void>) =>
      work.catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    this.#ended = Promise.all([
      quietly(this.#followSlices(signal)),
      quietly(this.#followPods(signal, onChange)),
    ])
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  async #followSlices(signal: AbortSignal): Promise<void> {
    const watch = cluster.admin.watch<EndpointSlice>(resources.endpointSlices, {
      namespace: 'default',
      signal,
    })
    for await (const event of watch) {
      if (event.type !== 'ADDED' && event.type !== 'MODIFIED') continue
      const now = cluster.clock.monotonic()
      for (const name of this.#sent) this.#lastSent.set(name, now)
      this.#sent.clear()
      for (const { conditions, targetRef } of event.object.endpoints ?? [])
        if (conditions?.ready) this.#sent.add(targetRef?.name ?? '')
    }
  }

  async #followPods(signal: AbortSignal, onChange: (pods: readonly Pod[]) => void): Promise<void> {
    const watch = cluster.admin.watch<Pod>(resources.pods, { namespace: 'default', signal })
    for await (const event of watch) {
      if (event.type !== 'ADDED' && event.type !== 'MODIFIED') continue
      this.#see(event.object)
      onChange([...this.#before.values()])
    }
  }

  #see(pod: Pod): void {
    const { name } = pod.metadata
    const before = this.#before.get(name)
    this.#before.set(name, pod)
    if (before === undefined) return
    this.mostAway = Math.max(this.mostAway, [...this.#before.values()].filter((one) => !isReady(one)).length)
    if (isReady(before) !== isReady(pod)) this.changes.set(name, (this.changes.get(name) ?? 0) + 1)
    if (imageOf(before) !== imageOf(pod))
      this.quiet.set(
        name,
        this.#sent.has(name) ? 0 : cluster.clock.monotonic() - (this.#lastSent.get(name) ?? 0),
      )
    const runs = pod.status?.containerStatuses?.find((status) => status.name === 'agent')?.image
    const isOpen = conditionOf(pod, gate)?.status === 'True'
    if (isOpen && !runs?.endsWith(imageOf(pod) ?? '')) this.early.push(name)
  }
}

/** Nobody was sent traffic when it restarted, nor before that was over; each was away once, one at a time. */
function expectPeace(observer: Observer, count: number): void {
  expect(observer.early).toEqual([])
  expect([...observer.changes.values()]).toEqual(Array(count).fill(2))
  expect(observer.mostAway).toBe(1)
  expect(observer.quiet.size).toBe(count)
  // The two watches of the observer may tell of one moment at two.
  for (const quiet of observer.quiet.values()) expect(quiet).toBeGreaterThan(drain / 2)
}

it('a manager that is killed at every step of a drain is followed by one that goes on', async () => {
  let manager: ManagerProcess = await startManagerProcess(cluster)
  let kill: Promise<void> | undefined
  stopManager = async () => {
    await kill
    await manager.stop()
  }
  await begin(3)
  const steps: readonly (readonly [string, (pod: Pod) => boolean])[] = [
    ['taken out', (pod) => conditionOf(pod, gate)?.reason === 'Draining'],
    ['unready', (pod) => conditionOf(pod, gate)?.reason === 'Draining' && !isReady(pod)],
    ['drained', (pod) => conditionOf(pod, gate)?.reason === 'Drained'],
    ['changed', (pod) => imageOf(pod) === 'agent:2' && conditionOf(pod, gate)?.status === 'False'],
    ['back', (pod) => imageOf(pod) === 'agent:2' && conditionOf(pod, gate)?.status === 'True'],
  ]
  const left = [...steps]
  const killed: string[] = []
  const observer = new Observer(await pods(), (now) => {
    const next = left[0]
    if (kill !== undefined || next === undefined || !now.some(next[1])) return
    left.shift()
    killed.push(next[0])
    kill = manager.kill().then(async () => {
      manager = await startManagerProcess(cluster)
      kill = undefined
    })
  })
  await release('agent:2')
  await untilDone(3)
  await observer.stop()
  expect(killed).toEqual(steps.map(([name]) => name))
  expectPeace(observer, 3)
}, 120_000)

it('caches that are a second late and every second write refused change nothing about it', async () => {
  let writes = 0
  const manager = await startFaultyManager(cluster, {
    faults: (client) =>
      withLaggingWatches(
        withFaultyWrites(client, (resource) => {
          if (resource === 'pods' && writes++ % 2 === 0) throw new ApiError(409, { reason: 'Conflict' })
        }),
        cluster.clock,
        1_000,
      ),
  })
  stopManager = () => manager.stop()
  await begin(2)
  const observer = new Observer(await pods())
  await release('agent:2')
  await untilDone(2)
  await observer.stop()
  expectPeace(observer, 2)
}, 120_000)

it('a pod is ready as soon as its containers are: the gate opens in the meantime', async () => {
  const manager = await startFaultyManager(cluster)
  stopManager = () => manager.stop()
  await begin(1)
  const delays: number[] = []
  for (let i = 0; i < 20; i++) {
    const made = await createPod(`more-${i}`)
    const created = cluster.clock.monotonic()
    await eventually(
      'an open gate',
      async () => {
        const pod = await cluster.admin.get<Pod>(resources.pods, {
          namespace: 'default',
          name: made.metadata.name,
        })
        return conditionOf(pod, gate)?.status === 'True' || undefined
      },
      { clock: cluster.clock, every: 2 },
    )
    delays.push(cluster.clock.monotonic() - created)
  }
  const inOrder = delays.sort((left, right) => left - right)
  expect(inOrder[10]).toBeLessThan(1_000)
}, 60_000)
