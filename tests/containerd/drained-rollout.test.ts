import { get as httpGet } from 'node:http'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import {
  type Draft,
  type EndpointSlice,
  type Namespace,
  type Pod,
  resources,
  type Service,
} from '@outrigger/kube'
import { busyboxImage, importImage, readBusybox, systemPath } from '@outrigger/runtime-cri'
import { aContainer, aNamespace, aPod, aSidecarSet, eventually as eventuallyWithin } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FaultyManager, startFaultyManager } from '../fault/faulty-manager.ts'
import { aCluster, type Cluster, conditionOf, nodeName } from './a-cluster.ts'
import { clock, eventually, mustSkip, soon } from './a-node.ts'

const { sidecarSets } = outriggerResources
const images = ['busybox:1.36', 'busybox:1.37'] as const
const names = ['web-0', 'web-1', 'web-2']
const drainAnnotation = 'outrigger.dev/drain-before-restart'

describe.skipIf(await mustSkip('drained-rollout.test.ts'))('requests to real containers in a rollout', () => {
  let cluster: Cluster
  let manager: FaultyManager | undefined

  beforeAll(async () => {
    cluster = await aCluster()
    await importSecondImage(cluster)
    await cluster.admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
    await cluster.admin.create<Service>(resources.services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
    })
    manager = await startFaultyManager(cluster.server)
  })
  afterAll(async () => {
    await manager?.stop()
    await cluster?.stop()
  })

  test('all succeed where pods are drained, and some fail where they are not', async () => {
    const plain = await requestsDuringRollout(cluster, undefined)
    const drained = await requestsDuringRollout(cluster, '3s')
    expect(plain.failures.length).toBeGreaterThan(0)
    expect(drained.failures).toEqual([])
    expect(drained.sent).toBeGreaterThan(100)
  }, 180_000)
})

/** Three pods whose sidecar answers requests get another image, while a client asks whoever is in the endpoints. */
async function requestsDuringRollout(cluster: Cluster, drain: string | undefined) {
  const set = aSidecarSet({
    annotations: drain === undefined ? {} : { [drainAnnotation]: drain },
    spec: { containers: [server(images[0])], updateStrategy: { maxUnavailable: 1 } },
  })
  await cluster.admin.create<SidecarSet>(sidecarSets, set)
  await untilSelected(cluster)
  for (const name of names) await cluster.create(pod(name))
  for (const name of names) await cluster.until(name, 'ready', (one) => conditionOf(one, 'Ready') === 'True')
  const client = new RestlessClient(cluster)
  await client.start()
  const body = { spec: { containers: [server(images[1])] } }
  await cluster.admin.patch<SidecarSet>(sidecarSets, setKey, { type: 'merge', body })
  await eventuallyWithin(
    'the end of the rollout',
    async () => {
      const { status, metadata } = await cluster.admin.get<SidecarSet>(sidecarSets, setKey)
      const isSeen = status?.observedGeneration === metadata.generation
      return (isSeen && status?.updatedReadyPods === names.length) || undefined
    },
    { clock, timeout: 90_000 },
  )
  // The last pod has to be asked again, too.
  await clock.sleep(500)
  const result = await client.stop()
  for (const name of names) expect(agentOf(await cluster.get(name))?.image).toBe(images[1])
  await cluster.admin.delete(sidecarSets, setKey)
  await Promise.all(names.map((name) => cluster.remove(name, 0)))
  return result
}

const setKey = { namespace: '', name: 'agent' }
const agentOf = (one: Pod | undefined) => one?.spec.containers.find(({ name }) => name === 'agent')

/** A sidecar through which the pod is reached. */
const server = (image: string) =>
  aContainer({
    name: 'agent',
    image,
    command: ['sh', '-c', 'mkdir -p /w; echo ok > /w/index.html; exec httpd -f -p 8080 -h /w'],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  })

const pod = (name: string): Draft<Pod> =>
  aPod({
    name,
    labels: { app: 'web' },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 1,
      containers: [aContainer({ name: 'main', image: images[0], command: ['sleep', '3600'] })],
    },
  })

/** The webhooks know the SidecarSet once a dry run is injected. */
async function untilSelected({ admin }: Cluster): Promise<void> {
  await eventually('an injected pod', async () => {
    const made = await admin.create<Pod>(resources.pods, pod('probe'), { dryRun: true })
    return agentOf(made) && true
  })
}

/** Opens a connection every few milliseconds to an endpoint that is ready, as a proxy knows it that is a little behind. */
class RestlessClient {
  readonly #cluster: Cluster
  readonly #failures: string[] = []
  readonly #pending = new Set<Promise<void>>()
  #addresses: readonly string[] = []
  #sent = 0
  #isOver = false
  #work: Promise<unknown> = Promise.resolve()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  async start(): Promise<void> {
    await eventually('all endpoints', async () => {
      await this.#look()
      return this.#addresses.length === names.length || undefined
    })
    this.#work = Promise.all([this.#follow(), this.#ask()])
  }

  async stop() {
    this.#isOver = true
    await this.#work
    await Promise.all(this.#pending)
    return { sent: this.#sent, failures: this.#failures.slice(0, 20) }
  }

  async #follow(): Promise<void> {
    while (!this.#isOver) {
      await clock.sleep(200)
      await this.#look()
    }
  }

  async #look(): Promise<void> {
    const { items } = await this.#cluster.admin.list<EndpointSlice>(resources.endpointSlices, {
      namespace: 'default',
      labelSelector: 'kubernetes.io/service-name=web',
    })
    this.#addresses = items
      .flatMap(({ endpoints = [] }) => endpoints)
      .filter(({ conditions }) => conditions?.ready)
      .flatMap(({ addresses }) => addresses)
  }

  async #ask(): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const address = this.#addresses[turn % Math.max(1, this.#addresses.length)]
      if (address !== undefined) {
        this.#sent++
        const asked = request(address).then(
          () => {},
          (error: Error) => void this.#failures.push(`${address}: ${error.message}`),
        )
        this.#pending.add(asked)
        void asked.finally(() => this.#pending.delete(asked))
      }
      await clock.sleep(10)
    }
  }
}

function request(host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = httpGet(
      { host, port: 8080, path: '/index.html', agent: false, timeout: 3_000 },
      (answer) => {
        answer.resume()
        answer.on('end', () =>
          answer.statusCode === 200 ? resolve() : reject(new Error(`${answer.statusCode}`)),
        )
        answer.on('error', reject)
      },
    )
    asked.on('timeout', () => asked.destroy(new Error('no answer within 3 s')))
    asked.on('error', reject)
  })
}

async function importSecondImage({ node }: Cluster): Promise<void> {
  const busybox = await readBusybox(systemPath)
  // With the same content it would be the same image under another name.
  const smaller = { ...busybox, applets: busybox.applets.filter((name) => name !== 'vi') }
  const name = `docker.io/library/${images[1]}`
  await importImage(busyboxImage(name, smaller), {
    ctr: node.containerd.binaries.ctr,
    socket: node.containerd.socket,
    clock,
    isPresent: async () => (await node.runtime.imageStatus(name, soon())) !== undefined,
  })
}
