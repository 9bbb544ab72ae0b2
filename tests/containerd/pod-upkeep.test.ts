import { readdir, readFile } from 'node:fs/promises'
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { type Pod, resources } from '@outrigger/kube'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aCluster, type Cluster, conditionOf, statusOf } from './a-cluster.ts'
import { eventually, mustSkip } from './a-node.ts'

const isReady = (pod: Pod) => conditionOf(pod, 'Ready') === 'True'
const resizePending = (pod: Pod) => pod.status?.conditions?.find(({ type }) => type === 'PodResizePending')

describe.skipIf(await mustSkip('pod-upkeep.test.ts'))('a running pod', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await aCluster({ logRotation: { maxBytes: 20_000, maxFiles: 3, period: 300 } })
  })
  afterAll(async () => {
    await cluster?.stop()
  })
  const resize = (name: string, container: string, changes: object) =>
    cluster.admin.patch(
      resources.pods,
      { namespace: 'default', name },
      { type: 'strategic', body: { spec: { containers: [{ name: container, resources: changes }] } } },
      { subresource: 'resize' },
    )

  test.concurrent('is given other limits without a restart', async () => {
    await cluster.create(`
metadata: {name: resize}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, '3600']
    resources: {requests: {cpu: 50m, memory: 32Mi}, limits: {cpu: 100m, memory: 64Mi}}
  - name: careful
    image: busybox:1.36
    command: [sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.1; done']
    resources: {limits: {cpu: 100m, memory: 32Mi}}
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]`)
    const before = await cluster.until('resize', 'ready', isReady)
    const wish = { requests: { cpu: '80m', memory: '48Mi' }, limits: { cpu: '200m', memory: '96Mi' } }
    await resize('resize', 'main', wish)
    const after = await cluster.until(
      'resize',
      'with its new limits',
      (pod) =>
        statusOf(pod)?.resources?.limits?.['memory'] === '96Mi' &&
        conditionOf(pod, 'PodResizeInProgress') === undefined,
    )
    expect(statusOf(after)).toEqual({
      ...statusOf(before),
      allocatedResources: wish.requests,
      resources: wish,
    })
    expect(await cgroupOf('resize')).toEqual({ memory: 96 * 2 ** 20, cpu: 0.2 })
    const text = expect.stringContaining(
      '{"name":"main","resources":{"limits":{"cpu":"200m","memory":"96Mi"}',
    )
    const told = await cluster.events('resize')
    expect(told.filter((each) => each.startsWith('Normal Resize'))).toEqual([text, text])
    expect(told.find((each) => each.includes('ResizeStarted'))).toMatch(
      /^Normal ResizeStarted: Pod resize started: \{"containers":\[.*\],"generation":2\}$/,
    )

    await resize('resize', 'careful', { requests: { memory: '40Mi' }, limits: { memory: '40Mi' } })
    const restarted = await cluster.until(
      'resize',
      'with a container started anew',
      (pod) => statusOf(pod, 'careful')?.restartCount === 1 && isReady(pod),
    )
    expect(statusOf(restarted, 'careful')?.resources?.limits).toMatchObject({ memory: '40Mi' })
    expect(statusOf(restarted, 'main')?.restartCount).toBe(0)

    await cluster.remove('resize')
  })

  test.concurrent('waits for limits that the node cannot give', async () => {
    await cluster.create(`
metadata: {name: greedy}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600'], resources: {requests: {cpu: 1}}}`)
    await cluster.create(`
metadata: {name: neighbour}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600'], resources: {requests: {cpu: 2}}}`)
    await cluster.until('greedy', 'ready', isReady)
    await cluster.until('neighbour', 'ready', isReady)
    await resize('greedy', 'main', { requests: { cpu: '3' } })
    const deferred = await cluster.until('greedy', 'deferred', (pod) => resizePending(pod) !== undefined)
    expect(resizePending(deferred)).toMatchObject({
      status: 'True',
      reason: 'Deferred',
      message: expect.stringMatching(
        /^Node didn't have enough resource: cpu, requested: 3000, used: \d+, capacity: 4000$/,
      ),
    })
    expect(statusOf(deferred)?.allocatedResources).toEqual({ cpu: '1' })
    await cluster.remove('neighbour')
    const granted = await cluster.until(
      'greedy',
      'granted',
      (pod) => resizePending(pod) === undefined && statusOf(pod)?.resources?.requests?.['cpu'] === '3',
    )
    expect(statusOf(granted)).toMatchObject({ restartCount: 0, allocatedResources: { cpu: '3' } })
    await cluster.remove('greedy')
  })

  test.concurrent('writes on in a fresh log when the old one has grown too long', async () => {
    await cluster.create(`
metadata: {name: chatty}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sh, -c, 'i=0; while true; do i=$((i+1)); echo "line $i"; [ $((i % 50)) = 0 ] && sleep 0.05; done']}`)
    const pod = await cluster.until('chatty', 'ready', isReady)
    const identity = { name: 'chatty', namespace: 'default', uid: pod.metadata.uid ?? '' }
    const folder = `${cluster.node.files.logDirectory(identity)}/main`
    const names = await eventually('three log files', async () => {
      const all = (await readdir(folder)).sort()
      return all.length === 3 ? all : undefined
    })
    expect(names[0]).toBe('0.log')
    expect(names[1]).toMatch(/^0\.log\.\d{8}-\d{6}$/)
    const lines = async (name: string) =>
      [...(await readFile(`${folder}/${name}`, 'utf8')).matchAll(/line (\d+)$/gm)].map(([, number]) =>
        Number(number),
      )
    const [older, newer] = [await lines(names[1]!), await lines(names[2]!)]
    // Not a line is lost between two files.
    expect(newer[0]).toBe(older.at(-1)! + 1)
    expect(
      (
        await eventually('a third rotation', async () => {
          const all = (await readdir(folder)).sort()
          return all[1] !== names[1] ? all : undefined
        })
      ).length,
    ).toBeLessThanOrEqual(3)
    await cluster.remove('chatty')
  })

  test.concurrent('is asked over gRPC whether it is well', async () => {
    const service =
      'a-service-whose-name-is-longer-than-a-hundred-and-twenty-seven-bytes-so-that-its-length-takes-two-bytes-on-the-wire-which-is-rare'
    const asked: string[] = []
    let status = 2
    const server = new Server()
    server.addService(healthService, {
      check: (call: { request: string }, answer: (error: null, status: number) => void) => {
        asked.push(call.request)
        answer(null, status)
      },
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    await cluster.create(`
metadata: {name: grpc}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, '3600']
    readinessProbe: {grpc: {port: ${port}, service: ${service}}, periodSeconds: 1}`)
    await eventually(
      'a complaint',
      async () =>
        (await cluster.events('grpc')).includes(
          'Warning Unhealthy: Readiness probe failed: service unhealthy (responded with "NOT_SERVING")',
        ) || undefined,
    )
    status = 1
    await cluster.until('grpc', 'ready', isReady)
    expect(asked[0]).toBe(service)
    await cluster.remove('grpc')
    server.forceShutdown()
  })

  async function cgroupOf(name: string) {
    const read = async (...paths: string[]) => {
      const tries = paths.map((path) => `cat /sys/fs/cgroup/${path} 2>/dev/null`).join(' || ')
      return (await cluster.exec(name, ['sh', '-c', tries])).trim()
    }
    const quota = await read('cpu.max', 'cpu/cpu.cfs_quota_us')
    return {
      memory: Number(await read('memory.max', 'memory/memory.limit_in_bytes')),
      cpu: Number(quota.split(' ')[0]) / 100_000,
    }
  }
})

/** The part of `grpc.health.v1.Health` that is asked, with its two one-field messages written by hand. */
const healthService: ServiceDefinition = {
  check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: (bytes: Buffer) => bytes.subarray(bytes.length > 129 ? 3 : 2).toString(),
    responseSerialize: (status: number) => Buffer.from([0x08, status]),
    responseDeserialize: () => 0,
  },
}
