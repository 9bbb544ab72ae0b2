import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@outrigger/foundation'
import { type Pod, resources } from '@outrigger/kube'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aCluster, type Cluster, conditionOf, nodeName, statusOf } from './a-cluster.ts'
import { clock, eventually, mustSkip, soon } from './a-node.ts'

const isReady = (pod: Pod) => conditionOf(pod, 'Ready') === 'True'
const rounds = 10

describe.skipIf(await mustSkip('interruptions.test.ts'))('pods whose keepers are interrupted', () => {
  let cluster: Cluster
  let folder: string
  beforeAll(async () => {
    cluster = await aCluster()
    folder = await mkdtemp(join(tmpdir(), 'outrigger-interruptions-'))
  })
  afterAll(async () => {
    await cluster?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const requestOf = (pod: Pod) => statusOf(pod)?.resources?.requests?.['cpu']
  const resize = (name: string, cpu: string) =>
    cluster.admin.patch(
      resources.pods,
      { namespace: 'default', name },
      {
        type: 'strategic',
        body: { spec: { containers: [{ name: 'main', resources: { requests: { cpu } } }] } },
      },
      { subresource: 'resize' },
    )
  const runsOf = async (name: string) =>
    (await cluster.node.runtime.list(soon()))
      .filter(({ pod }) => pod.name === name)
      .flatMap(({ containers }) => containers)

  test('go on under a kubelet that is started anew, which starts nothing twice', async () => {
    await cluster.create(`
metadata: {name: found}
spec:
  terminationGracePeriodSeconds: 2
  initContainers:
  - {name: setup, image: 'busybox:1.36', command: ['true']}
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.1; done']
    resources: {requests: {cpu: 10m}}
  - {name: short, image: 'busybox:1.36', command: [sh, -c, 'test -f /tmp/x && sleep 3600; sleep 1; exit 1']}`)
    await cluster.until('found', 'ready', isReady)
    await resize('found', '20m')
    const before = await cluster.until('found', 'resized', (pod) => requestOf(pod) === '20m')
    await cluster.stopKubelet()
    await resize('found', '30m')
    const runs = await runsOf('found')
    // It ends while nobody looks.
    await eventually(
      'the end of a container',
      async () =>
        (await runsOf('found')).some(({ name, state }) => name === 'short' && state === 'exited') ||
        undefined,
    )
    await cluster.startKubelet()
    const after = await cluster.until(
      'found',
      'with a container started anew',
      (pod) => statusOf(pod, 'short')?.restartCount === 1,
    )
    // What was asked for meanwhile is done too, and what was done before is not done again.
    const resized = await cluster.until('found', 'resized again', (pod) => requestOf(pod) === '30m')
    const cpu = { cpu: '30m' }
    expect(statusOf(resized, 'main')).toEqual({
      ...statusOf(before, 'main'),
      allocatedResources: cpu,
      resources: { requests: cpu },
    })
    expect((await cluster.events('found')).filter((each) => each.includes('ResizeCompleted'))).toHaveLength(2)
    expect(statusOf(after, 'setup')).toEqual(statusOf(before, 'setup'))
    expect(statusOf(after, 'short')?.lastState?.terminated).toMatchObject({ exitCode: 1 })
    expect((await runsOf('found')).filter(({ name }) => name !== 'short')).toEqual(
      runs.filter(({ name }) => name !== 'short'),
    )
    await cluster.remove('found')
  })

  test('are deleted by the next kubelet when they were deleted while there was none', async () => {
    await cluster.create(`
metadata: {name: orphan}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}`)
    await cluster.until('orphan', 'ready', isReady)
    await cluster.stopKubelet()
    await cluster.admin.delete(
      resources.pods,
      { namespace: 'default', name: 'orphan' },
      { gracePeriodSeconds: 0 },
    )
    await cluster.startKubelet()
    await eventually(
      'the end of the containers',
      async () => (await runsOf('orphan')).length === 0 || undefined,
    )
  })

  test('run on while containerd is killed, and are looked after again when it is back', async () => {
    await cluster.create(`
metadata: {name: survivor}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}
  - name: probed
    image: busybox:1.36
    command: [sh, -c, 'touch /root/ok; sleep 3600']
    livenessProbe: {exec: {command: [cat, /root/ok]}, periodSeconds: 1, failureThreshold: 30}`)
    const before = await cluster.until('survivor', 'ready', isReady)
    const { pid } = cluster.node.containerd
    process.kill(pid!, 'SIGKILL')
    await clock.sleep(300)
    await cluster.create(`
metadata: {name: newcomer}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}`)
    await cluster.until('newcomer', 'ready', isReady)
    const after = await cluster.get('survivor')
    expect(after?.status?.containerStatuses).toEqual(before.status?.containerStatuses)
    expect(isReady(after!)).toBe(true)
    await cluster.remove('survivor')
    await cluster.remove('newcomer')
  })

  test(`start once each, wherever their kubelet is killed (${rounds} times)`, async () => {
    await cluster.stopKubelet()
    const random = new SeededRandom(11)
    const names: string[] = []
    for (let round = 0; round < rounds; round++) {
      const kubelet = await startProcess(cluster)
      const name = `once-${round}`
      names.push(name)
      await cluster.create(onceOnly(name, folder))
      await clock.sleep(random.next() * 450)
      kubelet.kill('SIGKILL')
      await once(kubelet, 'exit')
    }
    await cluster.startKubelet()
    for (const name of names) {
      const pod = await cluster.until(name, 'ready', isReady)
      const lines = (await readFile(join(folder, name), 'utf8')).trim().split('\n')
      const runs = await runsOf(name)
      expect(lines[0]).toBe('init')
      // A start that is cut off is ended by containerd and counts as an attempt; nothing else runs twice.
      const began = runs.filter(({ startedAt }) => startedAt > 0)
      expect(began.map((run) => run.name).sort()).toEqual(['init', 'one', 'two'])
      for (const each of ['init', 'one', 'two']) {
        const starts = lines.filter((line) => line === each).length
        expect(starts).toBeGreaterThanOrEqual(1)
        expect(starts).toBeLessThanOrEqual((statusOf(pod, each)?.restartCount ?? 0) + 1)
      }
    }
    const sandboxes = await cluster.node.runtime.list(soon())
    expect(sandboxes.map(({ pod }) => pod.name).sort()).toEqual([...names].sort())
    await Promise.all(names.map((name) => cluster.remove(name, 0)))
    await eventually('nothing left', async () => {
      const left = await cluster.node.runtime.list(soon())
      return left.length === 0 && (await cluster.node.files.pods()).length === 0 ? true : undefined
    })
  })
})

/** A pod whose containers leave one line each in a file when they start, in an order that is given. */
function onceOnly(name: string, folder: string): string {
  const container = (each: string, rest: string) =>
    `{name: ${each}, image: 'busybox:1.36', command: [sh, -c, 'echo ${each} >> /f/${name}; ${rest}'], volumeMounts: [{name: f, mountPath: /f}]}`
  return `
metadata: {name: ${name}}
spec:
  volumes: [{name: f, hostPath: {path: ${folder}}}]
  initContainers:
  - ${container('init', 'true')}
  containers:
  - ${container('one', 'sleep 3600')}
  - ${container('two', 'sleep 3600')}`
}

async function startProcess({ node, server }: Cluster): Promise<ChildProcess> {
  const authority = Buffer.from(server.certificateAuthority).toString('base64')
  const program = join(import.meta.dirname, 'kubelet-process.ts')
  const root = join(node.directory, 'kubelet')
  const args = [node.containerd.endpoint, root, nodeName, server.url, server.token, authority]
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  return child
}
