import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ContainerSpec, ContainerState, PodRuntime, SandboxSpec } from './runtime.ts'

/** A runtime to hold against the contract, and how to end it. */
export interface RuntimeUnderTest {
  readonly runtime: PodRuntime
  /** An image with a busybox in it. */
  readonly image: string
  /** Lets time pass until `done` or some seconds are over: real time for a real runtime. */
  readonly wait: (done: () => Promise<boolean>) => Promise<void>
  readonly close: () => Promise<void>
}

/** What every `PodRuntime` promises. Call it inside a test file, once for each implementation. */
export function podRuntimeContract(name: string, makeRuntime: () => Promise<RuntimeUnderTest>): void {
  describe(`${name} as a PodRuntime`, () => {
    let subject: RuntimeUnderTest
    let runtime: PodRuntime
    const { signal } = new AbortController()
    const pod = { name: 'contract', namespace: 'demo', uid: 'c0ffee00-0000-4000-8000-000000000001' }
    beforeEach(async () => {
      subject = await makeRuntime()
      runtime = subject.runtime
      await runtime.files.makeDirectory(runtime.files.logDirectory(pod), 0o755)
    })
    afterEach(async () => {
      for (const sandbox of await runtime.list(signal)) await runtime.removeSandbox(sandbox.id, signal)
      await runtime.files.removePod(pod.uid)
      await subject.close()
    })
    const stateOf = async (id: string): Promise<ContainerState | undefined> =>
      (await runtime.list(signal, pod.uid))
        .flatMap(({ containers }) => containers)
        .find((each) => each.id === id)
    const begin = async (special: Partial<ContainerSpec> = {}) => {
      const image =
        (await runtime.imageStatus(subject.image, signal)) ??
        (await runtime.pullImage(subject.image, undefined, signal))
      const sandbox = await runtime.createSandbox(aSandbox(runtime, pod), signal)
      const id = await runtime.createContainer(
        sandbox.id,
        aContainerSpec(subject.image, image.id, special),
        signal,
      )
      return { sandbox, id }
    }
    const ended = (id: string) => subject.wait(async () => (await stateOf(id))?.state === 'exited')

    test('says that it is ready and who it is', async () => {
      expect(await runtime.health(signal)).toMatchObject({ isReady: true })
      expect(await runtime.version(signal)).toMatch(/^\w+:\/\//)
    })

    test('lists a container from made over running to ended, with its annotations', async () => {
      const { sandbox, id } = await begin({
        command: ['sh', '-c', 'sleep 1; exit 3'],
        annotations: { k: 'v' },
      })
      expect(await stateOf(id)).toMatchObject({
        name: 'main',
        attempt: 0,
        state: 'created',
        annotations: { k: 'v' },
      })
      await runtime.startContainer(id, signal)
      expect(await stateOf(id)).toMatchObject({ state: 'running' })
      await ended(id)
      expect(await stateOf(id)).toMatchObject({ state: 'exited', exitCode: 3, reason: 'Error' })
      expect((await runtime.list(signal))[0]).toMatchObject({
        id: sandbox.id,
        pod,
        isReady: true,
        attempt: 0,
      })
    })

    test('tells of changes until its signal aborts', async () => {
      const stop = new AbortController()
      const heard = (async () => {
        for await (const uid of runtime.changes(stop.signal)) if (uid === pod.uid) return uid
        return undefined
      })()
      const { id } = await begin({ command: ['true'] })
      await runtime.startContainer(id, signal)
      expect(await heard).toBe(pod.uid)
      stop.abort()
    })

    test('writes both streams to the log in the CRI format', async () => {
      const { id } = await begin({ command: ['sh', '-c', 'echo out; echo err >&2'] })
      await runtime.startContainer(id, signal)
      await ended(id)
      const log =
        (await runtime.files.read(`${runtime.files.logDirectory(pod)}/main/0.log`, 0))?.toString() ?? ''
      expect(log).toMatch(/^\S+T\S+ stdout F out$/m)
      expect(log).toMatch(/^\S+T\S+ stderr F err$/m)
    })

    test('asks a container to end, and lets it end in its own way', async () => {
      const { id } = await begin({
        command: ['sh', '-c', 'trap "exit 5" TERM; touch /tmp/set; while true; do sleep 0.2; done'],
      })
      await runtime.startContainer(id, signal)
      let isOver = false
      // The shell needs a moment to set its trap.
      await subject.wait(
        async () => (await runtime.execSync(id, ['test', '-f', '/tmp/set'], 5, signal)).exitCode === 0,
      )
      const stopped = runtime.stopContainer(id, 10, signal).then(() => {
        isOver = true
      })
      await subject.wait(async () => isOver)
      await stopped
      expect(await stateOf(id)).toMatchObject({ state: 'exited', exitCode: 5 })
    })

    test('kills a container that is deaf when its grace is over', async () => {
      const { id } = await begin({
        command: ['sh', '-c', 'trap "" TERM; touch /tmp/set; while true; do sleep 0.2; done'],
      })
      await runtime.startContainer(id, signal)
      await subject.wait(
        async () => (await runtime.execSync(id, ['test', '-f', '/tmp/set'], 5, signal)).exitCode === 0,
      )
      let isOver = false
      const stopped = runtime.stopContainer(id, 1, signal).then(() => {
        isOver = true
      })
      await subject.wait(async () => isOver)
      await stopped
      expect(await stateOf(id)).toMatchObject({ state: 'exited', exitCode: 137 })
      await runtime.stopContainer(id, 1, signal)
    })

    test('runs a command inside and hands back what it printed', async () => {
      const { id } = await begin()
      await runtime.startContainer(id, signal)
      const outcome = await runtime.execSync(id, ['sh', '-c', 'echo out; echo err >&2; exit 7'], 5, signal)
      expect(outcome.exitCode).toBe(7)
      expect(outcome.stdout.toString()).toBe('out\n')
      expect(outcome.stderr.toString()).toBe('err\n')
    })

    test('streams a command until its input ends', async () => {
      const { id } = await begin()
      await runtime.startContainer(id, signal)
      const session = await runtime.exec(
        id,
        { command: ['cat'], tty: false, stdin: true, stdout: true, stderr: true },
        signal,
      )
      const chunks: Buffer[] = []
      session.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
      const end = once(session.stdout!, 'end')
      session.stderr?.resume()
      session.stdin?.end('one\ntwo\n')
      expect(await session.exited).toBe(0)
      await end
      expect(Buffer.concat(chunks).toString()).toBe('one\ntwo\n')
    })

    test('mounts files so that a change of the volume reaches folders but not single files', async () => {
      const volume = `${runtime.files.podDirectory(pod.uid)}/volumes/v`
      const write = (text: string) =>
        runtime.files.writeAtomically(volume, new Map([['k', { content: Buffer.from(text), mode: 0o644 }]]))
      await write('one')
      const mount = { isReadOnly: true, propagation: 'None' as const }
      const { id } = await begin({
        mounts: [
          { source: volume, target: '/v', ...mount },
          { source: await runtime.files.resolveBelow(volume, 'k'), target: '/k', ...mount },
        ],
      })
      await runtime.startContainer(id, signal)
      expect(await write('two')).toBe(true)
      expect(await write('two')).toBe(false)
      const outcome = await runtime.execSync(id, ['cat', '/v/k', '/k'], 5, signal)
      expect(outcome.stdout.toString()).toBe('twoone')
    })

    test('says what is wrong with a program that is not there', async () => {
      const { id } = await begin({ command: ['/no/such/program'] })
      await expect(runtime.startContainer(id, signal)).rejects.toThrow('no such file or directory')
      await subject.wait(async () => (await stateOf(id))?.state !== 'running')
      expect((await stateOf(id))?.startedAt === 0 || (await stateOf(id))?.exitCode !== 0).toBe(true)
    })

    test('forgets what was removed, and does not mind being asked twice', async () => {
      const { sandbox, id } = await begin({ command: ['true'] })
      await runtime.startContainer(id, signal)
      await ended(id)
      await runtime.removeContainer(id, signal)
      await runtime.removeContainer(id, signal)
      expect(await stateOf(id)).toBeUndefined()
      for (let time = 0; time < 2; time++) {
        await runtime.stopSandbox(sandbox.id, signal)
        await runtime.removeSandbox(sandbox.id, signal)
      }
      expect(await runtime.list(signal)).toEqual([])
    })

    test('refuses a path that leads out of its volume', async () => {
      const volume = `${runtime.files.podDirectory(pod.uid)}/volumes/v`
      await runtime.files.makeDirectory(volume, 0o777)
      await expect(runtime.files.resolveBelow(volume, '../../other')).rejects.toThrow()
      await expect(
        runtime.files.writeAtomically(volume, new Map([['../x', { content: Buffer.alloc(0), mode: 0o644 }]])),
      ).rejects.toThrow()
    })
  })
}

function aSandbox(runtime: PodRuntime, pod: SandboxSpec['pod']): SandboxSpec {
  return {
    pod,
    attempt: 0,
    hostname: 'contract',
    labels: {},
    annotations: {},
    logDirectory: runtime.files.logDirectory(pod),
    portMappings: [],
    usesHostNetwork: false,
    usesHostPid: false,
    usesHostIpc: false,
    sharesProcessNamespace: false,
    isPrivileged: false,
    sysctls: {},
    qosClass: 'BestEffort',
    supplementalGroups: [],
  }
}

function aContainerSpec(image: string, imageId: string, special: Partial<ContainerSpec>): ContainerSpec {
  return {
    name: 'main',
    attempt: 0,
    image,
    imageId,
    command: ['sleep', '3600'],
    args: [],
    environment: [],
    mounts: [],
    labels: {},
    annotations: {},
    logPath: 'main/0.log',
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: { cpuRequestMillis: 0, cpuLimitMillis: 0, memoryLimit: 0, oomScoreAdjust: 0 },
    security: {
      isPrivileged: false,
      supplementalGroups: [],
      isReadOnlyRoot: false,
      addCapabilities: [],
      dropCapabilities: [],
      forbidsNewPrivileges: false,
      maskedPaths: [],
      readonlyPaths: [],
      seccomp: 'Unconfined',
    },
    ...special,
  }
}
