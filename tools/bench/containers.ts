import { createClient } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import { type Pod, resources } from '@outrigger/kube'
import { aContainer, aNode, aSandbox, soon, whyNot } from '../../tests/containerd/a-node.ts'
import { type BenchCluster, residentMegabytes, startBenchCluster } from './cluster.ts'
import { round } from './load.ts'

const rounds = 10

/**
 * A pod in real containers: from `create` sent to Running seen by a watch, one at a time and twenty at once, beside
 * the bare calls to the container runtime that it needs, made in the same run.
 */
export async function benchContainers(): Promise<unknown> {
  const obstacle = await whyNot()
  if (obstacle !== undefined) return { skipped: obstacle }
  const bare = await bareCalls()
  const cluster = await startBenchCluster([
    'up',
    '--runtime',
    'containerd',
    '--example-images',
    '--ephemeral',
  ])
  try {
    const watch = new PodWatch(cluster)
    await watch.open()
    await watch.untilRunning(['warm-up'], () => watch.create('warm-up'))
    const single: number[] = []
    for (let index = 0; index < rounds; index++) {
      const name = `one-${index}`
      single.push(await watch.untilRunning([name], () => watch.create(name)))
      await watch.remove(name)
    }
    const names = Array.from({ length: 20 }, (_, index) => `many-${index}`)
    const twenty = await watch.untilRunning(
      names,
      async () => void (await Promise.all(names.map((name) => watch.create(name)))),
    )
    const figures = {
      bareCallsMs: bare,
      podToRunningMs: round(median(single)),
      ofBareCalls: round(median(single) / bare.sum),
      goalOfBareCalls: 1.3,
      twentyAtOnceMs: round(twenty),
      residentMegabytes: residentMegabytes(cluster.process.child.pid ?? 0),
      realKubelet: { podMs: 500, twentyAtOnceMs: [2_100, 4_100], residentMegabytes: 700 },
    }
    await watch.close()
    return figures
  } finally {
    await cluster.stop()
  }
}

/** Medians of the calls that make a one-container pod run, one after the other and nothing else. */
async function bareCalls() {
  const node = await aNode()
  try {
    const sandbox: number[] = []
    const create: number[] = []
    const start: number[] = []
    for (let index = 0; index < rounds; index++) {
      const t0 = performance.now()
      const made = await node.runtime.createSandbox(aSandbox(node.files), soon())
      const t1 = performance.now()
      const id = await node.runtime.createContainer(made.id, aContainer(['sleep', '60']), soon())
      const t2 = performance.now()
      await node.runtime.startContainer(id, soon())
      const t3 = performance.now()
      sandbox.push(t1 - t0)
      create.push(t2 - t1)
      start.push(t3 - t2)
      await node.runtime.stopSandbox(made.id, soon())
      await node.runtime.removeSandbox(made.id, soon())
    }
    const [runPodSandbox, createContainer, startContainer] = [
      round(median(sandbox)),
      round(median(create)),
      round(median(start)),
    ] as const
    return {
      runPodSandbox,
      createContainer,
      startContainer,
      sum: round(runPodSandbox + createContainer + startContainer),
    }
  } finally {
    await node.remove()
  }
}

/** One watch on the pods of the default namespace. */
class PodWatch {
  readonly #client
  readonly #stop = new AbortController()
  readonly #running = new Set<string>()
  readonly #gone = new Set<string>()
  #wake: () => void = () => {}
  #ended: Promise<void> = Promise.resolve()

  constructor({ target }: BenchCluster) {
    this.#client = createClient({
      config: { server: target.url, certificateAuthority: target.ca, credentials: { token: target.token } },
      clock: new SystemClock(),
    })
  }

  async open(): Promise<void> {
    const list = await this.#client.list<Pod>(resources.pods, { namespace: 'default' })
    const events = this.#client.watch<Pod>(resources.pods, {
      namespace: 'default',
      resourceVersion: list.metadata.resourceVersion ?? '',
      signal: this.#stop.signal,
    })
    this.#ended = (async () => {
      for await (const event of events) {
        if (event.type === 'ERROR') continue
        if (event.type === 'DELETED') this.#gone.add(event.object.metadata.name)
        else if (event.object.status?.phase === 'Running') this.#running.add(event.object.metadata.name)
        this.#wake()
      }
    })().catch(() => {})
  }

  /** Milliseconds from the start of `begin` until all of `names` were seen Running. */
  async untilRunning(names: readonly string[], begin: () => Promise<void>): Promise<number> {
    const since = performance.now()
    await begin()
    await this.#until(() => names.every((name) => this.#running.has(name)))
    return performance.now() - since
  }

  async create(name: string): Promise<void> {
    await this.#client.create<Pod>(resources.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'main',
            image: 'busybox:latest',
            imagePullPolicy: 'IfNotPresent',
            command: ['sleep', '3600'],
          },
        ],
      },
    })
  }

  /** Waits until the node has let go of it, so that its end is not measured with the next one's beginning. */
  async remove(name: string): Promise<void> {
    await this.#client.delete(resources.pods, { namespace: 'default', name })
    await this.#until(() => this.#gone.has(name))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    await this.#client.close()
  }

  async #until(isDone: () => boolean): Promise<void> {
    const deadline = performance.now() + 60_000
    while (!isDone()) {
      if (performance.now() > deadline) throw new Error('a pod did not get where it should within 60 s')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
