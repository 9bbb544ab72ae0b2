import { type ConfigMap, resources } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { aNode, type TestNode } from './testing/a-node.ts'
import { aContainer, aPod } from './testing/a-pod.ts'

let node: TestNode
afterEach(() => node.stop())

const run = (script: string) => ['sh', '-c', script]
const configMap = (data: Record<string, string>): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', namespace: 'demo' },
  data,
})
const read = async (path: string) => (await node.runtime.files.read(path, 0))?.toString()
const log = (container: string, attempt = 0) =>
  read(
    `${node.runtime.files.logDirectory({ namespace: 'demo', name: 'a', uid: 'uid-a' })}/${container}/${attempt}.log`,
  )

describe('containers and their order', () => {
  test('a native sidecar gates what comes after it and ends last', async () => {
    node = await aNode()
    const side = aContainer({
      name: 'side',
      restartPolicy: 'Always',
      command: run(
        'trap "echo side ends; exit 0" TERM; (sleep 6; touch /tmp/up) & while true; do sleep 1; done',
      ),
      startupProbe: { exec: { command: ['test', '-f', '/tmp/up'] }, periodSeconds: 1, failureThreshold: 30 },
    })
    const setup = aContainer({ name: 'setup', command: run('echo set up') })
    const main = aContainer({
      command: run('trap "echo main ends; exit 0" TERM; while true; do sleep 1; done'),
    })
    node.api.put(resources.pods, aPod({ initContainers: [side, setup], containers: [main] }))
    await node.pass(4)

    expect(node.pod()?.status).toMatchObject({
      phase: 'Pending',
      initContainerStatuses: [
        { name: 'side', started: false },
        { name: 'setup', state: { waiting: { reason: 'PodInitializing' } } },
      ],
    })

    await node.pass(4)
    expect(node.pod()?.status).toMatchObject({
      phase: 'Running',
      initContainerStatuses: [{ ready: true }, { ready: true }],
    })

    node.api.deletePod(resources.pods, 'demo/a')
    await node.pass(5)
    const final = node.api.writes
      .filter((each) => each.verb === 'patch status' && each.resource === 'pods')
      .at(-1)
    expect(final?.body).toMatchObject({
      status: { phase: 'Succeeded', initContainerStatuses: [{ state: { terminated: { exitCode: 0 } } }, {}] },
    })
  })

  test('a pod that is to end completes although its sidecar must be killed', async () => {
    node = await aNode()
    const deaf = aContainer({ name: 'deaf', restartPolicy: 'Always', command: ['sleep', '3600'] })
    const main = aContainer({ command: run('sleep 5') })
    node.api.put(
      resources.pods,
      aPod({
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 3,
        initContainers: [deaf],
        containers: [main],
      }),
    )
    await node.pass(12)

    expect(node.pod()?.status).toMatchObject({
      phase: 'Succeeded',
      initContainerStatuses: [{ name: 'deaf', state: { terminated: { exitCode: 137, reason: 'Error' } } }],
    })
  })

  test('the ACS variable makes a sidecar that starts first, restarts, ends last and never fails the pod', async () => {
    node = await aNode(virtualNode)
    const app = aContainer({ name: 'app', command: run('sleep 10') })
    const side = aContainer({
      name: 'sidecar',
      command: ['sleep', '3600'],
      env: [{ name: '__IS_SIDECAR__', value: 'true' }],
    })
    node.api.put(
      resources.pods,
      aPod({ restartPolicy: 'Never', containers: [app, side] }, { labels: virtualLabel }),
    )
    await node.pass(2)

    const started = node.events().filter((event) => event.startsWith('Normal Started'))
    expect(started.length).toBeGreaterThan(0)
    await node.pass(45)
    expect(node.pod()?.status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [
        { name: 'app', state: { terminated: { exitCode: 0 } } },
        {
          name: 'sidecar',
          state: {
            terminated: {
              exitCode: 0,
              reason: 'Completed',
              message: 'Force this container to be success(137, Error, )',
            },
          },
        },
      ],
    })
  })

  test('a larger launch priority starts earlier and is waited for until it is ready', async () => {
    node = await aNode(virtualNode)
    const first = aContainer({
      name: 'first',
      env: [{ name: 'ECI_CONTAINER_LAUNCH_PRIORITY', value: '1000' }],
      readinessProbe: { exec: { command: ['true'] }, initialDelaySeconds: 5 },
    })
    node.api.put(resources.pods, aPod({ containers: [aContainer(), first] }, { labels: virtualLabel }))
    await node.pass(3)

    expect(node.pod()?.status?.containerStatuses).toMatchObject([
      { name: 'first', state: { running: {} } },
      { name: 'main', state: { waiting: { reason: 'WaitingForHigherPriority' } } },
    ])
    await node.pass(4)
    expect(node.pod()?.status?.phase).toBe('Running')
    expect(node.pod()?.status?.containerStatuses?.[1]?.ready).toBe(true)
  })
})

