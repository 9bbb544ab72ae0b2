import type { Clock } from '@outrigger/foundation'
import type { ContainerState, SandboxState } from '@outrigger/kubelet/runtime'
import { isGone } from './call-failure.ts'
import type { CriChannel } from './cri-channel.ts'
import type { Container, ContainerStatus, PodSandbox, PodSandboxStatus } from './generated/cri-messages.ts'
import { nodeLabel, podUidLabel, withoutFacts } from './sandbox-config.ts'

const statusCallsAtOnce = 32
/** The exit code of a process that SIGKILL ended, whoever sent it. */
const killed = 137
/** Milliseconds after an end in which the runtime may still learn that memory was the reason. */
const freshness = 2_000
/** Milliseconds to wait before each further look for that reason. */
const reasonPauses = [10, 20, 40, 80, 160, 320]

export interface PodInventoryOptions {
  readonly channel: Pick<CriChannel, 'call'>
  readonly nodeName: string
  readonly clock: Clock
}

/**
 * What runs on the node, as last heard. Two cheap list calls say what exists and in which state; the status
 * of a sandbox or container is asked only once per state, so an idle node costs the same however long its
 * pods have lived.
 */
export class PodInventory {
  readonly #channel: Pick<CriChannel, 'call'>
  readonly #nodeName: string
  readonly #clock: Clock
  /** Containers that were asked to stop: nothing else has killed them. */
  readonly #stopped = new Set<string>()
  readonly #sandboxes = new Map<string, { readonly listed: string; readonly ips: readonly string[] }>()
  readonly #containers = new Map<string, ContainerState>()
  readonly #owners = new Map<string, string>()

  constructor(options: PodInventoryOptions) {
    this.#channel = options.channel
    this.#nodeName = options.nodeName
    this.#clock = options.clock
  }

