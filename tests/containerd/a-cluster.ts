import { setMaxListeners } from 'node:events'
import { type ClusterClient, isNotFound } from '@outrigger/client'
import { createControlPlane } from '@outrigger/control-plane'
import { SystemRandom, silentLogger } from '@outrigger/foundation'
import { type ContainerStatus, type Draft, type Event, type Pod, parseYaml, resources } from '@outrigger/kube'
import { createKubelet, type KubeletOptions } from '@outrigger/kubelet'
import { startTestApiServer, type TestApiServer } from '@outrigger/testkit'
import { aNode, clock, eventually, type Node, soon } from './a-node.ts'

/** A kubelet over a containerd of its own and an API server in this process: real containers, real requests. */
export interface Cluster {
  readonly node: Node
  readonly server: TestApiServer
  readonly admin: ClusterClient
  /** Makes a pod of the namespace `default` on the node. */
  create(pod: Draft<Pod> | string): Promise<Pod>
  get(name: string): Promise<Pod | undefined>
  /** Waits until the pod is as wished; answers with it. Fails after `seconds` with what it was last. */
  until(name: string, what: string, isSo: (pod: Pod) => boolean, seconds?: number): Promise<Pod>
  /** Deletes the pod, and answers with its last state once it is gone. */
  remove(name: string, graceSeconds?: number): Promise<Pod>
  /** Every state of the pod that the server told of, oldest first. */
  history(name: string): readonly Pod[]
  /** `Warning Failed: Error: ErrImagePull` of the pod's events. */
  events(name: string): Promise<string[]>
  /** What a container has written to its log. */
  log(name: string, container?: string, run?: number): Promise<string>
  /** What a command prints inside a running container; throws when it fails. */
  exec(name: string, command: readonly string[], container?: string): Promise<string>
  stopKubelet(): Promise<void>
  startKubelet(): Promise<void>
  /** Ends everything and leaves nothing behind. */
  stop(): Promise<void>
}

export type ClusterOptions = Partial<Pick<KubeletOptions, 'logRotation' | 'volumeSyncPeriod' | 'logger'>> & {
  readonly isVirtual?: boolean
}

export const nodeName = 'node-1'
export const hostIp = '127.0.0.1'

export async function aCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { isVirtual = false, ...kubeletOptions } = options
  const node = await aNode(nodeName)
  const server = await startTestApiServer({ authorization: 'always-allow' })
  const admin = await server.client()
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)
  const controllers = createControlPlane({
    ...server,
    client: admin,
    rootCa: server.certificateAuthority,
  }).run(stopping.signal)
  await eventually('a service account', async () => {
    const { items } = await admin.list(resources.serviceAccounts, { namespace: 'default' })
    return items.length > 0 || undefined
  })
  const record = new PodRecord(admin)
  await record.open()
  let kubelet: { stop(): Promise<void> } | undefined
  const startKubelet = async () => {
    kubelet = await runKubelet(server, node, isVirtual, kubeletOptions)
  }
  const stopKubelet = async () => {
    await kubelet?.stop()
    kubelet = undefined
  }
  await startKubelet()
  const key = (name: string) => ({ namespace: 'default', name })
  const get = async (name: string) => {
    try {
      return await admin.get<Pod>(resources.pods, key(name))
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }
  const log = async (name: string, container = 'main', run = 0) => {
    const pod = record.last(name)
    if (pod === undefined) throw new Error(`there was no pod ${name}`)
    const folder = node.files.logDirectory({ name, namespace: 'default', uid: pod.metadata.uid ?? '' })
    const text = (await node.files.read(`${folder}/${container}/${run}.log`, 0))?.toString() ?? ''
    return text.replace(/^\S+ std(out|err) [FP] /gm, '')
  }
  return {
    node,
    server,
    admin,
    create: (pod) => admin.create<Pod>(resources.pods, prepared(pod)),
    get,
    until: (name, what, isSo, seconds = 30) => record.until(name, what, isSo, seconds),
    async remove(name, graceSeconds) {
      await admin.delete(
        resources.pods,
        key(name),
        graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds },
      )
      return record.untilGone(name, 40)
    },
    history: (name) => record.history(name),
    async events(name) {
      const { items } = await admin.list<Event>(resources.events, {
        namespace: 'default',
        fieldSelector: `involvedObject.name=${name}`,
      })
      return items.map(({ type, reason, message }) => `${type} ${reason}: ${message}`)
    },
    log,
    async exec(name, command, container = 'main') {
      const status = statusOf(await get(name), container)
      const id = status?.containerID?.split('//')[1] ?? ''
      const { exitCode, stdout, stderr } = await node.runtime.execSync(id, command, 10, soon())
      if (exitCode !== 0) throw new Error(`${command.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`)
      return stdout.toString()
    },
    stopKubelet,
    startKubelet,
    async stop() {
      await stopKubelet()
      stopping.abort(new Error('the test is over'))
      await controllers
      await record.close()
      await server.stop()
      // Volumes in memory are mounts.
      for (const uid of await node.files.pods()) await node.files.removePod(uid)
      await node.remove()
    },
  }
}

