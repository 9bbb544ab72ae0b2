import { messageOf } from '@outrigger/foundation'
import type { ConfigMap, Pod, Secret } from '@outrigger/kube'
import type { ContainerState, ImageState, SandboxState } from '../runtime.ts'
import type { PreparedVolume } from '../volume/pod-volumes.ts'
import { ReferenceRefused } from '../volume/pod-volumes.ts'
import { notAuthorizedReason } from '../volume/reference-policy.ts'
import { amountOf } from './amount.ts'
import { definitionHash } from './container-record.ts'
import { containerSpec, terminationLogPath } from './container-spec.ts'
import { ContainerConfigError, containerEnvironment } from './environment.ts'
import type { PodPlace } from './field-ref.ts'
import { ImagePuller } from './image-puller.ts'
import { runHook } from './lifecycle-hook.ts'
import { formatPod, type NodeContext } from './node-context.ts'
import { type ContainerLife, fieldPathOf } from './pod-life.ts'
import { formatGoSeconds, RestartBackoff } from './restart-backoff.ts'
import type { WaitingReason } from './status-input.ts'

export interface StartOrder {
  readonly pod: Pod
  readonly life: ContainerLife
  readonly attempt: number
  readonly after: ContainerState | undefined
  /** The run before that one. */
  readonly beforeThat: ContainerState | undefined
  readonly sandbox: SandboxState
  readonly place: PodPlace
  readonly volumes: ReadonlyMap<string, PreparedVolume>
}

export type StartAnswer =
  | { readonly kind: 'started'; readonly containerId: string }
  /** Running, but its postStart hook failed: it must be killed. */
  | { readonly kind: 'hook-failed'; readonly containerId: string; readonly waiting: WaitingReason }
  /** Not started; `until` (milliseconds since 1970) is when to try again. `acted`: the runtime was changed. */
  | {
      readonly kind: 'waiting'
      readonly waiting: WaitingReason
      readonly until: number
      readonly acted: boolean
    }

const retryPause = 10_000

/** Starts the containers of one pod, one step after the other, and remembers how long to hold back. */
export class ContainerStarter {
  readonly #context: NodeContext
  readonly #images: ImagePuller
  readonly #backoff = new RestartBackoff()
  /** Runs whose delay has been told as an event. */
  readonly #told = new Set<string>()

  constructor(context: NodeContext) {
    this.#context = context
    this.#images = new ImagePuller(context)
  }

  /** Rejects only when the signal aborts or on a defect. */
  async start(order: StartOrder, onStarted: (id: string) => void, signal: AbortSignal): Promise<StartAnswer> {
    const { clock } = this.#context
    const held = this.#heldBack(order)
    if (held !== undefined) return held
    const answer = await this.#images.ensure(order.pod, order.life, signal)
    if (answer.kind === 'waiting') {
      const { reason, message, until } = answer
      return { kind: 'waiting', waiting: { reason, message }, until, acted: false }
    }
    let id: string
    try {
      id = await this.#create(order, answer.image, signal)
    } catch (error) {
      if (signal.aborted) throw error
      return this.#failed(order, error, reasonOfCreate(error), false)
    }
    this.#tell(order, 'Normal', 'Created', 'Container created')
    if (order.after !== undefined) this.#backoff.next(backoffKey(order.life), clock.now())
    try {
      await this.#context.runtime.startContainer(id, signal)
    } catch (error) {
      if (signal.aborted) throw error
      return this.#failed(order, error, 'RunContainerError', true)
    }
    this.#tell(order, 'Normal', 'Started', 'Container started')
    onStarted(id)
    return this.#postStart(order, id, signal)
  }

  /** Restarts wait: none before the first, then 10, 20, 40 ... 300 s since the end of the run before. */
  #heldBack(order: StartOrder): StartAnswer | undefined {
    const { clock } = this.#context
    const { after, life, pod } = order
    if (after === undefined || after.state !== 'exited') return undefined
    const key = backoffKey(life)
    if (order.beforeThat !== undefined) {
      const began = after.startedAt || after.createdAt
      this.#backoff.takeUp(key, began - order.beforeThat.finishedAt, began)
    }
    const until = this.#backoff.waitUntil(key, after.finishedAt, clock.now())
    if (until === undefined) return undefined
    if (!this.#told.has(after.id)) {
      this.#told.add(after.id)
      const message = `Back-off restarting failed container ${life.name} in pod ${formatPod(pod)}`
      this.#tell(order, 'Warning', 'BackOff', message)
    }
    const delay = formatGoSeconds(this.#backoff.delay(key))
    const message = `back-off ${delay} restarting failed container=${life.name} pod=${formatPod(pod)}`
    return { kind: 'waiting', waiting: { reason: 'CrashLoopBackOff', message }, until, acted: false }
  }

