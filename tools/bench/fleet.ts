import type { Client } from '@outrigger/client'
import { type Container, keyOf, type Pod, parseKey, resources } from '@outrigger/kube'

/** A fleet of pods that are said to run: a kubelet that costs next to nothing, so that others can be measured. */
export interface Fleet {
  /** Ends the kubelet. */
  stop(): Promise<void>
}

/** Writes at the same time. */
const workers = 16
const time = '2025-01-01T00:00:00Z'

/** Says of every pod from now on that it runs and is ready, with the images that its spec has. */
export async function playKubelet(client: Client): Promise<Fleet> {
  const stopping = new AbortController()
  const { metadata } = await client.list<Pod>(resources.pods, { limit: 1 })
  const waiting = new Map<string, Pod>()
  let wake: (() => void)[] = []
  const wakeAll = () => {
    for (const one of wake.splice(0)) one()
  }
  stopping.signal.addEventListener('abort', wakeAll)
  const watch = async () => {
    let version = metadata.resourceVersion ?? ''
    while (!stopping.signal.aborted) {
      const events = client.watch<Pod>(resources.pods, {
        resourceVersion: version,
        timeoutSeconds: 3600,
        signal: stopping.signal,
      })
      for await (const { type, object } of events) {
        if (type === 'ERROR') break
        version = object.metadata.resourceVersion ?? version
        if ((type !== 'ADDED' && type !== 'MODIFIED') || showsItsImages(object)) continue
        waiting.set(keyOf(object), object)
        wake.pop()?.()
      }
    }
  }
  const work = async () => {
    while (!stopping.signal.aborted) {
      const [next] = waiting
      if (next === undefined) await new Promise<void>((resolve) => wake.push(resolve))
      else {
        waiting.delete(next[0])
        await report(client, next[1])
      }
    }
  }
  const ended = Promise.all([watch(), ...Array.from({ length: workers }, work)]).catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error
  })
  ended.catch(() => {})
  return {
    async stop() {
      stopping.abort()
      await ended
      wake = []
    },
  }
}

function showsItsImages({ spec, status }: Pod): boolean {
  return spec.containers.every(({ name, image }) =>
    status?.containerStatuses?.some((shown) => shown.name === name && shown.image === image),
  )
}

async function report(client: Client, pod: Pod): Promise<void> {
  const conditions = ['Ready', 'ContainersReady', 'Initialized', 'PodScheduled'].map((type) => ({
    type,
    status: 'True',
    lastTransitionTime: time,
  }))
  const status = {
    phase: 'Running',
    startTime: time,
    podIP: '10.9.0.1',
    podIPs: [{ ip: '10.9.0.1' }],
    conditions,
    containerStatuses: pod.spec.containers.map(statusOf),
  }
  await client.patch<Pod>(
    resources.pods,
    parseKey(keyOf(pod)),
    { type: 'strategic', body: { status } },
    { subresource: 'status' },
  )
}

function statusOf({ name, image = '' }: Container): object {
  return {
    name,
    image,
    imageID: `docker.io/library/${name}@sha256:${Buffer.from(image).toString('hex').padEnd(64, '0').slice(0, 64)}`,
    containerID: `containerd://${Buffer.from(name).toString('hex').padEnd(64, '0')}`,
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: time } },
  }
}