async function runKubelet(
  server: TestApiServer,
  node: Node,
  isVirtual: boolean,
  options: Partial<KubeletOptions>,
) {
  const kubelet = createKubelet({
    client: await server.client(),
    runtime: node.runtime,
    clock,
    random: new SystemRandom(),
    logger: silentLogger,
    node: {
      name: nodeName,
      isVirtual,
      capacity: { cpu: '4', memory: '4Gi', pods: '110' },
      addresses: [{ type: 'InternalIP', address: hostIp }],
    },
    ...options,
  })
  const stopping = new AbortController()
  const ended = kubelet.run(stopping.signal)
  await kubelet.ready
  return {
    stop: async () => {
      stopping.abort(new Error('the test is over'))
      await ended
    },
  }
}

/** Puts a pod on the node without asking the scheduler. */
function prepared(pod: Draft<Pod> | string): Draft<Pod> {
  const object = (typeof pod === 'string' ? parseYaml(pod) : pod) as Draft<Pod>
  return {
    ...object,
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', ...object.metadata },
    spec: { nodeName, ...object.spec },
  }
}

/** The status of one container, of whatever kind. */
export function statusOf(pod: Pod | undefined, container = 'main'): ContainerStatus | undefined {
  const {
    containerStatuses = [],
    initContainerStatuses = [],
    ephemeralContainerStatuses = [],
  } = pod?.status ?? {}
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(
    ({ name }) => name === container,
  )
}

/** `True`, `False`, `Unknown` or undefined. */
export function conditionOf(pod: Pod, type: string): string | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type)?.status
}

/** All that a watch told of the pods of one namespace. */
class PodRecord {
  readonly #client: ClusterClient
  readonly #stop = new AbortController()
  readonly #states = new Map<string, Pod[]>()
  readonly #gone = new Set<string>()
  readonly #listeners = new Set<() => void>()
  #ended: Promise<void> = Promise.resolve()

  constructor(client: ClusterClient) {
    this.#client = client
  }

  async open(): Promise<void> {
    const { metadata } = await this.#client.list<Pod>(resources.pods, { namespace: 'default' })
    const events = this.#client.watch<Pod>(resources.pods, {
      namespace: 'default',
      resourceVersion: metadata.resourceVersion ?? '',
      signal: this.#stop.signal,
    })
    const follow = async () => {
      for await (const event of events) {
        if (event.type !== 'ADDED' && event.type !== 'MODIFIED' && event.type !== 'DELETED') continue
        const { name } = event.object.metadata
        this.#states.set(name, [...(this.#states.get(name) ?? []), event.object])
        if (event.type === 'DELETED') this.#gone.add(name)
        for (const listener of this.#listeners) listener()
      }
    }
    this.#ended = follow().catch(() => {})
  }

  history(name: string): readonly Pod[] {
    return this.#states.get(name) ?? []
  }

  last(name: string): Pod | undefined {
    return this.#states.get(name)?.at(-1)
  }

  until(name: string, what: string, isSo: (pod: Pod) => boolean, seconds: number): Promise<Pod> {
    return this.#wait(name, what, seconds, () => {
      const last = this.last(name)
      return last !== undefined && isSo(last) ? last : undefined
    })
  }

  untilGone(name: string, seconds: number): Promise<Pod> {
    return this.#wait(name, 'to be gone', seconds, () => (this.#gone.has(name) ? this.last(name) : undefined))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  #wait(name: string, what: string, seconds: number, look: () => Pod | undefined): Promise<Pod> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#listeners.delete(check)
        cancel()
      }
      const check = () => {
        const pod = look()
        if (pod === undefined) return
        settle()
        resolve(pod)
      }
      const cancel = clock.after(seconds * 1000, () => {
        settle()
        const last = JSON.stringify(this.last(name)?.status, undefined, 1)
        reject(new Error(`pod ${name} was expected ${what} within ${seconds} s; it is ${last}`))
      })
      this.#listeners.add(check)
      check()
    })
  }
}
