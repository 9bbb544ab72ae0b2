import type { Duplex, Readable } from 'node:stream'
import { PassThrough } from 'node:stream'
import { type Clock, messageOf, type Random } from '@outrigger/foundation'
import {
  type ContainerResources,
  type ContainerSpec,
  type ExecOutcome,
  type ExecSession,
  type ImageState,
  type MachineFacts,
  type PodRuntime,
  type RegistryCredentials,
  RuntimeError,
  type RuntimeHealth,
  type SandboxSpec,
  type SandboxState,
  type StreamRequest,
} from '@outrigger/kubelet/runtime'
import { type BehaviorRule, behaviorOf } from './behavior.ts'
import { ContainerFiles, type MountedEntry } from './container-files.ts'
import { imageOf, normalizeImage } from './image-name.ts'
import { LogWriter } from './log-writer.ts'
import { MemoryPodFiles } from './memory-pod-files.ts'
import { createFolder, find } from './memory-tree.ts'
import { PodNetwork } from './pod-network.ts'
import { Collector, emptySource, Pipe } from './shell/pipe.ts'
import { SimContainer } from './sim-container.ts'

export interface SimRuntimeOptions {
  readonly clock: Clock
  readonly random: Random
  /** How containers behave; the first rule that fits counts. A pod's annotations win. */
  readonly behaviors?: readonly BehaviorRule[]
  /** Milliseconds a pull takes. Defaults to 100. */
  readonly pullDelay?: number
  /** Milliseconds a sandbox takes to be made. Defaults to 0. */
  readonly sandboxDelay?: number
  /** Images that cannot be pulled. Defaults to names with `no-such` or `missing` in their tag. */
  readonly unpullable?: readonly RegExp[]
  /** Images that are there from the beginning. */
  readonly images?: readonly string[]
  /** Opens the HTTP ports of pods on their loopback addresses, so that `curl` reaches them. Defaults to false. */
  readonly listensOnLoopback?: boolean
  /** Which of 64 ranges of loopback addresses pods get; nodes of one machine need different ones. Defaults to 0. */
  readonly addressBlock?: number
}

interface SimSandbox {
  readonly id: string
  readonly spec: SandboxSpec
  readonly createdAt: number
  readonly address: string
  readonly containers: Map<string, SimContainer>
  isReady: boolean
}

/** A simulated runtime and the few things a test may do to it from outside. */
export interface SimRuntime extends PodRuntime {
  readonly files: MemoryPodFiles
  /** Ends a container as the kernel would: by default killed for its memory. */
  endContainer(id: string, exitCode?: number): void
  /** Ends every container and whatever it does; a program that uses the runtime can end then. Repeatable. */
  close(): Promise<void>
  /** From now on the runtime is down, with this message; undefined brings it back. */
  setFailure(message: string | undefined): void
}

/**
 * Plays pods on a clock: containers, images, logs and files in memory, none of it real.
 *
 * Guarantees: passes the contract of `PodRuntime`; a container that only waits costs no timer.
 */
export function createSimRuntime(options: SimRuntimeOptions): SimRuntime {
  return new MemoryRuntime(options)
}

const unpullableByDefault = [/:[^/]*(no-such|missing)/]

class MemoryRuntime implements SimRuntime {
  readonly files = new MemoryPodFiles()
  readonly #options: SimRuntimeOptions
  readonly #network: PodNetwork
  readonly #sandboxes = new Map<string, SimSandbox>()
  readonly #byPod = new Map<string, Set<SimSandbox>>()
  readonly #containers = new Map<string, { readonly container: SimContainer; readonly sandbox: SimSandbox }>()
  readonly #images = new Map<string, ImageState>()
  readonly #watchers = new Set<(podUid: string) => void>()
  #failure: string | undefined