describe('health', () => {
  test('a failing liveness probe restarts the container, a failing readiness probe takes it out', async () => {
    node = await aNode()
    const main = aContainer({
      command: run('touch /tmp/ok; (sleep 6; rm /tmp/ok) & trap "exit 0" TERM; while true; do sleep 1; done'),
      livenessProbe: { exec: { command: ['cat', '/tmp/ok'] }, periodSeconds: 2, failureThreshold: 2 },
      readinessProbe: { exec: { command: ['test', '-f', '/tmp/ok'] }, periodSeconds: 1, failureThreshold: 1 },
    })
    node.api.put(resources.pods, aPod({ containers: [main] }))
    await node.pass(3)
    expect(node.pod()?.status?.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0 })

    await node.pass(4.5)
    expect(node.pod()?.status?.containerStatuses?.[0]).toMatchObject({ ready: false, restartCount: 0 })

    await node.pass(5)
    expect(node.pod()?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 1 })
    expect(node.events()).toContain('Normal Killing: Container main failed liveness probe, will be restarted')
    expect(node.events().join()).toContain(
      "Liveness probe failed: cat: can't open '/tmp/ok': No such file or directory",
    )
  })

  test('a container that failed its startup probe is not asked again while it is being stopped', async () => {
    node = await aNode()
    const main = aContainer({
      command: run('trap "" TERM; while true; do sleep 1; done'),
      startupProbe: {
        exec: { command: run('echo not yet; exit 1') },
        periodSeconds: 1,
        failureThreshold: 3,
      },
    })
    node.api.put(resources.pods, aPod({ containers: [main], terminationGracePeriodSeconds: 20 }))

    await node.pass(15)
    expect(node.pod()?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0 })
    expect(node.events()).toContain('Warning Unhealthy: Startup probe failed: not yet\n (x3)')
  })

  test('the start after a stop by a probe does not count the run that was stopped', async () => {
    node = await aNode()
    const startupProbe = { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 3 }
    const main = aContainer({
      command: run('trap "exit 0" TERM; while true; do sleep 1; done'),
      startupProbe,
    })
    node.api.put(resources.pods, aPod({ containers: [main] }))
    const status = () => node.pod()?.status?.containerStatuses?.[0]

    await node.pass(5)
    expect(status()).toMatchObject({ restartCount: 2, state: { running: {} } })
    await node.pass(3)
    expect(status()).toMatchObject({ restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } } })
  })

  test('an HTTP readiness probe goes over refused, 404 and 200', async () => {
    node = await aNode()
    const main = aContainer({
      command: run('mkdir /w; sleep 2; httpd -f -p 8080 -h /w & sleep 3; echo ok > /w/ready; wait'),
      ports: [{ name: 'web', containerPort: 8080 }],
      readinessProbe: { httpGet: { path: '/ready', port: 'web' }, periodSeconds: 1 },
    })
    node.api.put(resources.pods, aPod({ containers: [main] }))
    await node.pass(9)

    const ip = node.pod()?.status?.podIP
    expect(node.events().join()).toContain(
      `Readiness probe failed: Get "http://${ip}:8080/ready": dial tcp ${ip}:8080: connect: connection refused`,
    )
    expect(node.events().join()).toContain('Readiness probe failed: HTTP probe failed with statuscode: 404')
    expect(node.pod()?.status?.containerStatuses?.[0]?.ready).toBe(true)
  })

  test('a preStop hook runs before the container is asked to end, and a deaf one is killed after its grace', async () => {
    node = await aNode()
    const main = aContainer({
      command: ['sleep', '3600'],
      lifecycle: { preStop: { exec: { command: run('sleep 2; echo stopping > /proc/1/fd/1') } } },
    })
    node.api.put(resources.pods, aPod({ terminationGracePeriodSeconds: 5, containers: [main] }))
    await node.pass(1)
    node.api.deletePod(resources.pods, 'demo/a')
    await node.pass(4)
    expect(node.pod()).toBeDefined()
    await node.pass(2)
    expect(node.pod()).toBeUndefined()
    const final = node.api.writes
      .filter((each) => each.verb === 'patch status' && each.resource === 'pods')
      .at(-1)
    expect(final?.body).toMatchObject({
      status: { phase: 'Failed', containerStatuses: [{ state: { terminated: { exitCode: 137 } } }] },
    })
  })

  test('a failed postStart hook kills the container and says why', async () => {
    node = await aNode()
    const main = aContainer({
      lifecycle: { postStart: { exec: { command: run('echo hook says no; exit 1') } } },
    })
    node.api.put(resources.pods, aPod({ containers: [main] }))
    await node.pass(5)

    expect(node.events()).toContainEqual(
      expect.stringContaining('Warning FailedPostStartHook: PostStartHook failed'),
    )
    expect(node.events()).toContainEqual(expect.stringContaining('Normal Killing: FailedPostStartHook'))
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toMatch(
      /PostStartHookError|CrashLoopBackOff/,
    )
  })
})

