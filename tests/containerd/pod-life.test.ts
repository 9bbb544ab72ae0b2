import { type ConfigMap, type Pod, resources, type Secret } from '@outrigger/kube'
import { busyboxImage, importImage, readBusybox, systemPath } from '@outrigger/runtime-cri'
import { startTestRegistry, type TestRegistry } from '@outrigger/runtime-cri/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aCluster, type Cluster, conditionOf, hostIp, statusOf } from './a-cluster.ts'
import { clock, mustSkip, soon } from './a-node.ts'

const isReady = (pod: Pod) => conditionOf(pod, 'Ready') === 'True'
const isOver = (pod: Pod) => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
const ended = (pod: Pod | undefined, container?: string) => statusOf(pod, container)?.state?.terminated
const waiting = (pod: Pod | undefined, container?: string) => statusOf(pod, container)?.state?.waiting
const at = (time: string | undefined) => Date.parse(time ?? '')

describe.skipIf(await mustSkip('pod-life.test.ts'))('a pod in real containers', () => {
  let cluster: Cluster
  let registry: TestRegistry
  beforeAll(async () => {
    cluster = await aCluster()
    registry = await startTestRegistry({ login: 'me:secret' })
    const { node } = cluster
    const other = 'docker.io/library/busybox:1.37'
    const busybox = await readBusybox(systemPath)
    // With the same content it would be the same image under another name.
    const smaller = { ...busybox, applets: busybox.applets.filter((name) => name !== 'vi') }
    await importImage(busyboxImage(other, smaller), {
      ctr: node.containerd.binaries.ctr,
      socket: node.containerd.socket,
      clock,
      isPresent: async () => (await node.runtime.imageStatus(other, soon())) !== undefined,
    })
  })
  afterAll(async () => {
    await cluster?.stop()
    await registry?.close()
  })

  test.concurrent('runs, is ready, and ends as it was told when it is deleted', async () => {
    await cluster.create(`
metadata: {name: plain}
spec:
  containers:
  - {name: main, image: 'busybox:1.36', command: [sh, -c, 'trap "exit 3" TERM; while true; do sleep 0.1; done']}`)
    const pod = await cluster.until('plain', 'ready', isReady)
    expect(pod.status).toMatchObject({ phase: 'Running', hostIP: hostIp, qosClass: 'BestEffort' })
    expect(pod.status?.podIP).toMatch(/^10\./)
    expect(statusOf(pod)).toMatchObject({
      image: 'docker.io/library/busybox:1.36',
      imageID: expect.stringMatching(/sha256:/),
      containerID: expect.stringMatching(/^containerd:\/\/[0-9a-f]{64}$/),
      restartCount: 0,
    })
    // The shell has to have set its trap.
    await clock.sleep(300)
    const last = await cluster.remove('plain')
    expect(last.status?.phase).toBe('Failed')
    expect(ended(last)).toMatchObject({ exitCode: 3, reason: 'Error' })
    expect(await cluster.events('plain')).toEqual([
      'Normal Pulled: Container image "busybox:1.36" already present on machine and can be accessed by the pod',
      'Normal Created: Container created',
      'Normal Started: Container started',
      'Normal Killing: Stopping container main',
    ])
  })

  test.concurrent('is killed by the kernel when it takes more memory than it may', async () => {
    await cluster.create(`
metadata: {name: oom}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'exec dd if=/dev/zero of=/dev/null bs=200M count=1']
    resources: {limits: {memory: 24Mi}}`)
    const pod = await cluster.until('oom', 'over', isOver)
    expect(pod.status?.phase).toBe('Failed')
    expect(ended(pod)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
  })

  test.concurrent('is killed when it is deaf to the end of its grace', async () => {
    await cluster.create(`
metadata: {name: deaf}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}`)
    await cluster.until('deaf', 'ready', isReady)
    const since = clock.monotonic()
    const last = await cluster.remove('deaf')
    expect(clock.monotonic() - since).toBeGreaterThan(1_900)
    expect(clock.monotonic() - since).toBeLessThan(6_000)
    expect(ended(last)).toMatchObject({ exitCode: 137, reason: 'Error' })
    expect(last.status?.phase).toBe('Failed')
  })

  test.concurrent('says what is wrong with a command that is not there, and tries again', async () => {
    await cluster.create(`
metadata: {name: bad-command}
spec:
  containers:
  - {name: main, image: 'busybox:1.36', command: [/does/not/exist]}`)
    const pod = await cluster.until(
      'bad-command',
      'held back',
      (pod) => waiting(pod)?.reason === 'CrashLoopBackOff',
    )
    expect(pod.status?.phase).toBe('Running')
    expect(statusOf(pod)?.lastState?.terminated).toMatchObject({
      exitCode: 128,
      reason: 'StartError',
      message: expect.stringContaining(
        'exec: "/does/not/exist": stat /does/not/exist: no such file or directory',
      ),
      startedAt: '1970-01-01T00:00:00Z',
    })
    expect(await cluster.events('bad-command')).toContainEqual(
      expect.stringMatching(
        /^Warning Failed: Error: failed to create containerd task: failed to create shim task: /,
      ),
    )
    await cluster.remove('bad-command')
  })

  test.concurrent('waits for an image that is not there, and comes up when it appears', async () => {
    const name = `${registry.address}/team/late:1`
    const login = Buffer.from(
      JSON.stringify({ auths: { [registry.address]: { username: 'me', password: 'secret' } } }),
    )
    await cluster.create(`
metadata: {name: missing-image}
spec:
  imagePullSecrets: [{name: login}]
  containers:
  - {name: main, image: '${name}', command: [sleep, '3600']}`)
    const refused = await cluster.until(
      'missing-image',
      'held back',
      (pod) => waiting(pod)?.reason === 'ImagePullBackOff',
    )
    expect(waiting(refused)?.message).toContain(`Back-off pulling image "${name}": ErrImagePull: `)
    expect(cluster.history('missing-image').map((pod) => waiting(pod)?.reason)).toContain('ErrImagePull')
    const told = await cluster.events('missing-image')
    expect(told).toContain('Warning Failed: Error: ErrImagePull')
    expect(told).toContain(
      'Warning FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (login); attempting to pull the image may not succeed.',
    )
    await cluster.admin.create<Secret>(resources.secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'login', namespace: 'default' },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': login.toString('base64') },
    })
    registry.add('team/late:1', busyboxImage(name, await readBusybox(systemPath)))
    const pod = await cluster.until('missing-image', 'ready', isReady, 40)
    expect(statusOf(pod)).toMatchObject({ image: name, restartCount: 0 })
    await cluster.remove('missing-image', 0)
  })

  test.concurrent('is started anew with another image, one container at a time', async () => {
    await cluster.create(`
metadata: {name: inplace}
spec:
  terminationGracePeriodSeconds: 3
  containers:
  - {name: one, image: 'busybox:1.36', command: [sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.2; done']}
  - {name: two, image: 'busybox:1.36', command: [sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.2; done']}`)
    const before = await cluster.until('inplace', 'ready', isReady)
    await clock.sleep(300)
    const body = { spec: { containers: [{ name: 'two', image: 'busybox:1.37' }] } }
    await cluster.admin.patch(
      resources.pods,
      { namespace: 'default', name: 'inplace' },
      { type: 'strategic', body },
    )
    const after = await cluster.until(
      'inplace',
      'ready with the new image',
      (pod) => isReady(pod) && statusOf(pod, 'two')?.restartCount === 1,
    )
    expect(statusOf(after, 'one')).toEqual(statusOf(before, 'one'))
    expect(statusOf(after, 'two')).toMatchObject({
      image: 'docker.io/library/busybox:1.37',
      lastState: { terminated: { exitCode: 0, containerID: statusOf(before, 'two')?.containerID } },
    })
    expect(await cluster.events('inplace')).toContain(
      'Normal Killing: Container two definition changed, will be restarted',
    )
    await cluster.remove('inplace')
  })

  test.concurrent('takes in ephemeral containers', async () => {
    await cluster.create(`
metadata: {name: ephemeral}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}`)
    await cluster.until('ephemeral', 'ready', isReady)
    const debug = {
      name: 'debug',
      image: 'busybox:1.36',
      command: ['sh', '-c', 'echo hello; hostname; exit 4'],
    }
    await cluster.admin.patch(
      resources.pods,
      { namespace: 'default', name: 'ephemeral' },
      { type: 'strategic', body: { spec: { ephemeralContainers: [debug] } } },
      { subresource: 'ephemeralcontainers' },
    )
    const pod = await cluster.until(
      'ephemeral',
      'with an ended visitor',
      (pod) => ended(pod, 'debug') !== undefined,
    )
    expect(ended(pod, 'debug')).toMatchObject({ exitCode: 4 })
    expect(isReady(pod)).toBe(true)
    expect(await cluster.log('ephemeral', 'debug')).toBe('hello\nephemeral\n')
    await cluster.remove('ephemeral')
  })

  test.concurrent('lives in the network of the node where it asks for it', async () => {
    await cluster.create(`
metadata: {name: host-network}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sh, -c, 'ip addr | grep -c "link/loopback"; sleep 3600']}`)
    const pod = await cluster.until('host-network', 'ready', isReady)
    expect(pod.status).toMatchObject({ podIP: hostIp, hostIP: hostIp })
    const { readlink } = await import('node:fs/promises')
    const inside = await cluster.exec('host-network', ['readlink', '/proc/self/ns/net'])
    expect(inside.trim()).toBe(await readlink('/proc/self/ns/net'))
    await cluster.remove('host-network')
  })

  test.concurrent('has the names and addresses its spec gives it', async () => {
    await cluster.create(`
metadata: {name: names}
spec:
  hostname: h
  subdomain: sub
  hostAliases: [{ip: 10.1.2.3, hostnames: [foo.example, bar.example]}]
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}`)
    const pod = await cluster.until('names', 'ready', isReady)
    expect(await cluster.exec('names', ['hostname'])).toBe('h\n')
    const hosts = await cluster.exec('names', ['cat', '/etc/hosts'])
    expect(hosts).toContain(`${pod.status?.podIP}\th.sub.default.svc.cluster.local\th\n`)
    expect(hosts).toContain('10.1.2.3\tfoo.example\tbar.example\n')
    await cluster.remove('names')
  })

  test.concurrent('leaves a last message, of its own or from its log', async () => {
    await cluster.create(`
metadata: {name: messages}
spec:
  restartPolicy: Never
  containers:
  - {name: file, image: 'busybox:1.36', command: [sh, -c, 'echo "from file" > /dev/termination-log; exit 1']}
  - {name: logs, image: 'busybox:1.36', command: [sh, -c, 'echo "from the logs"; exit 1'], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: oklogs, image: 'busybox:1.36', command: [sh, -c, 'echo "from the logs"; exit 0'], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: long, image: 'busybox:1.36', command: [sh, -c, 'yes abcdefg | head -c 6000 > /root/m; exit 2'], terminationMessagePath: /root/m}
  - {name: signal, image: 'busybox:1.36', command: [sh, -c, 'kill -9 $$; sleep 1']}`)
    const pod = await cluster.until('messages', 'over', isOver)
    expect(ended(pod, 'file')).toMatchObject({ exitCode: 1, message: 'from file\n' })
    expect(ended(pod, 'logs')).toMatchObject({ exitCode: 1, message: 'from the logs\n' })
    expect(ended(pod, 'oklogs')).toMatchObject({ exitCode: 0, reason: 'Completed' })
    expect(ended(pod, 'oklogs')).not.toHaveProperty('message')
    expect(ended(pod, 'long')?.message).toHaveLength(4096)
    expect([0, 137]).toContain(ended(pod, 'signal')?.exitCode)
  })

  test.concurrent('is started anew when its liveness probe gives up on it', async () => {
    await cluster.create(`
metadata: {name: liveness}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'touch /root/ok; sleep 2; rm /root/ok; sleep 3600']
    livenessProbe: {exec: {command: [cat, /root/ok]}, periodSeconds: 1, failureThreshold: 2}`)
    const pod = await cluster.until(
      'liveness',
      'started anew',
      (pod) => statusOf(pod)?.restartCount === 1 && statusOf(pod)?.state?.running !== undefined,
    )
    expect(statusOf(pod)?.lastState?.terminated).toMatchObject({ exitCode: 137, reason: 'Error' })
    const told = await cluster.events('liveness')
    expect(told).toContainEqual(
      expect.stringMatching(/^Warning Unhealthy: Liveness probe failed: cat: can't open '\/root\/ok'/),
    )
    expect(told).toContain('Normal Killing: Container main failed liveness probe, will be restarted')
    await cluster.remove('liveness', 0)
  })

  test.concurrent('is ready when it answers over HTTP, and not before', async () => {
    await cluster.create(`
metadata: {name: readiness}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'mkdir /w; sleep 1; httpd -p 8080 -h /w; sleep 2; echo ok > /w/ready; sleep 3600']
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}`)
    await cluster.until('readiness', 'ready', isReady)
    const told = await cluster.events('readiness')
    expect(told).toContainEqual(
      expect.stringMatching(
        /Readiness probe failed: Get "http:\/\/10\.[\d.]+:8080\/ready": dial tcp 10\.[\d.]+:8080: connect: connection refused/,
      ),
    )
    expect(told).toContain(
      'Warning Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404',
    )
    await cluster.remove('readiness')
  })

  test.concurrent('is ready only after its postStart hook, and runs its preStop hook before it ends', async () => {
    await cluster.create(`
metadata: {name: hooks}
spec:
  volumes: [{name: e, hostPath: {path: /tmp}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'trap "echo term; exit 0" TERM; while true; do sleep 0.1; done']
    lifecycle:
      postStart: {exec: {command: [sh, -c, 'sleep 1; echo poststart > /proc/1/fd/1']}}
      preStop: {exec: {command: [sh, -c, 'echo prestop > /proc/1/fd/1; sleep 1']}}`)
    const pod = await cluster.until('hooks', 'ready', isReady)
    const startedAt = at(statusOf(pod)?.state?.running?.startedAt)
    const readyAt = at(pod.status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime)
    expect(readyAt - startedAt).toBeGreaterThanOrEqual(1_000)
    expect(await cluster.log('hooks')).toBe('poststart\n')
    const folder = cluster.node.files.logDirectory({
      name: 'hooks',
      namespace: 'default',
      uid: pod.metadata.uid!,
    })
    const { open } = await import('node:fs/promises')
    const log = await open(`${folder}/main/0.log`)
    const last = await cluster.remove('hooks')
    expect((await log.readFile('utf8')).replace(/^\S+ stdout F /gm, '')).toBe('poststart\nprestop\nterm\n')
    await log.close()
    expect(ended(last)).toMatchObject({ exitCode: 0 })
    expect(last.status?.phase).toBe('Succeeded')
  })

  test.concurrent('starts over when its postStart hook fails', async () => {
    await cluster.create(`
metadata: {name: poststart-fail}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.2; done']
    lifecycle: {postStart: {exec: {command: [sh, -c, 'echo hook says no; exit 1']}}}`)
    await cluster.until('poststart-fail', 'held back', (pod) => (statusOf(pod)?.restartCount ?? 0) >= 1)
    const told = await cluster.events('poststart-fail')
    expect(told).toContain('Warning FailedPostStartHook: PostStartHook failed')
    expect(told).toContain('Normal Killing: FailedPostStartHook')
    await cluster.remove('poststart-fail', 0)
  })

  test.concurrent('is held back by a native sidecar until that has started, and ends before it', async () => {
    await cluster.create(`
metadata: {name: gating}
spec:
  initContainers:
  - name: side
    image: busybox:1.36
    restartPolicy: Always
    command: [sh, -c, 'trap "exit 0" TERM; (sleep 2; touch /root/up) & while true; do sleep 0.1; done']
    startupProbe: {exec: {command: [test, -f, /root/up]}, periodSeconds: 1, failureThreshold: 30}
  - {name: setup, image: 'busybox:1.36', command: [sh, -c, 'sleep 0.2']}
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'trap "sleep 1; exit 0" TERM; while true; do sleep 0.1; done']`)
    const pod = await cluster.until('gating', 'ready', isReady)
    expect(
      at(ended(pod, 'setup')?.startedAt) - at(statusOf(pod, 'side')?.state?.running?.startedAt),
    ).toBeGreaterThanOrEqual(1_000)
    await clock.sleep(300)
    const last = await cluster.remove('gating')
    expect(ended(last, 'side')).toMatchObject({ exitCode: 0 })
    expect(at(ended(last, 'side')?.finishedAt)).toBeGreaterThanOrEqual(at(ended(last, 'main')?.finishedAt))
    expect(last.status?.phase).toBe('Succeeded')
  })

  test.concurrent('succeeds with its main container, and its sidecars end after it, the last first', async () => {
    await cluster.create(`
metadata: {name: sidecar-job}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 3
  initContainers:
  - {name: side, image: 'busybox:1.36', restartPolicy: Always, command: [sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.1; done']}
  - {name: deaf, image: 'busybox:1.36', restartPolicy: Always, command: [sh, -c, 'trap "" TERM; while true; do sleep 1; done']}
  containers:
  - {name: main, image: 'busybox:1.36', command: [sh, -c, 'sleep 1']}`)
    const pod = await cluster.until('sidecar-job', 'over', isOver)
    expect(pod.status?.phase).toBe('Succeeded')
    expect(ended(pod, 'deaf')).toMatchObject({ exitCode: 137 })
    expect(ended(pod, 'side')).toMatchObject({ exitCode: 0 })
    expect(at(ended(pod, 'side')?.finishedAt)).toBeGreaterThanOrEqual(at(ended(pod, 'deaf')?.finishedAt))
  })

  test.concurrent('has the user, the groups, the folder and the file system its spec asks for', async () => {
    await cluster.create(`
metadata: {name: static-config}
spec:
  terminationGracePeriodSeconds: 1
  hostname: custom
  restartPolicy: Never
  securityContext: {runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000}
  volumes: [{name: e, emptyDir: {}}]
  containers:
  - name: main
    image: busybox:1.36
    workingDir: /e
    command: [sh, -c, 'pwd; id; hostname; ls -ld /e | cut -c1-40; touch /e/f && ls -l /e/f | cut -c1-40; touch /x; echo "$A|$(A)|$$(A)"']
    env: [{name: A, value: 'v'}]
    envFrom: [{configMapRef: {name: none, optional: true}}]
    securityContext: {readOnlyRootFilesystem: true}
    volumeMounts: [{name: e, mountPath: /e}]`)
    await cluster.until('static-config', 'over', isOver)
    const lines = (await cluster.log('static-config')).split('\n')
    // Two streams: their order against each other is not given.
    expect(lines.sort()).toEqual([
      '',
      expect.stringMatching(/^-rw-r--r-- {4}1 1000 {5}2000/),
      '/e',
      'custom',
      expect.stringMatching(/^drwxrwsrwx {4}2 root {5}2000/),
      'sh: A: not found',
      'touch: /x: Read-only file system',
      'uid=1000 gid=3000 groups=2000,3000',
      'v|v|',
    ])
  })

  test.concurrent('sees its volumes change, but not a file that was mounted alone', async () => {
    const config = (k: string): Pick<ConfigMap, 'data'> => ({ data: { k } })
    const key = { namespace: 'default', name: 'c' }
    await cluster.admin.create<ConfigMap>(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: key,
      ...config('one'),
    })
    await cluster.admin.create<Secret>(resources.secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'default', name: 's' },
      stringData: { p: 'first' },
    })
    await cluster.create(`
metadata: {name: volumes, labels: {tier: one}}
spec:
  terminationGracePeriodSeconds: 1
  volumes:
  - {name: c, configMap: {name: c}}
  - {name: s, secret: {secretName: s, defaultMode: 0400}}
  - {name: m, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - name: pr
    projected:
      sources:
      - {configMap: {name: c, items: [{key: k, path: cm/k}]}}
      - {secret: {name: s}}
      - {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, '3600']
    volumeMounts:
    - {name: c, mountPath: /c}
    - {name: c, mountPath: /sub/k, subPath: k}
    - {name: s, mountPath: /s}
    - {name: pr, mountPath: /p}
    - {name: m, mountPath: /m}`)
    await cluster.until('volumes', 'ready', isReady)
    const all =
      'cat /c/k /sub/k /s/p /p/cm/k /p/p /p/labels; stat -L -c %a /s/p; df -k /m | tail -1 | cut -c1-5'
    expect(await cluster.exec('volumes', ['sh', '-c', all])).toBe('oneonefirstonefirsttier="one"400\ntmpfs\n')
    await cluster.admin.patch(resources.configMaps, key, { type: 'merge', body: config('two') })
    await cluster.admin.patch(
      resources.pods,
      { namespace: 'default', name: 'volumes' },
      { type: 'merge', body: { metadata: { labels: { tier: 'two' } } } },
    )
    const expected = 'twoonefirsttwofirsttier="two"400\ntmpfs\n'
    for (let step = 0; step < 100; step++) {
      if ((await cluster.exec('volumes', ['sh', '-c', all])) === expected) break
      await clock.sleep(100)
    }
    expect(await cluster.exec('volumes', ['sh', '-c', all])).toBe(expected)
    await cluster.remove('volumes')
  })

  test.concurrent('is ended when its time is over', async () => {
    await cluster.create(`
metadata: {name: deadline}
spec:
  activeDeadlineSeconds: 2
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1.36', command: [sleep, '3600']}`)
    const pod = await cluster.until('deadline', 'over', isOver)
    expect(pod.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
    expect(ended(pod)).toMatchObject({ exitCode: 137 })
  })
})
