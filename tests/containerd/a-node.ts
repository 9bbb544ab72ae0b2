import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import { type ContainerSpec, DiskPodFiles, type PodFiles, type SandboxSpec } from '@outrigger/kubelet/runtime'
import {
  busyboxImage,
  type Containerd,
  type CriRuntime,
  createCriRuntime,
  findBinaries,
  importImage,
  readBusybox,
  startContainerd,
  systemPath,
} from '@outrigger/runtime-cri'

export const clock = new SystemClock()
/** The image the tests run, made from this machine's busybox. */
export const image = 'docker.io/library/busybox:1.36'

/** Why real containers cannot be run here; undefined when they can. Printed once by each file that skips. */
export async function whyNot(): Promise<string | undefined> {
  try {
    if (process.platform !== 'linux') return 'not Linux'
    if (userInfo().uid !== 0) return 'not root'
    await findBinaries({ path: systemPath })
    await readBusybox(systemPath)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** `whyNot`, said aloud. */
export async function mustSkip(file: string): Promise<boolean> {
  const reason = await whyNot()
  if (reason !== undefined) process.stderr.write(`${file} is skipped: ${reason}\n`)
  return reason !== undefined
}

export interface Node {
  readonly directory: string
  readonly containerd: Containerd
  readonly runtime: CriRuntime
  readonly files: PodFiles
  readonly imageId: string
  /** Ends everything and leaves nothing behind. */
  remove(): Promise<void>
}

/** A containerd in a folder of its own, with the test image, and a runtime over it. */
export async function aNode(nodeName = 'node-1'): Promise<Node> {
  const directory = await mkdtemp(join(tmpdir(), 'outrigger-containerd-'))
  const containerd = await startContainerd({ directory, clock, logger: silentLogger })
  const files = new DiskPodFiles({ root: join(directory, 'kubelet') })
  const runtime = createCriRuntime({
    endpoint: containerd.endpoint,
    nodeName,
    files,
    clock,
    logger: silentLogger,
  })
  const isPresent = async () => (await runtime.imageStatus(image, soon())) !== undefined
  await importImage(busyboxImage(image, await readBusybox(systemPath)), {
    ctr: containerd.binaries.ctr,
    socket: containerd.socket,
    clock,
    isPresent,
  })
  return {
    directory,
    containerd,
    runtime,
    files,
    imageId: (await runtime.imageStatus(image, soon()))?.id ?? '',
    remove: async () => {
      await runtime.close()
      await containerd.stop('remove everything')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A signal for calls that have to be quick. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

let pods = 0

export function aSandbox(files: PodFiles, changes: Partial<SandboxSpec> = {}): SandboxSpec {
  pods++
  const uid = `00000000-0000-4000-8000-${String(pods).padStart(12, '0')}`
  const pod = { name: `pod-${pods}`, namespace: 'default', uid }
  return {
    pod,
    attempt: 0,
    hostname: pod.name,
    labels: { app: 'test' },
    annotations: { note: 'kept' },
    logDirectory: files.logDirectory(pod),
    portMappings: [],
    usesHostNetwork: false,
    usesHostPid: false,
    usesHostIpc: false,
    sharesProcessNamespace: false,
    isPrivileged: false,
    sysctls: {},
    qosClass: 'Burstable',
    supplementalGroups: [],
    ...changes,
  }
}

export function aContainer(command: readonly string[], changes: Partial<ContainerSpec> = {}): ContainerSpec {
  const name = changes.name ?? 'main'
  return {
    name,
    attempt: 0,
    image,
    imageId: '',
    command,
    args: [],
    environment: [],
    mounts: [],
    labels: {},
    annotations: {},
    logPath: `${name}/0.log`,
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: { cpuRequestMillis: 10, cpuLimitMillis: 0, memoryLimit: 0, oomScoreAdjust: 1000 },
    security: {
      isPrivileged: false,
      supplementalGroups: [],
      isReadOnlyRoot: false,
      addCapabilities: [],
      dropCapabilities: [],
      forbidsNewPrivileges: false,
      maskedPaths: [],
      readonlyPaths: [],
      seccomp: 'RuntimeDefault',
    },
    ...changes,
  }
}

/** A sandbox with one running container. */
export async function aRunningPod(
  { runtime, files }: Node,
  command: readonly string[],
  changes: Partial<ContainerSpec> = {},
): Promise<{
  readonly sandbox: string
  readonly container: string
  readonly spec: SandboxSpec
  readonly ip: string
}> {
  const spec = aSandbox(files)
  const sandbox = await runtime.createSandbox(spec, soon())
  const container = await runtime.createContainer(sandbox.id, aContainer(command, changes), soon())
  await runtime.startContainer(container, soon())
  return { sandbox: sandbox.id, container, spec, ip: sandbox.ips[0] ?? '' }
}

/** Asks again and again until the answer is not undefined. Fails with `what` after ten seconds. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const begin = clock.monotonic()
  while (clock.monotonic() - begin < 10_000) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await clock.sleep(20)
  }
  throw new Error(`did not happen within 10 s: ${what}`)
}

/** The state of a container as the runtime lists it. */
export async function stateOf({ runtime }: Node, container: string) {
  const sandboxes = await runtime.list(soon())
  return sandboxes.flatMap((sandbox) => sandbox.containers).find(({ id }) => id === container)
}

/** Collects a stream as text. */
export function textOf(stream: AsyncIterable<unknown> | undefined): Promise<string> {
  return (async () => {
    let text = ''
    for await (const chunk of stream ?? []) text += String(chunk)
    return text
  })()
}