describe('what containers are given', () => {
  test('an environment from fields, ConfigMaps and services, and a start that waits for what is missing', async () => {
    node = await aNode()
    node.api.put(resources.services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'demo' },
      spec: { clusterIP: '10.96.0.7', ports: [{ port: 80, name: 'http' }] },
    })
    const main = aContainer({
      command: run('env; sleep 3600'),
      env: [
        { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'K', valueFrom: { configMapKeyRef: { name: 'c', key: 'one' } } },
        { name: 'BOTH', value: '$(NAME)-$(K) $$(NAME) $(NONE)' },
      ],
    })
    node.api.put(resources.pods, aPod({ containers: [main] }))
    await node.pass(2)
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'configmap "c" not found',
    })

    node.api.put(resources.configMaps, configMap({ one: '1' }))
    await node.pass(1)
    const text = await log('main')
    expect(text).toContain('NAME=a')
    expect(text).toContain('BOTH=a-1 $(NAME) $(NONE)')
    expect(text).toContain('WEB_SERVICE_HOST=10.96.0.7')
  })

  test('volumes that follow their objects, except files mounted by subPath', async () => {
    node = await aNode()
    node.api.put(resources.configMaps, configMap({ k: 'v1' }))
    const script = 'while true; do cat /c/k /sub; echo; sleep 2; date > /dev/null; done'
    const main = aContainer({
      command: run(script),
      volumeMounts: [
        { name: 'c', mountPath: '/c' },
        { name: 'c', mountPath: '/sub', subPath: 'k' },
        { name: 'logs', mountPath: '/logs' },
      ],
    })
    const volumes = [
      { name: 'c', configMap: { name: 'c' } },
      { name: 'logs', csi: { driver: 'stdlogplugin.csi.alibabacloud.com' } },
    ]
    node.api.put(resources.pods, aPod({ containers: [main], volumes }))
    await node.pass(1)
    node.api.put(resources.configMaps, configMap({ k: 'v2' }))
    await node.pass(4)

    const lines = (await log('main'))
      ?.trim()
      .split('\n')
      .map((line) => line.split(' ').at(-1))
    expect(lines?.[0]).toBe('v1v1')
    expect(lines?.at(-1)).toBe('v2v1')
    const id = (await node.runtime.list(new AbortController().signal))[0]!.containers[0]!.id
    const inside = await node.runtime.execSync(
      id,
      ['sh', '-c', 'head -n 1 /logs/main/0.log; echo x > /logs/y'],
      5,
      new AbortController().signal,
    )
    expect(inside.stdout.toString()).toContain('stdout F v1v1')
    expect(inside.stderr.toString()).toContain('Read-only file system')
  })

  test('a pod whose volume is missing waits and says so', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod({ volumes: [{ name: 'c', configMap: { name: 'c' } }] }))
    await node.pass(3)
    expect(node.events()[0]).toContain(
      'Warning FailedMount: MountVolume.SetUp failed for volume "c" : configmap "c" not found',
    )
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('ContainerCreating')

    node.api.put(resources.configMaps, configMap({ k: 'v' }))
    await node.pass(1)
    expect(node.pod()?.status?.phase).toBe('Running')
  })

  test('a service account token that is asked for anew before it expires', async () => {
    node = await aNode()
    node.api.put(
      resources.pods,
      aPod({
        volumes: [
          {
            name: 't',
            projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3600 } }] },
          },
        ],
      }),
    )
    await node.pass(1)
    const path = `${node.runtime.files.podDirectory('uid-a')}/volumes/kubernetes.io~projected/t/token`
    const first = await read(path)
    await node.clock.advance(50 * 60_000)
    await node.pass(1)
    expect(first).toMatch(/^token-/)
    expect(await read(path)).not.toBe(first)
  })
})

