import { ApiError, type Client, isAlreadyExists, isNotFound, pauseAfter } from '@outrigger/client'
import {
  backoffDelay,
  type Clock,
  formatMicroTime,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import { type Lease, type Node, type NodeStatus, resources } from '@outrigger/kube'
import type { MachineFacts, PodRuntime } from '../runtime.ts'
import { type NodeEvent, nodeEvents, startingEvent } from './node-events.ts'
import { type NodeOptions, nodeLabels, nodeTaints, roleLabel } from './node-options.ts'
import { nodeStatus } from './node-status.ts'

export interface NodeRegistrationOptions {
  readonly client: Client
  readonly runtime: PodRuntime
  readonly node: NodeOptions
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** The port of the kubelet's server, once it listens. */
  readonly port: () => number
  /** Told whenever the Node object was read or written, so that its events can name it. */
  readonly onNode: (node: Node) => void
  readonly onVersion: (version: string) => void
  /** Told what people should hear of the node. */
  readonly onEvent: (event: NodeEvent) => void
  /** Milliseconds between lease renewals. Defaults to 10,000. */
  readonly leasePeriod?: number
  /** Milliseconds between looks at the node's own health. Defaults to 10,000. */
  readonly statusPeriod?: number
  /** Milliseconds after which a status is written although nothing changed. Defaults to 300,000. */
  readonly reportPeriod?: number
}

const leaseNamespace = 'kube-node-lease'
const leaseSeconds = 40
/** Between attempts after a failure, in milliseconds. */
const retry = { initial: 500, max: 7_000 }

/** Keeps the Node object and its Lease as the control plane expects them of a kubelet. */
export class NodeRegistration implements Runnable {
  readonly name = 'node registration'
  readonly #options: NodeRegistrationOptions
  #status: NodeStatus | undefined
  #reportedAt = 0
  #known = ''
  #machine: MachineFacts | undefined
  #isStarted = false

  constructor(options: NodeRegistrationOptions) {
    this.#options = options
  }

  /** Registers the node and writes its first status. @throws ApiError, ConnectionError */
  async register(signal: AbortSignal): Promise<void> {
    const node = await this.#ensureNode(signal)
    this.#status = node.status
    this.#options.onNode(node)
    if (!this.#isStarted) this.#options.onEvent(startingEvent)
    this.#isStarted = true
    await this.#report(signal, true)
    await this.#renewLease(signal)
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#repeat('lease', this.#options.leasePeriod ?? 10_000, () => this.#renewLease(signal), signal),
      this.#repeat('status', this.#options.statusPeriod ?? 10_000, () => this.#report(signal, false), signal),
    ])
  }

  async #repeat(what: string, period: number, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options
    let failures = 0
    let pause = period
    while (!signal.aborted) {
      try {
        await clock.sleep(pause * (1 + 0.04 * random.next()), signal)
        await work()
        failures = 0
        pause = period
      } catch (error) {
        if (signal.aborted) return
        failures++
        // Soon, because a lease counts for forty seconds only, but not sooner than a busy server asks for.
        pause = Math.min(period, pauseAfter(error, backoffDelay(retry, failures)))
        logger.warn('node could not be reported', { what, error: messageOf(error) })
      }
    }
  }

  /**
   * A kubelet's own identity may not give its node a role (admission plugin NodeRestriction), a service
   * account may. Where the role is refused the node goes without, and somebody with more rights adds it.
   */
  async #ensureNode(signal: AbortSignal): Promise<Node> {
    const labels = nodeLabels(this.#options.node)
    try {
      return await this.#ensureNodeWith(labels, signal)
    } catch (error) {
      const isRefused = error instanceof ApiError && error.code === 403 && error.message.includes(roleLabel)
      if (!isRefused) throw error
      const { [roleLabel]: _, ...allowed } = labels
      return this.#ensureNodeWith(allowed, signal)
    }
  }

  async #ensureNodeWith(labels: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Node> {
    const { client, node } = this.#options
    const taints = nodeTaints(node)
    const key = { namespace: '', name: node.name }
    const existing = await client.get<Node>(resources.nodes, key, { signal }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    if (existing === undefined) {
      try {
        return await client.create<Node>(
          resources.nodes,
          {
            apiVersion: 'v1',
            kind: 'Node',
            metadata: {
              name: node.name,
              labels,
              ...(node.annotations && { annotations: { ...node.annotations } }),
            },
            spec: taints.length > 0 ? { taints: [...taints] } : {},
          },
          { signal },
        )
      } catch (error) {
        if (!isAlreadyExists(error)) throw error
      }
    }
    // Taints belong to the control plane once the node exists, as with every kubelet: it has added its own
    // while we were away, and NodeRestriction lets no node change them.
    const body = { metadata: { labels } }
    return client.patch<Node>(resources.nodes, key, { type: 'strategic', body }, { signal })
  }

  async #report(signal: AbortSignal, isFirst: boolean): Promise<void> {
    const { client, runtime, node, clock, port, reportPeriod = 300_000 } = this.#options
    const health = await runtime
      .health(signal)
      .catch((error: unknown) => ({ isReady: false, message: `runtime is down: ${messageOf(error)}` }))
    const runtimeVersion = await runtime.version(signal).catch(() => '')
    this.#options.onVersion(runtimeVersion)
    const images = (await runtime.listImages(signal).catch(() => []))
      .slice(0, 50)
      .map((image) => ({ names: [...image.digests, ...image.tags], sizeBytes: image.size }))
    const status = nodeStatus({
      options: node,
      previous: this.#status,
      health,
      runtimeVersion,
      machine: await this.#describeMachine(signal),
      port: port(),
      images,
      now: clock.now(),
    })
    const known = JSON.stringify({
      ...status,
      conditions: status.conditions?.map(({ lastHeartbeatTime: _, ...rest }) => rest),
    })
    const isDue = clock.now() - this.#reportedAt >= reportPeriod
    if (!isFirst && !isDue && known === this.#known) return
    const key = { namespace: '', name: node.name }
    try {
      const written = await client.patch<Node>(
        resources.nodes,
        key,
        { type: 'strategic', body: { status } },
        { subresource: 'status', signal },
      )
      this.#options.onNode(written)
    } catch (error) {
      if (!isNotFound(error)) throw error
      // Somebody deleted the node while we live: it comes back.
      this.#options.onNode(await this.#ensureNode(signal))
    }
    for (const event of nodeEvents(node.name, this.#status, status)) this.#options.onEvent(event)
    this.#status = status
    this.#known = known
    this.#reportedAt = clock.now()
  }

  /** Read once: a machine does not change under its node. */
  async #describeMachine(signal: AbortSignal): Promise<MachineFacts | undefined> {
    this.#machine ??= await this.#options.runtime.machine?.(signal).catch(() => undefined)
    return this.#machine
  }

  async #renewLease(signal: AbortSignal): Promise<void> {
    const { client, clock, node } = this.#options
    const key = { namespace: leaseNamespace, name: node.name }
    const spec = {
      holderIdentity: node.name,
      leaseDurationSeconds: leaseSeconds,
      renewTime: formatMicroTime(clock.now()),
    }
    try {
      await client.patch<Lease>(resources.leases, key, { type: 'merge', body: { spec } }, { signal })
    } catch (error) {
      if (!isNotFound(error)) throw error
      const draft = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: node.name, namespace: leaseNamespace },
        spec,
      }
      await client.create<Lease>(resources.leases, draft, { signal }).catch((conflict: unknown) => {
        // The namespace appears a moment after the API server; the next renewal makes the lease.
        if (!isAlreadyExists(conflict) && !isNotFound(conflict)) throw conflict
      })
    }
  }
}
