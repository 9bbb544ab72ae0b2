import { posix } from 'node:path'
import type { Clock, Logger } from '@outrigger/foundation'
import {
  type ContainerResources,
  type ContainerSpec,
  type ContainerUsage,
  type ExecOutcome,
  type ExecSession,
  type ImageState,
  type MachineFacts,
  type PodFiles,
  type PodRuntime,
  type RegistryCredentials,
  RuntimeError,
  type RuntimeHealth,
  type SandboxSpec,
  type SandboxState,
  type StreamRequest,
} from '@outrigger/kubelet/runtime'
import { type CgroupDriver, podCgroupParent } from './cgroup-parent.ts'
import { containerConfig, linuxResources } from './container-config.ts'
import { CriCalls } from './cri-calls.ts'
import { CriChannel } from './cri-channel.ts'
import { CriImages } from './cri-images.ts'
import { openExecStream } from './exec-stream.ts'
import type { PodSandboxConfig, StatusResponse } from './generated/cri-messages.ts'
import { readMachine } from './machine-facts.ts'
import { PodCgroups } from './pod-cgroups.ts'
import { PodChanges } from './pod-changes.ts'
import { addressesOf, PodInventory } from './pod-inventory.ts'
import { openPortStream } from './port-stream.ts'
import { nodeLabel, type SandboxFacts, sandboxConfig, sandboxFacts } from './sandbox-config.ts'

export interface CriRuntimeOptions {
  /** Address of the runtime: `unix:///run/containerd/containerd.sock`. */
  readonly endpoint: string
  /** Name of the node; sandboxes of others are not seen. */
  readonly nodeName: string
  /** Where volumes and logs of pods live. */
  readonly files: PodFiles
  readonly clock: Clock
  readonly logger: Logger
  /** How the runtime makes cgroups. Left out: asked of the runtime. */
  readonly cgroupDriver?: CgroupDriver
}

/** A runtime over CRI, and how to let go of it. */
export interface CriRuntime extends PodRuntime {
  /** Ends the connection. Containers go on. */
  close(): Promise<void>
  /** Removes cgroup folders that pods of this node left behind. */
  removeLeftovers(signal: AbortSignal): Promise<void>
}

const keptOutput = 16 * 1024
const minutes = 60_000

/**
 * Runs pods in containerd (or another runtime that speaks CRI v1). Opens nothing until it is first asked.
 *
 * Guarantees: every call ends by a deadline or with its signal; refusals arrive as `RuntimeError` in the
 * words a kubelet would show; a repeated call finds what an interrupted one made.
 */
export function createCriRuntime(options: CriRuntimeOptions): CriRuntime {
  return new CriPodRuntime(options)
}

class CriPodRuntime implements CriRuntime {
  readonly files: PodFiles
  readonly #options: CriRuntimeOptions
  readonly #channel: CriChannel
  readonly #calls: CriCalls
  readonly #images: CriImages
  readonly #inventory: PodInventory
  readonly #changes: PodChanges
  readonly #cgroups: PodCgroups
  readonly #facts = new Map<string, SandboxFacts & { readonly pod: SandboxSpec['pod'] }>()
  #cgroupDriver: CgroupDriver | undefined

  constructor(options: CriRuntimeOptions) {
    this.#options = options
    this.files = options.files
    this.#channel = new CriChannel(options)
    this.#calls = new CriCalls(this.#channel)
    this.#images = new CriImages(this.#calls)
    this.#inventory = new PodInventory({ ...options, channel: this.#channel })
    this.#changes = new PodChanges({ ...options, channel: this.#channel, inventory: this.#inventory })
    this.#cgroups = new PodCgroups({ nodeName: options.nodeName })
    this.#cgroupDriver = options.cgroupDriver
  }

  async close(): Promise<void> {
    await this.#channel.close()
  }

  async removeLeftovers(signal: AbortSignal): Promise<void> {
    const sandboxes = await this.list(signal)
    await this.#cgroups.removeOthers(new Set(sandboxes.map((sandbox) => sandbox.pod.uid)))
  }

  async version(signal: AbortSignal): Promise<string> {
    const answer = await this.#calls.call('other', 'Version', { version: 'v1' }, { signal })
    return `${answer.runtimeName ?? 'cri'}://${(answer.runtimeVersion ?? '').replace(/^v/, '').replace(/~.*$/, '')}`
  }

  machine(): Promise<MachineFacts> {
    return readMachine()
  }