describe('images and admission', () => {
  test('an image that cannot be pulled is tried again with growing pauses', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod({ containers: [aContainer({ image: 'busybox:no-such-tag' })] }))
    await node.pass(0.5)
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('ErrImagePull')
    await node.pass(4)
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting).toMatchObject({
      reason: 'ImagePullBackOff',
      message: expect.stringMatching(
        /^Back-off pulling image "busybox:no-such-tag": ErrImagePull: rpc error: code = NotFound/,
      ),
    })
    await node.pass(30)
    expect(node.events()).toContain('Normal Pulling: Pulling image "busybox:no-such-tag" (x3)')

    node.api.deletePod(resources.pods, 'demo/a')
    await node.pass(1)
    const final = node.api.writes
      .filter((each) => each.verb === 'patch status' && each.resource === 'pods')
      .at(-1)
    expect(final?.body).toMatchObject({
      status: {
        phase: 'Failed',
        containerStatuses: [{ state: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } } }],
      },
    })
    expect(node.pod()).toBeUndefined()
  })

  test('an image name that is none is refused in the recorded words, before anything is pulled', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod({ containers: [aContainer({ image: 'BAD:::name' })] }))
    await node.pass(1)

    const message =
      'Failed to apply default image tag "BAD:::name": couldn\'t parse image name "BAD:::name": invalid reference format: repository name (library/BAD) must be lowercase'
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
      reason: 'InvalidImageName',
      message,
    })
    expect(node.events()).toContain(`Warning InspectFailed: ${message}`)
    expect(node.events()).toContain('Warning Failed: Error: InvalidImageName')
    expect(node.events().filter((event) => event.includes('Pulling'))).toEqual([])
  })

  test('a pod that asks for too much, or for another node, fails at once', async () => {
    node = await aNode()
    node.api.put(
      resources.pods,
      aPod({ containers: [aContainer({ resources: { requests: { cpu: '500' } } })] }),
    )
    node.api.put(resources.pods, aPod({ nodeSelector: { disk: 'none' } }, { name: 'b', uid: 'uid-b' }))
    await node.pass(1)

    expect(node.pod()?.status).toMatchObject({
      phase: 'Failed',
      reason: 'OutOfcpu',
      message:
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 500000, used: 0, capacity: 8000",
    })
    expect(node.pod('b')?.status).toMatchObject({ phase: 'Failed', reason: 'NodeAffinity' })
  })

  test('a pod that has run longer than its deadline fails', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod({ activeDeadlineSeconds: 5 }))
    await node.pass(8)
    expect(node.pod()?.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
  })

  test('a pod that became ready gives no reason for not being ready any more', async () => {
    node = await aNode()
    const readinessProbe = { exec: { command: ['test', '-f', '/tmp/up'] }, periodSeconds: 1 }
    const main = aContainer({ command: run('sleep 3; touch /tmp/up; sleep 3600'), readinessProbe })
    node.api.put(resources.pods, aPod({ containers: [main] }))
    const ready = () => node.pod()?.status?.conditions?.find(({ type }) => type === 'Ready')

    await node.pass(2)
    expect(ready()).toMatchObject({ status: 'False', reason: 'ContainersNotReady' })
    await node.pass(4)
    expect(ready()).toMatchObject({ status: 'True' })
    expect(ready()).not.toHaveProperty('reason')
    expect(ready()).not.toHaveProperty('message')
  })

  test('a readiness gate is opened by somebody else', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod({ readinessGates: [{ conditionType: 'example.com/lb' }] }))
    await node.pass(1)
    const ready = () => node.pod()?.status?.conditions?.find(({ type }) => type === 'Ready')
    expect(ready()).toMatchObject({ status: 'False', reason: 'ReadinessGatesNotReady' })

    const opened = structuredClone(node.pod()!)
    opened.status!.conditions!.push({ type: 'example.com/lb', status: 'True' })
    node.api.put(resources.pods, opened)
    await node.pass(1)
    expect(ready()).toMatchObject({ status: 'True' })
    expect(node.pod()?.status?.conditions?.some(({ type }) => type === 'example.com/lb')).toBe(true)
  })
})

const virtualLabel = { 'serverless.alibabacloud.com/virtual-node': 'true' }
const virtualNode = {
  node: {
    name: 'node-1',
    isVirtual: true,
    capacity: { cpu: '100', memory: '1Ti', pods: '100' },
    addresses: [{ type: 'InternalIP' as const, address: '10.0.0.1' }],
  },
}