  async #create(order: StartOrder, image: ImageState, signal: AbortSignal): Promise<string> {
    const { pod, life, attempt, sandbox, place, volumes } = order
    const { runtime } = this.#context
    const services = await this.#context.services(pod.metadata.namespace ?? '')
    const usedBy = { container: life.name }
    const environment = await containerEnvironment(pod, life.spec, {
      place,
      services,
      configMap: (name) => this.#read(pod, 'ConfigMap', name, usedBy) as Promise<ConfigMap | undefined>,
      secret: (name) => this.#read(pod, 'Secret', name, usedBy) as Promise<Secret | undefined>,
    })
    const spec = await containerSpec({
      pod,
      container: life.spec,
      attempt,
      image,
      environment,
      volumes,
      files: runtime.files,
      target: targetOf(order),
      nodeMemory: amountOf(this.#context.allocatable['memory']),
    })
    const messageFile = terminationLogPath(runtime.files, pod.metadata.uid ?? '', life.name, attempt)
    await runtime.files.writeFile(messageFile, Buffer.alloc(0), 0o666)
    return runtime.createContainer(sandbox.id, spec, signal)
  }

  async #read(
    pod: Pod,
    kind: 'ConfigMap' | 'Secret',
    name: string,
    usedBy: { readonly container: string },
  ): Promise<ConfigMap | Secret | undefined> {
    try {
      return await this.#context.volumes.read(pod, kind, name, usedBy)
    } catch (error) {
      if (error instanceof ReferenceRefused)
        throw new ContainerConfigError(error.message, notAuthorizedReason)
      throw new ContainerConfigError(messageOf(error))
    }
  }

  async #postStart(order: StartOrder, id: string, signal: AbortSignal): Promise<StartAnswer> {
    const hook = order.life.spec.lifecycle?.postStart
    if (hook === undefined) return { kind: 'started', containerId: id }
    const { runtime, clock } = this.#context
    const place = {
      runtime,
      clock,
      dial: this.#context.dialTo(order.sandbox.id),
      podIp: order.place.podIps[0] ?? '',
    }
    try {
      await runHook(hook, order.pod, order.life, id, place, undefined, signal)
      return { kind: 'started', containerId: id }
    } catch (error) {
      if (signal.aborted) throw error
      this.#tell(order, 'Warning', 'FailedPostStartHook', 'PostStartHook failed')
      return {
        kind: 'hook-failed',
        containerId: id,
        waiting: { reason: 'PostStartHookError', message: messageOf(error) },
      }
    }
  }

  #failed(order: StartOrder, error: unknown, reason: string, acted: boolean): StartAnswer {
    const message = messageOf(error)
    this.#tell(order, 'Warning', reason === notAuthorizedReason ? reason : 'Failed', `Error: ${message}`)
    return {
      kind: 'waiting',
      waiting: { reason, message },
      until: this.#context.clock.now() + retryPause,
      acted,
    }
  }

  #tell(order: StartOrder, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.record(order.pod, type, reason, message, fieldPathOf(order.life))
  }
}

/** A changed definition starts without a delay. */
const backoffKey = (life: ContainerLife): string => `${life.name}/${definitionHash(life.spec)}`

/** The running container that an ephemeral one is aimed at: whoever debugs it wants to see its processes. */
function targetOf({ pod, life, sandbox }: StartOrder): string | undefined {
  if (life.kind !== 'ephemeral') return undefined
  const target = pod.spec.ephemeralContainers?.find(({ name }) => name === life.name)?.targetContainerName
  return sandbox.containers.find(({ name, state }) => name === target && state === 'running')?.id
}

function reasonOfCreate(error: unknown): string {
  return error instanceof ContainerConfigError ? error.reason : 'CreateContainerError'
}
