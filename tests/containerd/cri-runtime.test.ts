import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  aContainer,
  aNode,
  aRunningPod,
  aSandbox,
  clock,
  eventually,
  mustSkip,
  type Node,
  soon,
  stateOf,
  textOf,
} from './a-node.ts'

const forever = ['sh', '-c', 'trap "exit 3" TERM; echo ready; while true; do sleep 0.05; done']
const streams = { tty: false, stdin: false, stdout: true, stderr: true }

describe.skipIf(await mustSkip('cri-runtime.test.ts'))('the CRI runtime over a real containerd', () => {
  let node: Node
  beforeAll(async () => {
    node = await aNode()
  })
  afterAll(async () => {
    await node?.remove()
  })

  test('says which runtime it is and that it is ready', async () => {
    expect(await node.runtime.version(soon())).toMatch(/^containerd:\/\/\d+\.\d+\.\d+$/)
    expect(await node.runtime.health(soon())).toEqual({ isReady: true, message: '' })
  })

  test('brings a pod through its life', async () => {
    const { runtime, files } = node
    const spec = aSandbox(files)
    const sandbox = await runtime.createSandbox(spec, soon())
    expect(sandbox.ips[0]).toMatch(/^10\./)
    const id = await runtime.createContainer(
      sandbox.id,
      aContainer(forever, { annotations: { hash: '1' } }),
      soon(),
    )
    expect((await stateOf(node, id))?.state).toBe('created')

    await runtime.startContainer(id, soon())
    expect(await stateOf(node, id)).toMatchObject({
      name: 'main',
      state: 'running',
      annotations: { hash: '1' },
    })
    await runtime.stopContainer(id, 5, soon())
    expect(await stateOf(node, id)).toMatchObject({ state: 'exited', exitCode: 3, reason: 'Error' })

    const [listed] = await runtime.list(soon(), spec.pod.uid)
    expect(listed).toMatchObject({
      pod: spec.pod,
      isReady: true,
      ips: sandbox.ips,
      annotations: { note: 'kept' },
    })
    await runtime.removeContainer(id, soon())
    await runtime.removeSandbox(sandbox.id, soon())
    expect(await runtime.list(soon(), spec.pod.uid)).toEqual([])
    await runtime.removeSandbox(sandbox.id, soon())
    await runtime.stopContainer(id, 0, soon())
  })

  test('writes logs that can be rotated', async () => {
    const pod = await aRunningPod(
      node,
      ['sh', '-c', 'echo out; echo err >&2; while read x; do echo "$x"; done; sleep 60'],
      {
        stdin: true,
      },
    )
    const log = `${pod.spec.logDirectory}/main/0.log`
    const tail = async () => (await node.files.readTail(log, 65_536))?.toString() ?? ''
    await eventually('both lines', async () => ((await tail()).includes('stderr F err\n') ? true : undefined))
    expect(await tail()).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z stdout F out$/m)

    await node.files.rename(log, `${log}.1`)
    await node.runtime.reopenLog?.(pod.container, soon())
    const session = await node.runtime.attach(pod.container, { ...streams, stdin: true }, soon())
    session.stdin?.write('after\n')
    await eventually('the line in the new file', async () =>
      (await tail()).includes('F after') ? true : undefined,
    )
    session.close()
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('kills after the grace period, with 137', async () => {
    const pod = await aRunningPod(node, ['sh', '-c', 'trap "" TERM; while true; do sleep 0.05; done'])
    const begin = clock.monotonic()
    await node.runtime.stopContainer(pod.container, 1, soon())
    expect(clock.monotonic() - begin).toBeGreaterThan(950)
    expect(await stateOf(node, pod.container)).toMatchObject({ state: 'exited', exitCode: 137 })
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('tells when memory ran out', async () => {
    const resources = { cpuRequestMillis: 0, cpuLimitMillis: 0, memoryLimit: 16 << 20, oomScoreAdjust: 1000 }
    const pod = await aRunningPod(node, ['sh', '-c', 'x=a; while true; do x=$x$x; done'], { resources })
    const ended = await eventually('the end', async () => {
      const state = await stateOf(node, pod.container)
      return state?.state === 'exited' && state.reason === 'OOMKilled' ? state : undefined
    })
    expect(ended).toMatchObject({ exitCode: 137 })
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('words refusals as a kubelet shows them', async () => {
    const { runtime, files } = node
    const sandbox = await runtime.createSandbox(aSandbox(files), soon())
    const id = await runtime.createContainer(sandbox.id, aContainer(['nope']), soon())
    await expect(runtime.startContainer(id, soon())).rejects.toMatchObject({
      name: 'RuntimeError',
      code: 'start-failed',
      message: expect.stringMatching(
        /^failed to create containerd task: .*exec: "nope": executable file not found in \$PATH: unknown$/,
      ),
    })
    await expect(
      runtime.createContainer(sandbox.id, aContainer([], { image: 'absent:1', attempt: 9 }), soon()),
    ).rejects.toMatchObject({
      code: 'image-not-present',
    })
    await expect(runtime.pullImage('Not/VALID::', undefined, soon())).rejects.toMatchObject({
      code: 'image-name-invalid',
    })
    await expect(runtime.createContainer('f'.repeat(64), aContainer([]), soon())).rejects.toMatchObject({
      code: 'not-found',
    })
    await runtime.removeSandbox(sandbox.id, soon())
  })

  test('finds what an interrupted call made when the call is repeated', async () => {
    const { runtime, files } = node
    const spec = aSandbox(files)
    const first = await runtime.createSandbox(spec, soon())
    expect((await runtime.createSandbox(spec, soon())).id).toBe(first.id)
    const id = await runtime.createContainer(first.id, aContainer(forever), soon())
    expect(await runtime.createContainer(first.id, aContainer(forever), soon())).toBe(id)
    await runtime.removeSandbox(first.id, soon())
  })

  test('runs commands and collects what they print', async () => {
    const pod = await aRunningPod(node, forever)
    const outcome = await node.runtime.execSync(
      pod.container,
      ['sh', '-c', 'echo out; echo err >&2; exit 7'],
      5,
      soon(),
    )
    expect([outcome.exitCode, outcome.stdout.toString(), outcome.stderr.toString()]).toEqual([
      7,
      'out\n',
      'err\n',
    ])
    const long = await node.runtime.execSync(pod.container, ['sh', '-c', 'yes | head -c 100000'], 5, soon())
    expect(long.stdout.length).toBe(16_384)
    await expect(node.runtime.execSync(pod.container, ['sleep', '9'], 1, soon())).rejects.toMatchObject({
      code: 'timeout',
    })
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('streams a command: input with its end, both outputs, exit code', async () => {
    const pod = await aRunningPod(node, forever)
    const command = ['sh', '-c', 'sort; echo sorted >&2; exit 5']
    const session = await node.runtime.exec(pod.container, { ...streams, stdin: true, command }, soon())
    const texts = Promise.all([textOf(session.stdout), textOf(session.stderr)])
    session.stdin?.end('b\na\n')
    expect(await session.exited).toBe(5)
    expect(await texts).toEqual(['a\nb\n', 'sorted\n'])

    const missing = await node.runtime.exec(pod.container, { ...streams, command: ['nope'] }, soon())
    await expect(missing.exited).rejects.toThrow('executable file not found')
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('carries ten megabytes through a command unchanged', async () => {
    const pod = await aRunningPod(node, forever)
    const session = await node.runtime.exec(
      pod.container,
      { ...streams, stdin: true, command: ['cat'] },
      soon(),
    )
    const block = Buffer.alloc(64 * 1024, 'outrigger')
    const sum = textOf(session.stdout)
    void (async () => {
      for (let index = 0; index < 160; index++) {
        if (session.stdin?.write(block) === false)
          await new Promise((resolve) => session.stdin?.once('drain', resolve))
      }
      session.stdin?.end()
    })()
    const [text, code] = [await sum, await session.exited]
    expect([text.length, code]).toEqual([160 * block.length, 0])
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('gives a command a terminal of the size asked for', async () => {
    const pod = await aRunningPod(node, forever)
    const session = await node.runtime.exec(
      pod.container,
      { tty: true, stdin: true, stdout: true, stderr: true, command: ['sh'] },
      soon(),
    )
    expect(session.stderr).toBeUndefined()
    session.resize(100, 40)
    session.stdin?.write('sleep 0.2; stty size; exit 4\n')
    expect(await textOf(session.stdout)).toContain('40 100')
    expect(await session.exited).toBe(4)
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('attaches to the running process', async () => {
    const pod = await aRunningPod(node, ['sh', '-c', 'while read x; do echo "got $x"; done'], {
      stdin: true,
      stdinOnce: true,
    })
    const session = await node.runtime.attach(pod.container, { ...streams, stdin: true }, soon())
    const text = textOf(session.stdout)
    session.stdin?.end('one\n')
    expect(await text).toBe('got one\n')
    expect(await session.exited).toBe(0)
    await eventually('the end', async () =>
      (await stateOf(node, pod.container))?.state === 'exited' ? true : undefined,
    )
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('forwards a port, also several at once, and says when nobody listens', async () => {
    const pod = await aRunningPod(node, ['nc', '-ll', '-p', '7000', '-e', 'cat'])
    await eventually('the listener', async () => {
      const stream = connect(7000, pod.ip)
      return new Promise<true | undefined>((resolve) => {
        stream.once('connect', () => resolve(true))
        stream.once('error', () => resolve(undefined))
      }).finally(() => stream.destroy())
    })
    const answers = await Promise.all(
      ['a', 'b', 'c'].map(async (word) => {
        const stream = await node.runtime.portForward(pod.sandbox, 7000, soon())
        stream.end(word.repeat(100_000))
        return (await textOf(stream)) === word.repeat(100_000)
      }),
    )
    expect(answers).toEqual([true, true, true])
    await expect(node.runtime.portForward(pod.sandbox, 7001, soon())).rejects.toThrow('connection refused')
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('reports that a container ended, and the list already says so', async () => {
    const controller = new AbortController()
    const pod = await aRunningPod(node, ['sleep', '0.5'])
    for await (const uid of node.runtime.changes(controller.signal)) {
      if (uid !== pod.spec.pod.uid) continue
      if ((await stateOf(node, pod.container))?.state === 'exited') break
    }
    const state = await stateOf(node, pod.container)
    expect(clock.now() - (state?.finishedAt ?? 0)).toBeLessThan(2000)
    controller.abort()
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('measures what containers use and applies new limits', async () => {
    const pod = await aRunningPod(node, ['sh', '-c', 'while true; do :; done'])
    const usage = await eventually('a figure', async () => {
      const found = (await node.runtime.stats?.(soon()))?.get(pod.container)
      return found !== undefined && found.cpuNanoseconds > 0 ? found : undefined
    })
    expect(usage.memoryWorkingSet).toBeGreaterThan(0)
    const resources = {
      cpuRequestMillis: 100,
      cpuLimitMillis: 200,
      memoryLimit: 32 << 20,
      oomScoreAdjust: 1000,
    }
    await node.runtime.updateResources?.(pod.container, resources, soon())
    const limit = await node.runtime.execSync(
      pod.container,
      ['sh', '-c', 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max'],
      5,
      soon(),
    )
    expect(Number(limit.stdout.toString())).toBe(32 << 20)
    await node.runtime.removeSandbox(pod.sandbox, soon())
  })

  test('runs twenty pods at once and leaves no cgroup behind', async () => {
    const begin = clock.monotonic()
    const pods = await Promise.all(Array.from({ length: 20 }, () => aRunningPod(node, forever)))
    const started = Math.round(clock.monotonic() - begin)
    expect(new Set(pods.map(({ ip }) => ip)).size).toBe(20)
    expect((await node.runtime.list(soon())).filter(({ isReady }) => isReady)).toHaveLength(20)
    await Promise.all(pods.map(({ sandbox }) => node.runtime.removeSandbox(sandbox, soon())))
    process.stderr.write(
      `twenty pods: started in ${started} ms, all gone after ${Math.round(clock.monotonic() - begin)} ms\n`,
    )
    expect(await node.runtime.list(soon())).toEqual([])
    const folders = await podFolders('node-1')
    // Another cluster on this machine may have a node of that name.
    expect(folders.filter((folder) => pods.some(({ spec }) => folder.includes(spec.pod.uid)))).toEqual([])
  })

  test('gives pods the network, names and shared processes they ask for', async () => {
    const { runtime, files } = node
    const dns = { servers: ['10.0.0.10'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] }
    const portMappings = [{ protocol: 'TCP', containerPort: 7000, hostPort: 17_731, hostIp: '' }] as const
    const shared = await runtime.createSandbox(
      aSandbox(files, { dns, portMappings, hostname: 'named', sharesProcessNamespace: true }),
      soon(),
    )
    const id = await runtime.createContainer(
      shared.id,
      aContainer(['nc', '-ll', '-p', '7000', '-e', 'hostname']),
      soon(),
    )
    await runtime.startContainer(id, soon())
    const run = async (command: string) =>
      (await runtime.execSync(id, ['sh', '-c', command], 5, soon())).stdout.toString()
    expect(await run('cat /etc/resolv.conf')).toBe(
      'search default.svc.cluster.local\nnameserver 10.0.0.10\noptions ndots:5\n',
    )
    await eventually('an answer on the port of the machine', async () => {
      const text = await textOf(connect(17_731, hostAddress())).catch(() => '')
      return text === 'named\n' ? true : undefined
    })
    await run('(sleep 0.1 &) ; true')
    await clock.sleep(300)
    const processes = await run('ps -o pid,stat,args')
    expect(processes).toMatch(/^ +1 S +\/pause$/m)
    // The orphan was buried by whoever is process 1; children of nc are its own affair.
    expect(processes).not.toMatch(/ Z +\[sleep\]/)

    const host = await runtime.createSandbox(
      aSandbox(files, { usesHostNetwork: true, usesHostPid: true }),
      soon(),
    )
    expect(host.ips).toEqual([])
    const onHost = await runtime.createContainer(host.id, aContainer(forever), soon())
    await runtime.startContainer(onHost, soon())
    const seen = await runtime.execSync(
      onHost,
      ['sh', '-c', 'hostname; ps | wc -l; ls /sys/class/net'],
      5,
      soon(),
    )
    expect(seen.stdout.toString().split('\n')[0]).toBe(hostname())
    expect(seen.stdout.toString()).toContain(node.containerd.bridge)
    await Promise.all([shared.id, host.id].map((sandbox) => runtime.removeSandbox(sandbox, soon())))
  })

  test('applies what a container may do', async () => {
    const { runtime, files } = node
    const sandbox = await runtime.createSandbox(aSandbox(files), soon())
    const strict = aContainer(['sleep', '60'], {
      mounts: [{ source: '/etc/hostname', target: '/data/name', isReadOnly: true, propagation: 'None' }],
      workingDirectory: '/tmp',
      environment: [{ name: 'TEXT', value: 'a b=ü' }],
      security: {
        ...aContainer([]).security,
        runAsUser: 1234,
        runAsGroup: 5678,
        supplementalGroups: [42],
        isReadOnlyRoot: true,
        dropCapabilities: ['ALL'],
        addCapabilities: ['NET_BIND_SERVICE'],
        forbidsNewPrivileges: true,
      },
    })
    const id = await runtime.createContainer(sandbox.id, strict, soon())
    await runtime.startContainer(id, soon())
    const command =
      'pwd; echo $TEXT; id -u; id -G; touch /x 2>&1; echo y 2>&1 > /data/name; grep -E "CapPrm|NoNewPrivs|Seccomp:" /proc/self/status; cat /data/name'
    const seen = await runtime.execSync(id, ['sh', '-c', `(${command}) 2>&1`], 5, soon())
    expect(seen.stdout.toString()).toBe(
      [
        '/tmp',
        'a b=ü',
        '1234',
        '5678 42',
        'touch: /x: Read-only file system',
        "sh: can't create /data/name: Read-only file system",
        // Without root the permitted set is empty, though the bounding set has the one added.
        'CapPrm:\t0000000000000000',
        'NoNewPrivs:\t1',
        'Seccomp:\t2',
        `${hostname()}\n`,
      ].join('\n'),
    )
    await runtime.removeSandbox(sandbox.id, soon())
  })

  test('does not show pods of another node on the same runtime', async () => {
    const { createCriRuntime } = await import('@outrigger/runtime-cri')
    const { silentLogger } = await import('@outrigger/foundation')
    const pod = await aRunningPod(node, forever)
    const other = createCriRuntime({
      endpoint: node.containerd.endpoint,
      nodeName: 'node-2',
      files: node.files,
      clock,
      logger: silentLogger,
    })
    expect(await other.list(soon())).toEqual([])
    await other.close()
    const restarted = createCriRuntime({
      endpoint: node.containerd.endpoint,
      nodeName: 'node-1',
      files: node.files,
      clock,
      logger: silentLogger,
    })
    const second = await restarted.createContainer(
      pod.sandbox,
      aContainer(forever, { name: 'second' }),
      soon(),
    )
    await restarted.startContainer(second, soon())
    expect((await restarted.list(soon()))[0]?.containers.map(({ name }) => name)).toEqual(['main', 'second'])
    await restarted.removeSandbox(pod.sandbox, soon())
    await restarted.close()
  })
})

async function podFolders(nodeName: string): Promise<string[]> {
  const found: string[] = []
  for (const controller of ['', ...(await readdir('/sys/fs/cgroup'))]) {
    for (const qos of ['burstable', 'besteffort', '']) {
      const names = await readdir(`/sys/fs/cgroup/${controller}/outrigger/${nodeName}/${qos}`).catch(
        (): string[] => [],
      )
      found.push(...names.filter((name) => name.startsWith('pod')))
    }
  }
  return found
}

/** An address of this machine that is not the loopback: host ports are not translated there. */
function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}
