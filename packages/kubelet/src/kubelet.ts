import { setMaxListeners } from 'node:events'
import type { Client } from '@outrigger/client'
import { createEventRecorder, createInformer, type RunnableInformer } from '@outrigger/controller'
import {
  type Clock,
  type Deferred,
  deferred,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
  withDeadline,
} from '@outrigger/foundation'
import { type Node, type Pod, resources, type Service } from '@outrigger/kube'
import { groupByPod, Housekeeping } from './node/housekeeping.ts'
import { namedByKubelet } from './node/node-events.ts'
import { type NodeOptions, nodeLabels } from './node/node-options.ts'
import { NodeRegistration } from './node/node-registration.ts'
import { refusePod, refuseResize } from './node/pod-admission.ts'
import { ResourceLedger } from './node/resource-ledger.ts'
import { namedServices } from './pod/named-services.ts'
import type { NodeContext } from './pod/node-context.ts'
import type { PodLife } from './pod/pod-life.ts'
import { PodWorker } from './pod/pod-worker.ts'
import type { PodVerdict } from './pod/status-input.ts'
import { dialNetwork } from './probe/connection.ts'
import type { PodRuntime, SandboxState } from './runtime.ts'
import { RuntimeWatch } from './runtime-watch.ts'
import { KubeletServer, type KubeletServerOptions } from './server/kubelet-server.ts'
import { LogRotation, type LogRotationOptions } from './server/log-rotation.ts'
import { ServingCertificate, type ServingCertificateOptions } from './server/serving-certificate.ts'
import { ClaimedVolumes } from './volume/claimed-volumes.ts'
import { PodVolumes } from './volume/pod-volumes.ts'
import { type ReferencePolicy, refuseAllReferences } from './volume/reference-policy.ts'
import { ReferencedObjects } from './volume/referenced-objects.ts'
import { ServiceAccountTokens } from './volume/service-account-tokens.ts'

export interface KubeletOptions {
  readonly client: Client
  readonly runtime: PodRuntime
  readonly node: NodeOptions
  /** The HTTPS endpoints; left out, the node has none and logs and exec do not work. */
  readonly server?: Omit<KubeletServerOptions, 'pods' | 'runtime' | 'clock' | 'logger'>
  /** Asks the cluster for a serving certificate to take the place of the server's; left out, that one stays. */
  readonly servingCertificate?: ServingCertificateOptions
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Grants references into other namespaces on a virtual node. Defaults to none. */
  readonly referencePolicy?: ReferencePolicy
  /** Milliseconds between looks at volumes nobody said had changed. Defaults to 60,000. */
  readonly volumeSyncPeriod?: number
  /** Milliseconds between complete lists of the runtime. Defaults to 10,000. */
  readonly runtimeListPeriod?: number
  readonly logRotation?: Partial<LogRotationOptions>
  /** Milliseconds between looks for what nobody owns. Defaults to 60,000. */
  readonly housekeepingPeriod?: number
}

/** One node's kubelet. */
export interface Kubelet extends Runnable {
  /** Resolves once the node is registered and its pods are watched; rejects when `run` fails before. */
  readonly ready: Promise<void>
  /** The port the server listens on; 0 before. */
  readonly port: number
  /** Looks again at every pod whose references or labels may be judged differently now. */
  reconsider(): void
  /** How many pods it looks after. */
  readonly podCount: number
}

/**
 * A kubelet for one node over a runtime.
 *
 * Guarantees: survives failures of the API server and of the runtime; started again, it finds what it had
 * started and starts nothing twice; on stop it leaves the containers running. Assumes to be the only one
 * for its node and its runtime.
 */
export function createKubelet(options: KubeletOptions): Kubelet {
  return new NodeKubelet(options)
}

class NodeKubelet implements Kubelet {
  readonly name: string
  readonly #options: KubeletOptions
  readonly #ready: Deferred<void> = deferred()
  readonly #workers = new Map<string, PodWorker>()
  readonly #ledger = new ResourceLedger()
  readonly #objects: ReferencedObjects
  readonly #volumes: PodVolumes
  readonly #pods: RunnableInformer<Pod>
  readonly #services: RunnableInformer<Service>
  readonly #recorder: ReturnType<typeof createEventRecorder>
  readonly #context: NodeContext
  readonly #housekeeping: Housekeeping
  #server: KubeletServer | undefined
  #runtimeName = 'unknown'
  #node: Node
  #stopping = new AbortController()
  #found = new Map<string, SandboxState[]>()

