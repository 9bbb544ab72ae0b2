import { type Job, type Pod, resources } from '@outrigger/kube'
import { virtualNodeLabel } from '@outrigger/kubelet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aCluster, type Cluster, conditionOf, nodeName, statusOf } from './a-cluster.ts'
import { clock, eventually, mustSkip } from './a-node.ts'

const isReady = (pod: Pod) => conditionOf(pod, 'Ready') === 'True'
const isOver = (pod: Pod) => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
const ended = (pod: Pod | undefined, container?: string) => statusOf(pod, container)?.state?.terminated
const at = (time: string | undefined) => Date.parse(time ?? '')
const obedient = `[sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.1; done']`
const labels = `labels: {${virtualNodeLabel}: 'true'}`

describe.skipIf(await mustSkip('virtual-node.test.ts'))('real containers on a virtual node', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await aCluster({ isVirtual: true })
  })
  afterAll(async () => {
    await cluster?.stop()
  })

  test.concurrent('wait until the sidecars of their pod are decided', async () => {
    await cluster.create(`
metadata: {name: held}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}`)
    await cluster.until(
      'held',
      'held',
      (pod) => statusOf(pod)?.state?.waiting?.reason === 'WaitingForSidecarInjection',
    )
    await clock.sleep(300)
    const body = { metadata: { labels: { [virtualNodeLabel]: 'true' } } }
    await cluster.admin.patch(resources.pods, { namespace: 'default', name: 'held' }, { type: 'merge', body })
    await cluster.until('held', 'ready', isReady)
    await cluster.remove('held')
  })

  test.concurrent('start and end in the order of their ECI priorities', async () => {
    await cluster.create(`
metadata: {name: eci, ${labels}}
spec:
  terminationGracePeriodSeconds: 3
  containers:
  - {name: low, image: 'busybox:1.36', command: ${obedient}, env: [{name: ECI_CONTAINER_LAUNCH_PRIORITY, value: '-1000'}, {name: ECI_CONTAINER_EXIT_PRIORITY, value: '1000'}]}
  - name: high
    image: busybox:1.36
    command: [sh, -c, 'trap "exit 0" TERM; (sleep 1; touch /root/ok) & while true; do sleep 0.1; done']
    readinessProbe: {exec: {command: [test, -f, /root/ok]}, periodSeconds: 1}
    env: [{name: ECI_CONTAINER_LAUNCH_PRIORITY, value: '1000'}, {name: ECI_CONTAINER_EXIT_PRIORITY, value: '-1000'}]
  - {name: plain, image: 'busybox:1.36', command: [sh, -c, 'trap "sleep 1; exit 0" TERM; while true; do sleep 0.1; done']}`)
    const held = await cluster.until(
      'eci',
      'half started',
      (pod) => statusOf(pod, 'high')?.state?.running !== undefined,
    )
    expect(statusOf(held, 'low')?.state?.waiting?.reason).toBe('WaitingForHigherPriority')
    const pod = await cluster.until('eci', 'ready', isReady)
    const begins = ['high', 'plain', 'low'].map((name) => at(statusOf(pod, name)?.state?.running?.startedAt))
    expect(begins).toEqual([...begins].sort())
    expect(begins[1]! - begins[0]!).toBeGreaterThanOrEqual(1_000)
    await clock.sleep(300)
    const last = await cluster.remove('eci')
    const ends = ['low', 'plain', 'high'].map((name) => at(ended(last, name)?.finishedAt))
    expect(ends).toEqual([...ends].sort())
    expect(ends[2]! - ends[0]!).toBeGreaterThanOrEqual(1_000)
    expect(last.status?.phase).toBe('Succeeded')
  })

  test.concurrent('start in the order of their Kruise priorities, each when the one before is ready', async () => {
    await cluster.create(`
metadata: {name: kruise, ${labels}}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - {name: second, image: 'busybox:1.36', command: ${obedient}, env: [{name: KRUISE_CONTAINER_PRIORITY, value: '0'}]}
  - name: first
    image: busybox:1.36
    command: [sh, -c, 'trap "exit 0" TERM; (sleep 1; touch /root/ok) & while true; do sleep 0.1; done']
    readinessProbe: {exec: {command: [test, -f, /root/ok]}, periodSeconds: 1}
    env: [{name: KRUISE_CONTAINER_PRIORITY, value: '1'}]`)
    const pod = await cluster.until('kruise', 'ready', isReady)
    const begin = (name: string) => at(statusOf(pod, name)?.state?.running?.startedAt)
    expect(begin('second') - begin('first')).toBeGreaterThanOrEqual(1_000)
    await cluster.remove('kruise')
  })

  test.concurrent('let a Job complete, whose ACS sidecar is deaf and is counted as a success', async () => {
    await runJob(cluster, 'acs', [{ name: '__IS_SIDECAR__', value: 'true' }])
    const pod = (await podsOf(cluster, 'acs'))[0]
    expect(pod?.status?.phase).toBe('Succeeded')
    const [side, app] = [ended(pod, 'side'), ended(pod, 'app')]
    expect(side).toMatchObject({
      exitCode: 0,
      reason: 'Completed',
      message: 'Force this container to be success(137, Error, )',
    })
    expect(statusOf(pod, 'side')).toMatchObject({ ready: false, restartCount: 0 })
    expect(at(side?.startedAt)).toBeLessThanOrEqual(at(app?.startedAt))
    expect(at(side?.finishedAt)).toBeGreaterThanOrEqual(at(app?.finishedAt))
  })

  test.concurrent('let a Job complete, whose ECI sidecar ends with it', async () => {
    await runJob(cluster, 'eci-job', [
      { name: 'ECI_CONTAINER_TYPE', value: 'sidecar' },
      { name: 'ECI_CONTAINER_IGNORE_EXIT_CODE', value: 'true' },
    ])
    const pod = (await podsOf(cluster, 'eci-job'))[0]
    expect(ended(pod, 'side')?.message).toBe('Force this container to be success(137, Error, )')
  })

  test.concurrent('bring an ACS sidecar up again, whatever the pod says of restarts', async () => {
    await cluster.create(`
metadata: {name: acs-restart, ${labels}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: 'busybox:1.36', command: [sh, -c, 'sleep 3']}
  - {name: side, image: 'busybox:1.36', command: [sh, -c, 'test -f /f/x && sleep 3600; touch /f/x; exit 9'], env: [{name: __IS_SIDECAR__, value: 'true'}], volumeMounts: [{name: f, mountPath: /f}]}
  volumes: [{name: f, emptyDir: {}}]`)
    const again = await cluster.until(
      'acs-restart',
      'up again',
      (pod) => statusOf(pod, 'side')?.restartCount === 1,
    )
    expect(statusOf(again, 'side')?.lastState?.terminated).toMatchObject({ exitCode: 9 })
    const pod = await cluster.until('acs-restart', 'over', isOver)
    expect(pod.status?.phase).toBe('Succeeded')
  })

  test.concurrent('see the logs of their pod in the stdlog volume', async () => {
    await cluster.create(`
metadata: {name: stdlog, ${labels}}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: logs, csi: {driver: stdlogplugin.csi.alibabacloud.com}}]
  containers:
  - {name: app, image: 'busybox:1.36', command: [sh, -c, 'echo hello from the app; sleep 3600']}
  - {name: side, image: 'busybox:1.36', command: [sleep, '3600'], volumeMounts: [{name: logs, mountPath: /logs, readOnly: true}]}`)
    await cluster.until('stdlog', 'ready', isReady)
    const text = await eventually(
      'a line in the log',
      async () => (await cluster.exec('stdlog', ['cat', '/logs/app/0.log'], 'side')) || undefined,
    )
    expect(text).toMatch(/^\S+ stdout F hello from the app\n$/)
    await cluster.remove('stdlog')
  })
})

async function runJob({ admin }: Cluster, name: string, env: readonly { name: string; value: string }[]) {
  await admin.create<Job>(resources.jobs, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: 'default' },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { labels: { [virtualNodeLabel]: 'true' } },
        spec: {
          nodeName,
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 2,
          containers: [
            { name: 'app', image: 'busybox:1.36', command: ['sleep', '1'] },
            { name: 'side', image: 'busybox:1.36', command: ['sleep', '3600'], env: [...env] },
          ],
        },
      },
    },
  })
  await eventually(`the end of job ${name}`, async () => {
    const job = await admin.get<Job>(resources.jobs, { namespace: 'default', name })
    return (
      job.status?.conditions?.some(({ type, status }) => type === 'Complete' && status === 'True') ||
      undefined
    )
  })
}

async function podsOf({ admin }: Cluster, job: string): Promise<readonly Pod[]> {
  const { items } = await admin.list<Pod>(resources.pods, {
    namespace: 'default',
    labelSelector: `job-name=${job}`,
  })
  return items
}
