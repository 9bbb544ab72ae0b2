import { SeededRandom } from '@outrigger/foundation'
import { ManualClock, MemoryLogger, settle } from '@outrigger/foundation/testing'
import { type Event, type Node, type Pod, resources } from '@outrigger/kube'
import { createSimRuntime, type SimRuntime, type SimRuntimeOptions } from '@outrigger/runtime-sim'
import { createKubelet, type Kubelet, type KubeletOptions } from '../kubelet.ts'
import { MemoryApi } from './memory-api.ts'

/** A node over the simulated runtime and an API in memory, moved by hand. */
export interface TestNode {
  readonly api: MemoryApi
  readonly clock: ManualClock
  readonly runtime: SimRuntime
  readonly logger: MemoryLogger
  readonly kubelet: Kubelet
  /** Lets time pass, in steps small enough for everything to follow. */
  pass(seconds: number): Promise<void>
  pod(name?: string): Pod | undefined
  node(): Node | undefined
  /** `type reason: message` of the events about pods, a count behind those that were repeated. */
  events(): string[]
  /** The same of those about the node. */
  nodeEvents(): string[]
  stop(): Promise<void>
  /** A second kubelet over the same runtime and API, after the first was stopped. */
  restart(): Promise<TestNode>
}

export async function aNode(
  options: Partial<KubeletOptions> & {
    readonly sim?: Partial<SimRuntimeOptions>
    readonly isVirtual?: boolean
  } = {},
  existing: Partial<Pick<TestNode, 'api' | 'clock' | 'runtime'>> = {},
): Promise<TestNode> {
  const clock = existing.clock ?? new ManualClock()
  const api = existing.api ?? new MemoryApi(clock)
  const random = new SeededRandom(Math.floor(clock.now() / 1000) % 1000)
  const logger = new MemoryLogger()
  const runtime =
    existing.runtime ??
    createSimRuntime({ clock, random, pullDelay: 0, images: ['busybox:1.36'], ...options.sim })
  const kubelet = createKubelet({
    client: api.client(),
    runtime,
    node: {
      name: 'node-1',
      isVirtual: options.isVirtual ?? false,
      capacity: { cpu: '8', memory: '16Gi', pods: '110' },
      addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
    },
    clock,
    random,
    logger,
    ...options,
  })
  const stopping = new AbortController()
  const ended = kubelet.run(stopping.signal)
  const pass = async (seconds: number) => {
    for (let left = seconds * 1000; left > 0; left -= 100) await clock.advance(Math.min(100, left))
    await settle(10)
  }
  await pass(0.3)
  await kubelet.ready
  const stop = async () => {
    stopping.abort()
    await settle(10)
    await clock.advance(6_000)
    await ended
  }
  const tell = (isMeant: (event: Event) => boolean) =>
    api
      .all<Event>(resources.events)
      .filter(isMeant)
      .map(
        (event) =>
          `${event.type} ${event.reason}: ${event.message}${(event.count ?? 1) > 1 ? ` (x${event.count})` : ''}`,
      )
  return {
    api,
    clock,
    runtime,
    logger,
    kubelet,
    pass,
    stop,
    pod: (name = 'a') => api.get<Pod>(resources.pods, `demo/${name}`),
    node: () => api.get<Node>(resources.nodes, 'node-1'),
    events: () => tell((event) => event.involvedObject.kind !== 'Node'),
    nodeEvents: () => tell((event) => event.involvedObject.kind === 'Node'),
    restart: async () => {
      await stop()
      return aNode(options, { api, clock, runtime })
    },
  }
}