  async health(signal: AbortSignal): Promise<RuntimeHealth> {
    try {
      const answer = await this.#calls.call(
        'other',
        'Status',
        {},
        { signal, timeout: 10_000, connectTimeout: 2000 },
      )
      const failing = (answer.status?.conditions ?? []).filter((condition) => condition.status !== true)
      return {
        isReady: failing.length === 0,
        message: failing
          .map(({ type, message }) => `${type} is false: ${message ?? 'no reason given'}`)
          .join('; '),
      }
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error
      return { isReady: false, message: `the container runtime does not answer: ${error.message}` }
    }
  }

  async list(signal: AbortSignal, podUid?: string): Promise<readonly SandboxState[]> {
    return this.#calls.told('other', () => this.#inventory.list(signal, podUid))
  }

  changes(signal: AbortSignal): AsyncIterable<string> {
    return this.#changes.follow(signal)
  }

  async createSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<SandboxState> {
    const driver = await this.#driver(signal)
    const cgroupParent = podCgroupParent(driver, this.#options.nodeName, spec.qosClass, spec.pod.uid)
    await this.files.makeDirectory(spec.logDirectory, 0o755)
    const config = sandboxConfig(spec, this.#options.nodeName, cgroupParent)
    const id = await this.#runSandbox(config, signal)
    const { status } = await this.#calls.call('sandbox', 'PodSandboxStatus', { podSandboxId: id }, { signal })
    const ips = status === undefined ? [] : addressesOf(status)
    this.#inventory.noteSandbox(id, spec.pod.uid, ips)
    const facts = sandboxFacts(config.annotations ?? {})
    if (facts !== undefined) this.#facts.set(id, { ...facts, pod: spec.pod })
    this.#changes.report(spec.pod.uid)
    return {
      id,
      pod: spec.pod,
      attempt: spec.attempt,
      isReady: true,
      createdAt: Math.floor((status?.createdAt ?? 0) / 1e6),
      ips,
      containers: [],
      annotations: spec.annotations,
    }
  }

  /** A name that is taken was taken by an interrupted call for the same attempt: its sandbox serves as well. */
  async #runSandbox(config: PodSandboxConfig, signal: AbortSignal): Promise<string> {
    const run = () =>
      this.#calls.call('sandbox', 'RunPodSandbox', { config }, { signal, timeout: 4 * minutes })
    try {
      return (await run()).podSandboxId ?? ''
    } catch (error) {
      const holder = holderOfName(error)
      if (holder === undefined) throw error
      if (await this.#inventory.isSandboxReady(holder, signal)) return holder
      await this.removeSandbox(holder, signal)
      return (await run()).podSandboxId ?? ''
    }
  }

  async stopSandbox(id: string, signal: AbortSignal): Promise<void> {
    await this.#calls.callFineIfGone('StopPodSandbox', { podSandboxId: id }, { signal })
    this.#changes.report(this.#inventory.ownerOf(id))
  }

  async removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    const podUid =
      this.#inventory.ownerOf(id) ?? (await this.#factsOf(id, signal).catch(() => undefined))?.pod.uid
    await this.#calls.callFineIfGone('StopPodSandbox', { podSandboxId: id }, { signal })
    await this.#calls.callFineIfGone('RemovePodSandbox', { podSandboxId: id }, { signal })
    this.#facts.delete(id)
    if (podUid !== undefined) await this.#cgroups.removePod(podUid)
    this.#changes.report(podUid)
    this.#inventory.forget(id)
  }

  async createContainer(sandboxId: string, spec: ContainerSpec, signal: AbortSignal): Promise<string> {
    const facts = await this.#factsOf(sandboxId, signal)
    await this.files.makeDirectory(posix.dirname(posix.join(facts.logDirectory, spec.logPath)), 0o755)
    const request = {
      podSandboxId: sandboxId,
      config: containerConfig(spec, { ...facts, nodeName: this.#options.nodeName }),
      sandboxConfig: {
        metadata: { ...facts.pod },
        hostname: facts.hostname,
        logDirectory: facts.logDirectory,
        linux: { cgroupParent: facts.cgroupParent, securityContext: { namespaceOptions: facts.namespaces } },
      },
    }
    const create = () => this.#calls.call('create', 'CreateContainer', request, { signal })
    let id: string
    try {
      id = (await create()).containerId ?? ''
    } catch (error) {
      const holder = holderOfName(error)
      if (holder === undefined) throw error
      const state = await this.#inventory.refreshContainer(holder, signal)
      if (state?.state === 'created') id = holder
      else {
        await this.removeContainer(holder, signal)
        id = (await create()).containerId ?? ''
      }
    }
    this.#inventory.noteContainer(id, facts.pod.uid)
    return id
  }

  /** What the sandbox was made with: remembered, or read back from the runtime after a restart. */
  async #factsOf(
    sandboxId: string,
    signal: AbortSignal,
  ): Promise<SandboxFacts & { readonly pod: SandboxSpec['pod'] }> {
    const known = this.#facts.get(sandboxId)
    if (known !== undefined) return known
    const { status } = await this.#calls.call(
      'create',
      'PodSandboxStatus',
      { podSandboxId: sandboxId },
      { signal },
    )
    const facts = sandboxFacts(status?.annotations ?? {})
    if (facts === undefined || status?.labels?.[nodeLabel] !== this.#options.nodeName) {
      throw new RuntimeError('create-failed', `sandbox ${sandboxId} was not made by this node`)
    }
    const { name = '', namespace = '', uid = '' } = status.metadata ?? {}
    const found = { ...facts, pod: { name, namespace, uid } }
    this.#facts.set(sandboxId, found)
    return found
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#calls.call('start', 'StartContainer', { containerId: id }, { signal })
    this.#changes.report(this.#inventory.ownerOf(id))
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const grace = Math.max(0, Math.ceil(graceSeconds))
    const timeout = grace * 1000 + 2 * minutes
    this.#inventory.noteStop(id)
    await this.#calls.callFineIfGone(
      'StopContainer',
      { containerId: id, timeout: grace },
      { signal, timeout },
    )
    this.#changes.report(this.#inventory.ownerOf(id))
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#calls.callFineIfGone('RemoveContainer', { containerId: id }, { signal })
    this.#changes.report(this.#inventory.ownerOf(id))
    this.#inventory.forget(id)
  }

  async updateResources(id: string, resources: ContainerResources, signal: AbortSignal): Promise<void> {
    const linux = linuxResources(resources)
    await this.#calls.call('other', 'UpdateContainerResources', { containerId: id, linux }, { signal })
  }

  async reopenLog(id: string, signal: AbortSignal): Promise<void> {
    await this.#calls.call('other', 'ReopenContainerLog', { containerId: id }, { signal })
  }

  imageStatus(image: string, signal: AbortSignal): Promise<ImageState | undefined> {
    return this.#images.status(image, signal)
  }

  pullImage(
    image: string,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<ImageState> {
    return this.#images.pull(image, credentials, signal)
  }

  listImages(signal: AbortSignal): Promise<readonly ImageState[]> {
    return this.#images.list(signal)
  }

  removeImage(image: string, signal: AbortSignal): Promise<void> {
    return this.#images.remove(image, signal)
  }

  async execSync(
    id: string,
    command: readonly string[],
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<ExecOutcome> {
    const request = { containerId: id, cmd: [...command], timeout: timeoutSeconds }
    const timeout = timeoutSeconds > 0 ? timeoutSeconds * 1000 + 30_000 : 60 * minutes
    const answer = await this.#calls.call('other', 'ExecSync', request, { signal, timeout })
    return {
      exitCode: answer.exitCode ?? 0,
      stdout: Buffer.from(answer.stdout ?? []).subarray(0, keptOutput),
      stderr: Buffer.from(answer.stderr ?? []).subarray(0, keptOutput),
    }
  }

  async exec(
    id: string,
    request: StreamRequest & { readonly command: readonly string[] },
    signal: AbortSignal,
  ): Promise<ExecSession> {
    const { command, tty, stdin, stdout } = request
    const stderr = request.stderr && !tty
    const asked = { containerId: id, cmd: [...command], tty, stdin, stdout, stderr }
    const { url } = await this.#calls.call('other', 'Exec', asked, { signal })
    return this.#calls.streamed(() =>
      openExecStream(url ?? '', request, { clock: this.#options.clock, signal }),
    )
  }

  async attach(id: string, request: StreamRequest, signal: AbortSignal): Promise<ExecSession> {
    const { tty, stdin, stdout } = request
    const asked = { containerId: id, tty, stdin, stdout, stderr: request.stderr && !tty }
    const { url } = await this.#calls.call('other', 'Attach', asked, { signal })
    return this.#calls.streamed(() =>
      openExecStream(url ?? '', request, { clock: this.#options.clock, signal }),
    )
  }

  async portForward(
    sandboxId: string,
    port: number,
    signal: AbortSignal,
  ): Promise<import('node:stream').Duplex> {
    const { url } = await this.#calls.call(
      'other',
      'PortForward',
      { podSandboxId: sandboxId, port: [port] },
      { signal },
    )
    return this.#calls.streamed(() => openPortStream(url ?? '', port, { clock: this.#options.clock, signal }))
  }

  async stats(signal: AbortSignal): Promise<ReadonlyMap<string, ContainerUsage>> {
    const filter = { labelSelector: { [nodeLabel]: this.#options.nodeName } }
    const answer = await this.#calls.call('other', 'ListContainerStats', { filter }, { signal })
    const usage = new Map<string, ContainerUsage>()
    for (const { attributes, cpu, memory } of answer.stats ?? []) {
      if (attributes?.id === undefined || cpu === undefined) continue
      usage.set(attributes.id, {
        cpuNanoseconds: cpu.usageCoreNanoSeconds?.value ?? 0,
        memoryWorkingSet: memory?.workingSetBytes?.value ?? 0,
      })
    }
    return usage
  }

  async #driver(signal: AbortSignal): Promise<CgroupDriver> {
    this.#cgroupDriver ??= driverOf(await this.#calls.call('other', 'Status', { verbose: true }, { signal }))
    return this.#cgroupDriver
  }
}

/** The id in `name "..." is reserved for "..."`. */
function holderOfName(error: unknown): string | undefined {
  if (!(error instanceof RuntimeError)) return undefined
  return /is reserved for "?([0-9a-f]{64})"?/.exec(error.message)?.[1]
}

/** containerd shows its configuration in the verbose status; others are taken to use folders. */
function driverOf(status: StatusResponse): CgroupDriver {
  return /"SystemdCgroup":\s*true/.test(status.info?.['config'] ?? '') ? 'systemd' : 'cgroupfs'
}