  constructor(options: KubeletOptions) {
    this.#options = options
    const { client, clock, random, node, runtime } = options
    const logger = options.logger.with({ node: node.name })
    this.name = `kubelet ${node.name}`
    // Nobody has to wait for it.
    this.#ready.promise.catch(() => {})
    this.#node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: node.name, labels: nodeLabels(node) },
      spec: {},
    }
    const shared = { client, clock, random, logger }
    this.#objects = new ReferencedObjects({ ...shared, onChange: (uids) => this.#refreshVolumes(uids) })
    this.#volumes = new PodVolumes({
      files: runtime.files,
      objects: this.#objects,
      tokens: new ServiceAccountTokens(client, clock),
      claims: new ClaimedVolumes(client),
      policy: options.referencePolicy ?? refuseAllReferences,
      isVirtual: node.isVirtual,
    })
    this.#pods = createInformer<Pod>({
      ...shared,
      resource: resources.pods,
      fieldSelector: `spec.nodeName=${node.name}`,
    })
    this.#services = createInformer<Service>({
      ...shared,
      resource: resources.services,
      indexes: { namespace: (service) => [service.metadata.namespace ?? ''] },
    })
    this.#recorder = createEventRecorder({
      ...shared,
      component: 'kubelet',
      host: node.name,
      queueSize: 10_000,
    })
    this.#context = this.#createContext(logger)
    this.#housekeeping = new Housekeeping({
      runtime,
      clock,
      logger,
      period: options.housekeepingPeriod ?? 60_000,
      known: (uid) => this.#workers.get(uid)?.observed.sandboxes,
      onMissed: (uid) => this.#workers.get(uid)?.wake(),
      isTold: () => this.#pods.hasSynced,
      removeVolumes: (uid) => this.#volumes.remove(uid),
    })
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  get port(): number {
    return this.#server?.port ?? 0
  }

  get podCount(): number {
    return this.#workers.size
  }

  reconsider(): void {
    for (const worker of this.#workers.values()) worker.refreshVolumes()
  }

  async run(signal: AbortSignal): Promise<void> {
    const stopping = this.#stopping
    // Every watch and every running step listens to it.
    setMaxListeners(0, stopping.signal)
    const onAbort = () => stopping.abort(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const unsubscribe = this.#options.referencePolicy?.onChange?.(() => this.reconsider())
    const ended: Promise<void>[] = []
    try {
      await this.#start(ended, stopping.signal)
      this.#ready.resolve()
      await Promise.all(ended)
    } catch (error) {
      stopping.abort(error)
      this.#ready.reject(error)
      await Promise.allSettled(ended)
      if (!signal.aborted) throw error
    } finally {
      unsubscribe?.()
      signal.removeEventListener('abort', onAbort)
      await Promise.all([...this.#workers.values()].map((worker) => worker.stop()))
      await this.#objects.close()
      await this.#server?.close()
    }
  }

  async #start(ended: Promise<void>[], signal: AbortSignal): Promise<void> {
    const { runtime, clock, random, logger, server } = this.#options
    ended.push(this.#recorder.run(signal))
    if (server !== undefined) {
      this.#server = new KubeletServer({ ...server, pods: this.#serving(), runtime, clock, logger })
      await this.#server.listen()
    }
    ended.push(this.#services.run(signal))
    const registration = this.#registration()
    await this.#registerWithPatience(registration, signal)
    ended.push(registration.run(signal))
    this.#askForCertificate(ended, signal)
    this.#found = groupByPod(await runtime.list(signal))
    this.#pods.onChange({
      onAdd: (pod) => this.#onPod(pod),
      onUpdate: (pod) => this.#onPod(pod),
      onDelete: (pod) => this.#onGone(pod),
    })
    ended.push(this.#pods.run(signal))
    await Promise.race([this.#pods.synced, abortion(signal)])
    this.#found.clear()
    const watch = new RuntimeWatch({
      runtime,
      clock,
      random,
      logger,
      onChange: (uid) => this.#workers.get(uid)?.wake(),
      onList: (sandboxes) => this.#housekeeping.compare(sandboxes),
      ...(this.#options.runtimeListPeriod !== undefined && { listPeriod: this.#options.runtimeListPeriod }),
    })
    ended.push(watch.run(signal))
    ended.push(this.#housekeeping.run(signal))
    const rotation = new LogRotation({
      runtime,
      clock,
      logger,
      sandboxes: () => [...this.#workers.values()].flatMap((worker) => worker.observed.sandbox ?? []),
      ...this.#options.logRotation,
    })
    ended.push(rotation.run(signal))
  }

  /** Asked once the node is registered: its addresses are what the names are judged by. */
  #askForCertificate(ended: Promise<void>[], signal: AbortSignal): void {
    const { client, clock, random, logger, node, servingCertificate } = this.#options
    const server = this.#server
    if (server === undefined || servingCertificate === undefined) return
    const serving = new ServingCertificate({
      ...servingCertificate,
      ...{ client, clock, random, logger },
      nodeName: node.name,
      addresses: node.addresses,
      use: (pair) => server.useCertificate(pair),
    })
    ended.push(serving.run(signal))
  }

  #registration(): NodeRegistration {
    const { client, runtime, node, clock, random, logger } = this.#options
    return new NodeRegistration({
      client,
      runtime,
      node,
      clock,
      random,
      logger,
      port: () => this.port,
      onNode: (object) => {
        this.#node = object
      },
      onVersion: (version) => {
        const scheme = version.split('://')[0]
        if (scheme) this.#runtimeName = scheme
      },
      onEvent: (event) => this.#recorder.event(namedByKubelet(this.#node), { type: 'Normal', ...event }),
    })
  }

  /** An API server that is only just starting is waited for. */
  async #registerWithPatience(registration: NodeRegistration, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options
    for (let pause = 100; ; pause = Math.min(pause * 2, 7_000)) {
      try {
        return await registration.register(signal)
      } catch (error) {
        if (signal.aborted) throw error
        logger.warn('node could not be registered yet', { error: messageOf(error) })
        await clock.sleep(pause, signal)
      }
    }
  }

  #createContext(logger: Logger): NodeContext {
    const { client, runtime, clock, random, node, volumeSyncPeriod = 60_000 } = this.#options
    const { dial } = runtime
    return {
      client,
      runtime,
      clock,
      random,
      logger,
      volumes: this.#volumes,
      nodeName: node.name,
      isVirtual: node.isVirtual,
      hostIps: node.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
      runtimeName: () => this.#runtimeName,
      allocatable: node.allocatable ?? node.capacity,
      dns: node.dns ?? { servers: [], domain: 'cluster.local' },
      volumeSyncPeriod,
      services: (namespace) => this.#servicesFor(namespace),
      record: (pod, type, reason, message, fieldPath) =>
        this.#recorder.event(pod, { type, reason, message, ...(fieldPath !== undefined && { fieldPath }) }),
      dialTo: (sandboxId) =>
        dial === undefined
          ? dialNetwork
          : (host, port, signal) => dial.call(runtime, sandboxId, host, port, signal),
    }
  }

  async #servicesFor(namespace: string): Promise<readonly Service[]> {
    if (!this.#services.hasSynced) {
      await withDeadline(this.#options.clock, 5_000, 'reading services', () => this.#services.synced).catch(
        () => {
          throw new Error('services have not yet been read at least once, cannot construct envvars')
        },
      )
    }
    const { store } = this.#services
    return namedServices(
      store.get('default/kubernetes'),
      store.byIndex('namespace', namespace),
      this.#options.node.apiServer,
    )
  }

  // -- pods

  #onPod(pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    const known = this.#workers.get(uid)
    if (known !== undefined) {
      known.update(pod)
      return
    }
    const { node } = this.#options
    const worker = new PodWorker({
      context: this.#context,
      pod,
      admit: (candidate, life, signal) => this.#admit(candidate, life, signal),
      grant: (grown) => {
        const refusal = refuseResize(grown, node.allocatable ?? node.capacity, this.#ledger)
        if (refusal === undefined) this.#ledger.enter(grown)
        return refusal
      },
      onEnded: () => this.#ledger.strike(uid),
      onGone: () => this.#workers.delete(uid),
    })
    const found = this.#found.get(uid)
    if (found !== undefined) {
      worker.found(found)
      this.#ledger.enter(pod)
    }
    this.#workers.set(uid, worker)
    worker.wake()
  }

  #onGone(pod: Pod): void {
    this.#workers.get(pod.metadata.uid ?? '')?.remove()
  }

  /** Labels of the node may be newer than what we know: a pod is refused over them only when they are fresh. */
  async #admit(pod: Pod, life: PodLife, signal: AbortSignal): Promise<PodVerdict | undefined> {
    const refusal = this.#judge(pod, life)
    if (refusal?.reason !== 'NodeAffinity') return refusal
    const { client, node } = this.#options
    this.#node = await client.get<Node>(resources.nodes, { namespace: '', name: node.name }, { signal })
    return this.#judge(pod, life)
  }

  #judge(pod: Pod, life: PodLife): PodVerdict | undefined {
    const { node } = this.#options
    const refusal = refusePod(pod, life, {
      node: this.#node,
      isVirtual: node.isVirtual,
      allocatable: node.allocatable ?? node.capacity,
      used: this.#ledger.used,
      podCount: this.#ledger.podCount,
    })
    if (refusal === undefined) this.#ledger.enter(pod)
    return refusal
  }

  #refreshVolumes(uids: ReadonlySet<string>): void {
    for (const uid of uids) this.#workers.get(uid)?.refreshVolumes()
  }

  #serving() {
    return {
      get: (namespace: string, name: string) => {
        const pod = this.#pods.store.get(`${namespace}/${name}`)
        const worker = pod === undefined ? undefined : this.#workers.get(pod.metadata.uid ?? '')
        return worker === undefined
          ? undefined
          : { pod: worker.pod, observed: worker.observed, status: worker.status }
      },
      list: () => [...this.#workers.values()].map((worker) => ({ ...worker.pod, status: worker.status })),
      nodeName: this.#options.node.name,
    }
  }
}

function abortion(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