  /** Sandboxes of the node, or of one pod, oldest first, each with its containers, oldest first. */
  async list(signal: AbortSignal, podUid?: string): Promise<readonly SandboxState[]> {
    const labelSelector = {
      [nodeLabel]: this.#nodeName,
      ...(podUid !== undefined && { [podUidLabel]: podUid }),
    }
    const known = [...this.#sandboxes.keys(), ...this.#containers.keys()]
    const [listedContainers, listedSandboxes] = await Promise.all([
      this.#channel.call('ListContainers', { filter: { labelSelector } }, { signal }),
      this.#channel.call('ListPodSandbox', { filter: { labelSelector } }, { signal }),
    ])
    const containers = listedContainers.containers ?? []
    const sandboxes = listedSandboxes.items ?? []
    for (const sandbox of sandboxes) this.#owners.set(sandbox.id ?? '', sandbox.metadata?.uid ?? '')
    for (const container of containers) {
      this.#owners.set(container.id ?? '', container.labels?.[podUidLabel] ?? '')
    }
    await this.#refresh(sandboxes, containers, signal)
    if (podUid === undefined) this.#forgetOthers(known, sandboxes, containers)
    return this.#assemble(sandboxes, containers)
  }

  /**
   * Asks for one container anew. Undefined when it is gone. The runtime hears of an end and of the want of memory that led
   * to it in two messages, in any order: where a container was just killed and nobody asked for it, the second one is
   * waited for, two thirds of a second at most.
   */
  async refreshContainer(id: string, signal: AbortSignal): Promise<ContainerState | undefined> {
    let state = await this.#ask(id, signal)
    for (const pause of reasonPauses) {
      if (state === undefined || !this.#mayLackReason(state)) break
      await this.#clock.sleep(pause, signal)
      state = await this.#ask(id, signal)
    }
    if (state === undefined) this.#containers.delete(id)
    else this.#containers.set(id, state)
    return state
  }

  async #ask(id: string, signal: AbortSignal): Promise<ContainerState | undefined> {
    try {
      const { status } = await this.#channel.call('ContainerStatus', { containerId: id }, { signal })
      return status && containerState(status)
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }

  #mayLackReason({ id, state, exitCode, reason, finishedAt }: ContainerState): boolean {
    return (
      state === 'exited' &&
      exitCode === killed &&
      reason === 'Error' &&
      !this.#stopped.has(id) &&
      this.#clock.now() - finishedAt < freshness
    )
  }

  /** Whether the sandbox is up. False when it is gone. */
  async isSandboxReady(id: string, signal: AbortSignal): Promise<boolean> {
    try {
      const { status } = await this.#channel.call('PodSandboxStatus', { podSandboxId: id }, { signal })
      return status !== undefined && isReady(status)
    } catch (error) {
      if (isGone(error)) return false
      throw error
    }
  }

  /** The pod a sandbox or container belongs to, if it was ever seen here. */
  ownerOf(id: string): string | undefined {
    return this.#owners.get(id)
  }

  isSandbox(id: string): boolean {
    return this.#sandboxes.has(id)
  }

  noteSandbox(id: string, podUid: string, ips: readonly string[]): void {
    this.#owners.set(id, podUid)
    this.#sandboxes.set(id, { listed: 'SANDBOX_READY', ips })
  }

  noteContainer(id: string, podUid: string): void {
    this.#owners.set(id, podUid)
  }

  /** The container is being stopped: that it gets killed needs no further explanation. */
  noteStop(id: string): void {
    this.#stopped.add(id)
  }

  forget(id: string): void {
    this.#stopped.delete(id)
    this.#sandboxes.delete(id)
    this.#containers.delete(id)
    this.#owners.delete(id)
  }

  async #refresh(sandboxes: readonly PodSandbox[], containers: readonly Container[], signal: AbortSignal) {
    const work: (() => Promise<unknown>)[] = []
    for (const sandbox of sandboxes) {
      const id = sandbox.id ?? ''
      const listed = sandbox.state ?? 'SANDBOX_READY'
      if (this.#sandboxes.get(id)?.listed !== listed)
        work.push(() => this.#refreshSandbox(id, listed, signal))
    }
    for (const container of containers) {
      const id = container.id ?? ''
      const known = this.#containers.get(id)
      if (known === undefined || known.state !== stateNames[container.state ?? 'CONTAINER_CREATED']) {
        work.push(() => this.refreshContainer(id, signal))
      }
    }
    for (let start = 0; start < work.length; start += statusCallsAtOnce) {
      await Promise.all(work.slice(start, start + statusCallsAtOnce).map((ask) => ask()))
    }
  }

  async #refreshSandbox(id: string, listed: string, signal: AbortSignal): Promise<void> {
    try {
      const { status } = await this.#channel.call('PodSandboxStatus', { podSandboxId: id }, { signal })
      if (status !== undefined) this.#sandboxes.set(id, { listed, ips: addressesOf(status) })
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  /** `known` was noted before the lists were asked: what was made meanwhile is not in them and stays. */
  #forgetOthers(
    known: readonly string[],
    sandboxes: readonly PodSandbox[],
    containers: readonly Container[],
  ): void {
    const alive = new Set<string | undefined>()
    for (const sandbox of sandboxes) alive.add(sandbox.id)
    for (const container of containers) alive.add(container.id)
    for (const id of known) if (!alive.has(id)) this.forget(id)
  }

  #assemble(sandboxes: readonly PodSandbox[], containers: readonly Container[]): SandboxState[] {
    const bySandbox = new Map<string, ContainerState[]>()
    for (const container of containers) {
      const state = this.#containers.get(container.id ?? '')
      if (state === undefined) continue
      const siblings = bySandbox.get(container.podSandboxId ?? '')
      if (siblings === undefined) bySandbox.set(container.podSandboxId ?? '', [state])
      else siblings.push(state)
    }
    return sandboxes
      .map((sandbox) => ({
        ...identity(sandbox),
        isReady: isReady(sandbox),
        createdAt: milliseconds(sandbox.createdAt),
        ips: this.#sandboxes.get(sandbox.id ?? '')?.ips ?? [],
        containers: (bySandbox.get(sandbox.id ?? '') ?? []).sort((a, b) => a.createdAt - b.createdAt),
        annotations: withoutFacts(sandbox.annotations ?? {}),
      }))
      .sort((a, b) => a.createdAt - b.createdAt)
  }
}

function identity(sandbox: PodSandbox): Pick<SandboxState, 'id' | 'pod' | 'attempt'> {
  const { name = '', namespace = '', uid = '', attempt = 0 } = sandbox.metadata ?? {}
  return { id: sandbox.id ?? '', pod: { name, namespace, uid }, attempt }
}

/** Ready is the first value of its enumeration, which the wire leaves out. */
function isReady(sandbox: Pick<PodSandbox, 'state'>): boolean {
  return (sandbox.state ?? 'SANDBOX_READY') === 'SANDBOX_READY'
}

/** The addresses of a sandbox, main one first. */
export function addressesOf(status: PodSandboxStatus): readonly string[] {
  const { ip, additionalIps } = status.network ?? {}
  const further = (additionalIps ?? []).map((one) => one.ip ?? '')
  return [ip ?? '', ...further].filter((address) => address !== '')
}

const stateNames = {
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
  CONTAINER_UNKNOWN: 'unknown',
} as const

function containerState(status: ContainerStatus): ContainerState {
  return {
    id: status.id ?? '',
    name: status.metadata?.name ?? '',
    attempt: status.metadata?.attempt ?? 0,
    state: stateNames[status.state ?? 'CONTAINER_CREATED'],
    image: status.image?.image ?? '',
    imageRef: status.imageRef ?? '',
    createdAt: milliseconds(status.createdAt),
    startedAt: milliseconds(status.startedAt),
    finishedAt: milliseconds(status.finishedAt),
    exitCode: status.exitCode ?? 0,
    reason: status.reason ?? '',
    message: status.message ?? '',
    annotations: status.annotations ?? {},
  }
}

function milliseconds(nanoseconds: number | undefined): number {
  return Math.floor((nanoseconds ?? 0) / 1e6)
}