  constructor(options: SimRuntimeOptions) {
    this.#options = options
    this.#network = new PodNetwork({
      listensOnLoopback: options.listensOnLoopback ?? false,
      block: options.addressBlock ?? 0,
    })
    for (const image of options.images ?? []) {
      const name = normalizeImage(image)
      this.#images.set(name, imageOf(name))
    }
  }

  async version(): Promise<string> {
    return 'sim://1.0.0'
  }

  /** No container runs on any machine, so there is none to identify. */
  async machine(): Promise<MachineFacts> {
    return {
      machineId: '',
      systemUuid: '',
      bootId: '',
      kernelVersion: 'simulated',
      osImage: 'Simulated containers',
    }
  }

  async health(): Promise<RuntimeHealth> {
    return this.#failure === undefined
      ? { isReady: true, message: '' }
      : { isReady: false, message: this.#failure }
  }

  setFailure(message: string | undefined): void {
    this.#failure = message
  }

  endContainer(id: string, exitCode = 137): void {
    this.#containers.get(id)?.container.kill(exitCode)
  }

  async list(signal: AbortSignal, podUid?: string): Promise<readonly SandboxState[]> {
    this.#check(signal)
    const wanted = podUid === undefined ? this.#sandboxes.values() : (this.#byPod.get(podUid) ?? [])
    return [...wanted].map(stateOf)
  }

  async *changes(signal: AbortSignal): AsyncIterable<string> {
    const changed = new Set<string>()
    let wake = () => {}
    const watcher = (uid: string) => {
      changed.add(uid)
      wake()
    }
    this.#watchers.add(watcher)
    const onAbort = () => wake()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      while (!signal.aborted) {
        for (const uid of changed) {
          changed.delete(uid)
          yield uid
        }
        if (changed.size === 0 && !signal.aborted) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      this.#watchers.delete(watcher)
      signal.removeEventListener('abort', onAbort)
    }
  }

  async createSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<SandboxState> {
    this.#check(signal)
    if (this.#options.sandboxDelay) await this.#options.clock.sleep(this.#options.sandboxDelay, signal)
    const sandbox: SimSandbox = {
      id: this.#id(),
      spec,
      createdAt: this.#options.clock.now(),
      address: this.#network.allocate(),
      containers: new Map(),
      isReady: true,
    }
    this.#sandboxes.set(sandbox.id, sandbox)
    const ofPod = this.#byPod.get(spec.pod.uid)
    if (ofPod === undefined) this.#byPod.set(spec.pod.uid, new Set([sandbox]))
    else ofPod.add(sandbox)
    this.#tell(spec.pod.uid)
    return stateOf(sandbox)
  }

  async stopSandbox(id: string, signal: AbortSignal): Promise<void> {
    this.#check(signal)
    const sandbox = this.#sandboxes.get(id)
    if (sandbox === undefined || !sandbox.isReady) return
    const running = [...sandbox.containers.values()].filter((container) => container.isRunning)
    for (const container of running) container.kill(137)
    await Promise.all(running.map((container) => container.ended))
    sandbox.isReady = false
    this.#network.release(sandbox.address)
    this.#tell(sandbox.spec.pod.uid)
  }

  async removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    const sandbox = this.#sandboxes.get(id)
    if (sandbox === undefined) return
    await this.stopSandbox(id, signal)
    for (const container of sandbox.containers.keys()) this.#containers.delete(container)
    this.#sandboxes.delete(id)
    const ofPod = this.#byPod.get(sandbox.spec.pod.uid)
    ofPod?.delete(sandbox)
    if (ofPod?.size === 0) this.#byPod.delete(sandbox.spec.pod.uid)
    this.#tell(sandbox.spec.pod.uid)
  }

  async createContainer(sandboxId: string, spec: ContainerSpec, signal: AbortSignal): Promise<string> {
    this.#check(signal)
    const sandbox = this.#sandboxes.get(sandboxId)
    if (sandbox === undefined || !sandbox.isReady) {
      throw new RuntimeError('not-found', `sandbox ${sandboxId} is not ready`)
    }
    const same = [...sandbox.containers.values()].find(
      (each) => each.spec.name === spec.name && each.spec.attempt === spec.attempt,
    )
    if (same !== undefined) {
      throw new RuntimeError(
        'create-failed',
        `name "${spec.name}_${spec.attempt}" is reserved for "${same.id}"`,
      )
    }
    const name = normalizeImage(spec.image)
    const image = this.#images.get(name)
    if (image === undefined) throw new RuntimeError('image-not-present', `image "${spec.image}": not found`)
    const container = this.#makeContainer(sandbox, spec, name, image)
    if (spec.stdin) container.stdin = new Pipe()
    sandbox.containers.set(container.id, container)
    this.#containers.set(container.id, { container, sandbox })
    this.#tell(sandbox.spec.pod.uid)
    return container.id
  }

  #makeContainer(sandbox: SimSandbox, spec: ContainerSpec, name: string, image: ImageState): SimContainer {
    const { clock, behaviors = [] } = this.#options
    const logPath = `${sandbox.spec.logDirectory}/${spec.logPath}`
    const tag = name.replace(/@.*$/, '').split(':').at(-1) ?? 'latest'
    const base = new Map([
      ['/etc/hostname', `${sandbox.spec.hostname}\n`],
      ['/etc/image-version', `${tag}\n`],
    ])
    return new SimContainer({
      id: this.#id(),
      spec,
      sandbox: sandbox.spec,
      address: sandbox.address,
      image: name,
      imageRef: image.digests[0] ?? image.id,
      behavior: behaviorOf(spec.name, spec.image, sandbox.spec.annotations, behaviors),
      files: new ContainerFiles(this.#mounts(spec), base, spec.security.isReadOnlyRoot),
      log: new LogWriter(clock, () => this.files.ensureFile(logPath, 0o640)),
      network: this.#network,
      clock,
      onChange: () => this.#tell(sandbox.spec.pod.uid),
    })
  }

  /** What a path means now is mounted; when the path comes to mean something else, the mount stays. */
  #mounts(spec: ContainerSpec): MountedEntry[] {
    return spec.mounts.map((mount) => {
      const entry = find(this.files.root, mount.source) ?? this.#makeSource(mount.source)
      return { target: mount.target.replace(/\/+$/, '') || '/', entry, isReadOnly: mount.isReadOnly }
    })
  }

  /** Host paths exist only as far as pods mount them. */
  #makeSource(path: string) {
    void this.files.makeDirectory(path, 0o755)
    return find(this.files.root, path) ?? createFolder()
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    this.#check(signal)
    this.#get(id).start()
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const container = this.#containers.get(id)?.container
    if (container === undefined) return
    signal.throwIfAborted()
    await orAbort(container.stop(graceSeconds), signal)
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    const known = this.#containers.get(id)
    if (known === undefined) return
    this.#check(signal)
    if (known.container.isRunning) {
      known.container.kill(137)
      await known.container.ended
    }
    this.#containers.delete(id)
    known.sandbox.containers.delete(id)
    this.#tell(known.sandbox.spec.pod.uid)
  }

  /** Limits mean nothing here; that the container exists is checked all the same. */
  async updateResources(id: string, _resources: ContainerResources, signal: AbortSignal): Promise<void> {
    this.#check(signal)
    this.#get(id)
  }

  async reopenLog(id: string, signal: AbortSignal): Promise<void> {
    this.#check(signal)
    this.#get(id).log.reopen()
  }

  async imageStatus(image: string, signal: AbortSignal): Promise<ImageState | undefined> {
    this.#check(signal)
    return this.#images.get(normalizeImage(image))
  }

  async pullImage(
    image: string,
    _credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<ImageState> {
    this.#check(signal)
    const name = normalizeImage(image)
    const { clock, pullDelay = 100, unpullable = unpullableByDefault } = this.#options
    if (pullDelay > 0) await clock.sleep(pullDelay, signal)
    if (unpullable.some((pattern) => pattern.test(name))) {
      throw new RuntimeError(
        'image-pull-failed',
        `rpc error: code = NotFound desc = failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
      )
    }
    const state = imageOf(name)
    this.#images.set(name, state)
    return state
  }

  async listImages(signal: AbortSignal): Promise<readonly ImageState[]> {
    this.#check(signal)
    return [...this.#images.values()]
  }

  async removeImage(image: string, signal: AbortSignal): Promise<void> {
    this.#check(signal)
    this.#images.delete(normalizeImage(image))
  }

  async execSync(
    id: string,
    command: readonly string[],
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<ExecOutcome> {
    this.#check(signal)
    const container = this.#get(id)
    const stdout = new Collector()
    const stderr = new Collector()
    const stop = new AbortController()
    const onAbort = () => stop.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const cancel =
      timeoutSeconds > 0
        ? this.#options.clock.after(timeoutSeconds * 1000, () =>
            stop.abort(new RuntimeError('timeout', `command timed out after ${timeoutSeconds}s`)),
          )
        : () => {}
    try {
      const work = container.exec(command, { stdin: emptySource, stdout, stderr }, stop.signal)
      const exitCode = await orAbort(work, stop.signal)
      const keep = (bytes: Buffer) => bytes.subarray(0, 16 * 1024)
      return { exitCode, stdout: keep(stdout.bytes), stderr: keep(stderr.bytes) }
    } finally {
      cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }

  async exec(
    id: string,
    request: StreamRequest & { readonly command: readonly string[] },
    signal: AbortSignal,
  ): Promise<ExecSession> {
    this.#check(signal)
    const container = this.#get(id)
    const stdin = new Pipe()
    const stdout = outputStream(request.stdout)
    const stderr = request.tty ? undefined : outputStream(request.stderr)
    const stop = new AbortController()
    const io = {
      stdin: request.stdin ? stdin : emptySource,
      stdout: { write: (data: Buffer) => feed(stdout, data) },
      stderr: { write: (data: Buffer) => feed(request.tty ? stdout : stderr, data) },
    }
    const exited = container.exec(request.command, io, stop.signal).catch((error: unknown) => {
      if (error instanceof RuntimeError) throw error
      throw new RuntimeError('unknown', messageOf(error))
    })
    const finish = () => {
      stdout?.end()
      stderr?.end()
    }
    exited.then(finish, finish)
    signal.addEventListener(
      'abort',
      () => stop.abort(new RuntimeError('timeout', 'the command was given up')),
      {
        once: true,
      },
    )
    return {
      stdin: request.stdin ? inputStream(stdin) : undefined,
      stdout,
      stderr,
      resize() {},
      exited,
      close: () => {
        stop.abort(new RuntimeError('timeout', 'the command was given up'))
        finish()
      },
    }
  }

  async attach(id: string, request: StreamRequest, signal: AbortSignal): Promise<ExecSession> {
    this.#check(signal)
    const container = this.#get(id)
    if (!container.isRunning) throw new RuntimeError('not-found', `container ${id} is not running`)
    const stdout = outputStream(request.stdout)
    const stderr = request.tty ? undefined : outputStream(request.stderr)
    const stop = container.follow((stream, data) => {
      const target = stream === 'stdout' || request.tty ? stdout : stderr
      if (target !== undefined && !target.writableEnded) target.write(data)
    })
    let close = () => {}
    const closed = new Promise<void>((resolve) => {
      close = resolve
    })
    signal.addEventListener('abort', () => close(), { once: true })
    const exited = Promise.race([container.ended, closed]).then(() => {
      stop()
      stdout?.end()
      stderr?.end()
      return 0
    })
    const input = container.stdin
    return {
      stdin: request.stdin && input !== undefined ? inputStream(input, container.spec.stdinOnce) : undefined,
      stdout,
      stderr,
      resize() {},
      exited,
      close: () => close(),
    }
  }

  async portForward(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex> {
    this.#check(signal)
    const sandbox = this.#sandboxes.get(sandboxId)
    if (sandbox === undefined) throw new RuntimeError('not-found', `sandbox ${sandboxId} not found`)
    try {
      return this.#network.connect(sandbox.address, port)
    } catch (error) {
      throw new RuntimeError(
        'not-found',
        `failed to connect to localhost:${port} inside namespace "${sandboxId}", IPv4: dial tcp4 127.0.0.1:${port}: connect: connection refused`,
        { cause: error },
      )
    }
  }

  async close(): Promise<void> {
    const containers = [...this.#containers.values()].map(({ container }) => container)
    for (const container of containers) container.kill(137)
    await Promise.all(containers.map((container) => container.ended))
  }

  async dial(sandboxId: string, host: string, port: number, signal: AbortSignal): Promise<Duplex> {
    this.#check(signal)
    const own = this.#sandboxes.get(sandboxId)?.address
    const isLocal = host === 'localhost' || host === '127.0.0.1' || host === ''
    return this.#network.connect(isLocal && own !== undefined ? own : host, port)
  }

  #get(id: string): SimContainer {
    const known = this.#containers.get(id)
    if (known === undefined) throw new RuntimeError('not-found', `container ${id} not found`)
    return known.container
  }

  #check(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (this.#failure !== undefined) throw new RuntimeError('unavailable', this.#failure)
  }

  #tell(podUid: string): void {
    for (const watcher of this.#watchers) watcher(podUid)
  }

  #id(): string {
    return Buffer.from(this.#options.random.bytes(32)).toString('hex')
  }
}

function stateOf(sandbox: SimSandbox): SandboxState {
  return {
    id: sandbox.id,
    pod: sandbox.spec.pod,
    attempt: sandbox.spec.attempt,
    isReady: sandbox.isReady,
    createdAt: sandbox.createdAt,
    ips: sandbox.isReady ? [sandbox.address] : [],
    containers: [...sandbox.containers.values()].map((container) => container.state),
    annotations: sandbox.spec.annotations,
  }
}

/** The outcome of the work, unless the signal aborts first. */
async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function outputStream(isWanted: boolean): PassThrough | undefined {
  return isWanted ? new PassThrough() : undefined
}

async function feed(stream: PassThrough | undefined, data: Buffer): Promise<void> {
  if (stream === undefined || stream.writableEnded || stream.destroyed) return
  if (stream.write(data)) return
  await new Promise<void>((resolve) => {
    stream.once('drain', resolve)
    stream.once('close', resolve)
  })
}

/** Bytes from outside into a process. `endsInput`: its end is the end of the process' input. */
function inputStream(pipe: Pipe, endsInput = true): PassThrough {
  const stream = new PassThrough()
  const copy = async (from: Readable) => {
    for await (const chunk of from as AsyncIterable<Buffer>) await pipe.write(chunk)
  }
  const finish = () => {
    if (endsInput) pipe.end()
  }
  copy(stream).then(finish, finish)
  return stream
}
