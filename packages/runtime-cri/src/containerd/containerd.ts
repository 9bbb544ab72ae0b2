import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { networkInterfaces, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { backoffDelay, type Clock, type Logger, messageOf, UserError } from '@outrigger/foundation'
import { CriChannel } from '../cri-channel.ts'
import { importImage } from '../image/import-image.ts'
import { pauseImage } from '../image/pause-image.ts'
import { type ContainerdBinaries, findBinaries, systemPath } from './binaries.ts'
import { configToml } from './config-toml.ts'
import { commandLine, hasShims, killShims, removeTraces, signalProcess } from './leftovers.ts'
import { type ContainerdPlaces, containerdPlaces } from './places.ts'
import { chooseSubnet, networkConfig, parseRoutes } from './pod-network.ts'

export interface ContainerdOptions {
  /** Data folder of the node; what containerd keeps lies in `<directory>/containerd`. */
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
  /** Folders to search for programs, before the usual ones. */
  readonly path?: readonly string[]
  /** Folders that may hold the CNI plugins. Defaults to `/usr/lib/cni` and `/opt/cni/bin`. */
  readonly cniPath?: readonly string[]
  /** Further variables for containerd: `HTTPS_PROXY` and the like, if pulling needs them. */
  readonly environment?: Readonly<Record<string, string>>
  /**
   * Folder with a `hosts.toml` per registry (mirrors, certificates). Defaults to `/etc/containerd/certs.d`
   * if that exists.
   */
  readonly registryConfig?: string
  /** Where sockets and mounts go. Defaults to `/run/outrigger`. */
  readonly runRoot?: string
  /** Gives the start up. Once started, only `stop` ends it. */
  readonly signal?: AbortSignal
}

/** What `stop` leaves. */
export type StopMode =
  /** containerd and all containers go on; the next start finds them. */
  | 'keep running'
  /** Containers are stopped and removed and containerd ends; images stay for the next start. */
  | 'stop pods'
  /** As before, and nothing stays: mounts, bridge, images, folders. */
  | 'remove everything'

/** A containerd of our own. */
export interface Containerd {
  /** For `createCriRuntime`: `unix:///run/outrigger/<hash>/containerd.sock`. */
  readonly endpoint: string
  readonly socket: string
  /** Name of the network bridge of its pods. */
  readonly bridge: string
  readonly binaries: ContainerdBinaries
  /** Its log: warnings and errors. */
  readonly logFile: string
  /** Whether it was running already. */
  readonly wasFound: boolean
  /** Milliseconds until containers could be run. */
  readonly readyAfter: number
  /** Process id now. Changes when it had to be started again. */
  readonly pid: number
  stop(mode: StopMode): Promise<void>
}

/** Image that holds a pod's namespaces open; made by us, in no registry. */
const sandboxImage = 'localhost/pause:1'
const readyDeadline = 30_000
/** These calls end by their time limits only. */
const never = new AbortController().signal
const logLimit = 8 * 1024 * 1024

/**
 * Starts a containerd that belongs to a data folder, or finds the one that is running already.
 *
 * Guarantees: resolves when containers can be run. It is a process of its own session, so containers and
 * their logs outlive this process; if it dies, it is started again, with growing pauses. Containers survive
 * that too. A start that fails or is given up leaves no process behind that was not there before.
 *
 * @throws UserError when not root, when a program is missing, or when it does not get ready in 30 s.
 */
export async function startContainerd(options: ContainerdOptions): Promise<Containerd> {
  if (userInfo().uid !== 0) {
    throw new UserError('cannot run containers: only root may', 'use sudo or the simulated runtime')
  }
  const binaries = await findBinaries({
    path: [...(options.path ?? []), ...systemPath],
    ...(options.cniPath && { cniPath: options.cniPath }),
  })
  const supervised = new SupervisedContainerd(options, binaries)
  await uninterrupted(() => supervised.start())
  return supervised
}

class SupervisedContainerd implements Containerd {
  readonly binaries: ContainerdBinaries
  readonly #options: ContainerdOptions
  readonly #places: ContainerdPlaces
  readonly #ending = new AbortController()
  #supervision: Promise<void> = Promise.resolve()
  #pid = 0
  wasFound = false
  readyAfter = 0

  constructor(options: ContainerdOptions, binaries: ContainerdBinaries) {
    this.#options = options
    this.binaries = binaries
    this.#places = containerdPlaces(resolve(options.directory), options.runRoot)
  }

  get endpoint(): string {
    return `unix://${this.#places.socket}`
  }

  get socket(): string {
    return this.#places.socket
  }

  get bridge(): string {
    return this.#places.bridge
  }

  get logFile(): string {
    return this.#places.log
  }

  get pid(): number {
    return this.#pid
  }

  async start(): Promise<void> {
    const { clock } = this.#options
    const begin = clock.monotonic()
    try {
      await this.#prepare()
      const running = await this.#findRunning()
      this.wasFound = running !== undefined
      this.#options.signal?.throwIfAborted()
      this.#pid = running ?? (await this.#spawn())
      await this.#waitUntilReady(this.#options.signal)
    } catch (error) {
      if (!this.wasFound) await this.#takeBack()
      throw error
    }
    this.readyAfter = Math.round(clock.monotonic() - begin)
    this.#supervision = this.#supervise(this.#ending.signal)
  }

  /** Ends what a start that failed has started. Containers of an earlier run go on, as does what they need. */
  async #takeBack(): Promise<void> {
    // A process id of 0 would mean our own group.
    if (this.#pid !== 0) await this.#endProcess()
    await rm(this.#places.pidFile, { force: true })
    if (!(await hasShims(this.#places.socket))) await removeTraces(this.#leftovers)
  }

  stop(mode: StopMode): Promise<void> {
    return uninterrupted(() => this.#stop(mode))
  }

  async #stop(mode: StopMode): Promise<void> {
    this.#ending.abort()
    await this.#supervision
    if (mode === 'keep running') return
    // Only containerd can take down what it set up in the network.
    if (!(await this.#isOurs(this.#pid))) this.#pid = await this.#spawn()
    await removeAllSandboxes(this.endpoint, this.#options).catch((error: unknown) =>
      this.#options.logger.warn('could not stop all pods through containerd', { error: messageOf(error) }),
    )
    await this.#endProcess()
    await killShims(this.#leftovers)
    await removeTraces(this.#leftovers)
    if (mode === 'remove everything') {
      await rm(join(this.#places.config, '..'), { recursive: true, force: true })
    }
  }

  get #leftovers() {
    return { places: this.#places, path: this.#searchPath, logger: this.#options.logger }
  }

  get #searchPath(): readonly string[] {
    return [...(this.#options.path ?? []), ...systemPath]
  }

  async #prepare(): Promise<void> {
    const places = this.#places
    for (const folder of [places.root, places.cniConfig, places.cniData, places.run]) {
      await mkdir(folder, { recursive: true, mode: 0o711 })
    }
    await this.#prepareNetwork()
    const text = configToml({
      places,
      cniBinaries: this.binaries.cni,
      sandboxImage,
      mayLowerOomScore: await mayLowerOomScore(),
      usesSystemdCgroups: await usesSystemdCgroups(),
      registryConfig:
        this.#options.registryConfig ?? ((await exists(systemRegistries)) ? systemRegistries : undefined),
    })
    await writeFile(places.config, text)
    await this.#limitLog()
  }

  /** containerd has its log open for appending, so cutting it is safe. */
  async #limitLog(): Promise<void> {
    const size = await stat(this.#places.log).then(
      (found) => found.size,
      () => 0,
    )
    if (size > logLimit) await truncate(this.#places.log, 0)
  }

  /** The network is chosen once: pods of an earlier run may still use it. */
  async #prepareNetwork(): Promise<void> {
    const places = this.#places
    const file = join(places.cniConfig, '10-outrigger.conflist')
    if ((await stat(file).catch(() => undefined)) !== undefined) return
    const subnet = chooseSubnet(places.seed, parseRoutes(await readFile('/proc/net/route', 'utf8')))
    if (subnet === undefined)
      throw new UserError('no free subnet for pods between 10.100.0.0 and 10.227.255.255')
    const config = networkConfig({
      bridge: places.bridge,
      subnet,
      addressFolder: places.cniData,
      hasPortmap: this.binaries.hasPortmap,
      needsFirewall: networkInterfaces()['docker0'] !== undefined,
    })
    await writeFile(file, `${JSON.stringify(config, null, 2)}\n`)
  }

  /** The process of an earlier run, if it still is this containerd. A file of one that ended is removed. */
  async #findRunning(): Promise<number | undefined> {
    const text = await readFile(this.#places.pidFile, 'utf8').catch(() => '')
    const pid = Number.parseInt(text, 10)
    if (Number.isInteger(pid) && (await this.#isOurs(pid))) return pid
    await rm(this.#places.pidFile, { force: true })
    await rm(this.#places.socket, { force: true })
    return undefined
  }

  async #isOurs(pid: number): Promise<boolean> {
    return (await commandLine(pid)).includes(this.#places.config)
  }

  async #spawn(): Promise<number> {
    const log = await open(this.#places.log, 'a')
    try {
      const child = spawn(this.binaries.containerd, ['--config', this.#places.config], {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { ...this.#options.environment, PATH: this.#searchPath.join(':') },
      })
      const pid = await new Promise<number>((resolve, reject) => {
        child.once('error', reject)
        child.once('spawn', () => resolve(child.pid ?? 0))
      })
      child.unref()
      await writeFile(this.#places.pidFile, `${pid}\n`)
      return pid
    } finally {
      await log.close()
    }
  }

  async #waitUntilReady(signal?: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const channel = new CriChannel({ endpoint: this.endpoint, clock })
    try {
      const begin = clock.monotonic()
      let answer = 'no answer'
      let hasImage = false
      while (clock.monotonic() - begin < readyDeadline) {
        signal?.throwIfAborted()
        if (!(await this.#isOurs(this.#pid))) {
          throw new UserError(
            `containerd ended at once: ${await this.#lastComplaint()}`,
            `look into ${this.#places.log}`,
          )
        }
        if (await isSocket(this.#places.socket)) {
          answer = await unreadyBecause(channel)
          if (!hasImage && answer !== 'no answer') {
            await this.#ensureSandboxImage(channel)
            hasImage = true
            continue
          }
          if (answer === '') return
        }
        await clock.sleep(10)
      }
      throw new UserError(`containerd is not ready after 30 s: ${answer}`, `look into ${this.#places.log}`)
    } finally {
      await channel.close()
    }
  }

  async #ensureSandboxImage(channel: CriChannel): Promise<void> {
    const options = { signal: never, timeout: readyDeadline }
    const found = await channel.call('ImageStatus', { image: { image: sandboxImage } }, options)
    if (found.image !== undefined) return
    await importImage(pauseImage(sandboxImage), {
      ctr: this.binaries.ctr,
      socket: this.#places.socket,
      clock: this.#options.clock,
      isPresent: async () =>
        (await channel.call('ImageStatus', { image: { image: sandboxImage } }, options)).image !== undefined,
    })
  }

  /** The last line of the log that tells of a failure. */
  async #lastComplaint(): Promise<string> {
    const lines = (await readFile(this.#places.log, 'utf8').catch(() => '')).trimEnd().split('\n')
    const bad = lines.findLast((line) => /level=(error|fatal|panic)|^containerd:/.test(line)) ?? lines.at(-1)
    return (bad ?? 'it said nothing').slice(0, 500)
  }

  async #supervise(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options
    let failures = 0
    let looks = 0
    while (!signal.aborted) {
      await clock.sleep(250, signal).catch(() => {})
      if (looks++ % 240 === 0) await this.#limitLog()
      if (signal.aborted || (await this.#isOurs(this.#pid))) continue
      failures++
      logger.warn('containerd ended and is started again', { attempt: failures })
      try {
        if (failures > 1) await clock.sleep(backoffDelay({ initial: 200, max: 30_000 }, failures - 1), signal)
        await rm(this.#places.socket, { force: true })
        this.#pid = await this.#spawn()
        await this.#waitUntilReady()
        failures = 0
      } catch (error) {
        if (!signal.aborted) logger.error('could not start containerd again', { error: messageOf(error) })
      }
    }
  }

  async #endProcess(): Promise<void> {
    const { clock } = this.#options
    signalProcess(this.#pid, 'SIGTERM')
    for (let waited = 0; waited < 10_000 && (await this.#isOurs(this.#pid)); waited += 20)
      await clock.sleep(20)
    if (await this.#isOurs(this.#pid)) signalProcess(this.#pid, 'SIGKILL')
  }
}

/** The clock's timers do not keep a process alive; starting and stopping must not be cut short by its end. */
async function uninterrupted<T>(work: () => Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, 60_000)
  try {
    return await work()
  } finally {
    clearInterval(hold)
  }
}

async function isSocket(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isSocket(),
    () => false,
  )
}

/** Why containers cannot be run yet; empty when they can. */
async function unreadyBecause(channel: CriChannel): Promise<string> {
  try {
    const options = { signal: never, connectTimeout: 1000, timeout: 2000 }
    const { status } = await channel.call('Status', {}, options)
    const failing = (status?.conditions ?? []).filter((condition) => condition.status !== true)
    return failing.map(({ type, message }) => `${type}: ${message ?? ''}`).join('; ')
  } catch {
    return 'no answer'
  }
}

/** Stops and removes every sandbox, of whichever node, eight at a time. */
async function removeAllSandboxes(endpoint: string, { clock }: ContainerdOptions): Promise<void> {
  const channel = new CriChannel({ endpoint, clock })
  try {
    const options = { signal: never, timeout: 60_000 }
    const listed = await channel.call('ListPodSandbox', {}, options)
    const waiting = [...(listed.items ?? [])]
    const worker = async () => {
      for (let sandbox = waiting.pop(); sandbox !== undefined; sandbox = waiting.pop()) {
        await channel.call('StopPodSandbox', { podSandboxId: sandbox.id }, options)
        await channel.call('RemovePodSandbox', { podSandboxId: sandbox.id }, options)
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
  } finally {
    await channel.close()
  }
}

const systemRegistries = '/etc/containerd/certs.d'
const capSysResource = 24

async function mayLowerOomScore(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8')
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> BigInt(capSysResource)) & 1n) === 1n
}

/** With cgroup v2 under systemd, only systemd may write to the tree. */
async function usesSystemdCgroups(): Promise<boolean> {
  return (await exists('/run/systemd/system')) && (await exists('/sys/fs/cgroup/cgroup.controllers'))
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
