import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { isConflict, isNotFound } from '@outrigger/client'
import { createController, createInformer, runAll, waitForChange } from '@outrigger/controller'
import { formatTime, type Runnable, SystemClock, SystemRandom, silentLogger } from '@outrigger/foundation'
import { type ContainerStatus, keyOf, type Namespace, type Pod, parseKey, resources } from '@outrigger/kube'
import { createManager } from '@outrigger/operator'
import { fixedCertificate } from '@outrigger/webhook'
import { type SmallCluster, startSmallCluster } from './small-cluster.ts'

/** A small cluster with the manager in it, which can be stopped and started again. */
export interface SidecarCluster extends SmallCluster {
  startManager(): Promise<void>
  stopManager(): Promise<void>
  /** Starts one of several managers that agree on a leader; resolves when it runs, with what stops it. */
  startReplica(): Promise<() => Promise<void>>
}

const clock = new SystemClock()
const random = new SystemRandom()
const logger = silentLogger

/** Starts one with the manager running. Images whose tag is `bad` never start. */
export async function startSidecarCluster(): Promise<SidecarCluster> {
  const cluster = await startSmallCluster(['node'])
  const { client } = cluster
  await client.create<Namespace>(resources.namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kruise-system' },
    spec: {},
  })
  const now = clock.now()
  const authority = await createAuthority({ commonName: 'webhooks', now })
  const serving = await issueCertificate(authority, {
    commonName: 'localhost',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  const stopping = new AbortController()
  const follower = runAll([createImageFollower(cluster)], stopping.signal)
  let manager: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined

  const run = async (leaderElection: boolean) => {
    const running = createManager({
      client,
      clock,
      random,
      logger,
      identity: random.uuid(),
      userName: 'admin',
      leaderElection,
      webhook: {
        listen: { host: '127.0.0.1', port: 0 },
        target: (port) => ({ url: `https://127.0.0.1:${port}` }),
        certificate: fixedCertificate(serving, authority.certificate),
      },
    })
    const stop = new AbortController()
    const started = { stop, ended: running.run(stop.signal) }
    await running.ready
    return started
  }
  const startManager = async () => {
    manager = await run(false)
  }
  const stopManager = async () => {
    manager?.stop.abort()
    await manager?.ended
    manager = undefined
  }
  const startReplica = async () => {
    const { stop, ended } = await run(true)
    return async () => {
      stop.abort()
      await ended
    }
  }
  await startManager()
  return {
    ...cluster,
    startManager,
    stopManager,
    startReplica,
    async stop() {
      await stopManager()
      stopping.abort()
      await follower
      await cluster.stop()
    },
  }
}

/** Takes changed images of running pods over, as a kubelet does: the container starts anew and reports the new image. */
export function createImageFollower({ client }: SmallCluster): Runnable {
  return {
    name: 'image follower',
    async run(signal) {
      const pods = createInformer<Pod>({ client, clock, random, logger, resource: resources.pods })
      const controller = createController({
        clock,
        random,
        logger,
        name: 'image follower',
        concurrency: 8,
        informers: [pods],
        sources: [
          (enqueue) =>
            pods.onChange({ onAdd: (pod) => enqueue(keyOf(pod)), onUpdate: (pod) => enqueue(keyOf(pod)) }),
        ],
        async reconcile(key) {
          const pod = pods.store.get(key)
          const status = pod && statusAfter(pod)
          if (status !== undefined)
            await client
              .patch(
                resources.pods,
                parseKey(key),
                { type: 'strategic', body: { status } },
                { subresource: 'status' },
              )
              .catch((error: unknown) => {
                if (!isNotFound(error) && !isConflict(error)) throw error
              })
          return waitForChange
        },
      })
      await Promise.all([pods.run(signal), controller.run(signal)])
    },
  }
}

function statusAfter(pod: Pod): Pod['status'] | undefined {
  if (pod.status?.phase !== 'Running' || pod.metadata.deletionTimestamp !== undefined) return undefined
  const report = (
    list: Pod['spec']['containers'],
    statuses: readonly ContainerStatus[] = [],
  ): ContainerStatus[] =>
    list.map(({ name, image = '' }) => {
      const before = statuses.find((status) => status.name === name)
      if (before?.image === image) return before
      const isBad = image.endsWith(':bad')
      return {
        name,
        image,
        imageID: isBad ? '' : `docker.io/${image}`,
        ready: !isBad,
        restartCount: (before?.restartCount ?? -1) + 1,
        state: isBad
          ? { waiting: { reason: 'ErrImagePull' } }
          : { running: { startedAt: formatTime(clock.now()) } },
      }
    })
  const containerStatuses = report(pod.spec.containers, pod.status.containerStatuses)
  const natives = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  const initContainerStatuses = report(natives, pod.status.initContainerStatuses)
  const isSame = (left: readonly ContainerStatus[], right: readonly ContainerStatus[] = []) =>
    left.length === right.length && left.every((status) => right.includes(status))
  if (
    isSame(containerStatuses, pod.status.containerStatuses) &&
    isSame(initContainerStatuses, pod.status.initContainerStatuses)
  )
    return undefined
  const isReady = [...containerStatuses, ...initContainerStatuses].every(({ ready }) => ready)
  const lastTransitionTime = formatTime(clock.now())
  return {
    containerStatuses,
    ...(initContainerStatuses.length > 0 && { initContainerStatuses }),
    conditions: ['Ready', 'ContainersReady'].map((type) => ({
      type,
      status: isReady ? 'True' : 'False',
      lastTransitionTime,
    })),
  }
}
