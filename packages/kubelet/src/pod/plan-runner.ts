import { messageOf } from '@outrigger/foundation'
import type { PodStatus } from '@outrigger/kube'
import type { PodProbes } from '../probe/pod-probes.ts'
import type { ContainerState } from '../runtime.ts'
import { notAuthorizedReason } from '../volume/reference-policy.ts'
import { amountOf } from './amount.ts'
import { hashAnnotation, identityOf } from './container-record.ts'
import { containerResources, hostsPath } from './container-spec.ts'
import { ContainerStarter, type StartOrder } from './container-starter.ts'
import type { ContainerStopper } from './container-stopper.ts'
import { collectEndedRuns } from './ended-runs.ts'
import type { NodeContext } from './node-context.ts'
import { isAlive, latestRun, type ObservedPod } from './observed-pod.ts'
import type { PodAction, PodPlan } from './plan-pod.ts'
import { graceOf, type PodMoment, placeOf, podIpsOf, probeGraceOf, stopPlaceOf } from './pod-moment.ts'
import type { ResourceAllocation } from './resource-allocation.ts'
import { hostsFile } from './sandbox-spec.ts'
import { SandboxStarter } from './sandbox-starter.ts'
import type { VolumeKeeper } from './volume-keeper.ts'
import type { WaitingReasons } from './waiting-reasons.ts'

export interface PlanRunnerOptions {
  readonly context: NodeContext
  readonly stopper: ContainerStopper
  readonly probes: PodProbes
  readonly volumes: VolumeKeeper
  readonly allocation: ResourceAllocation
  readonly waiting: WaitingReasons
  readonly lookAgainIn: (milliseconds: number) => void
  /** Asks the runtime anew. */
  readonly observe: (signal: AbortSignal) => Promise<ObservedPod>
  /** The status as it was written last, by whomever. */
  readonly lastStatus: () => PodStatus
}

/** Milliseconds until limits that the runtime refused are tried again. */
const resizePause = 10_000

/** Failures to start that are tried again only after a pause, unless something they hang on changes. */
const retriesLater: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'ErrImageNeverPull',
  'InvalidImageName',
  'ImageInspectError',
  notAuthorizedReason,
])

/** Does what a plan says, one action after the other, for one pod. */
export class PlanRunner {
  readonly #options: PlanRunnerOptions
  readonly #starter: ContainerStarter
  readonly #sandboxes: SandboxStarter
  readonly #restartWanted = new Set<string>()
  /** Containers a plan has stopped and nobody has tried to start since. */
  readonly #justStopped = new Set<string>()
  /** Runs that this process has started, past their hooks. */
  readonly #started = new Set<string>()
  /** By container name, milliseconds since 1970. */
  readonly #retryAt = new Map<string, number>()

  constructor(options: PlanRunnerOptions) {
    this.#options = options
    this.#starter = new ContainerStarter(options.context)
    this.#sandboxes = new SandboxStarter(options.context, options.lookAgainIn)
  }

  /** Containers that were stopped in order to be started again. */
  get restartWanted(): ReadonlySet<string> {
    return this.#restartWanted
  }

  /** Whether a run is past its postStart hook, as far as this process has seen to it. */
  hasStarted(runId: string): boolean {
    return this.#started.has(runId)
  }

  /** A run that was found running: an earlier process has seen to it. */
  noteStarted(runId: string): void {
    this.#started.add(runId)
  }

  /** Nothing will be started again. */
  forgetRestarts(): void {
    this.#restartWanted.clear()
  }

  /** Answers whether anything was changed, so that another look is due at once. */
  async run(plan: PodPlan, moment: PodMoment, signal: AbortSignal): Promise<boolean> {
    let acted = false
    for (const action of plan.actions) acted = (await this.#take(action, moment, signal)) || acted
    if (!acted) {
      const { runtime } = this.#options.context
      await collectEndedRuns(runtime, moment.observed, identityOf(moment.pod), signal)
    }
    return acted
  }

  async #take(action: PodAction, moment: PodMoment, signal: AbortSignal): Promise<boolean> {
    const { context, stopper } = this.#options
    const { pod } = moment
    switch (action.kind) {
      case 'create-sandbox':
        return this.#sandboxes.start(pod, action, signal)
      case 'kill': {
        const { life, container, message, because } = action
        this.#restartWanted.add(life.name)
        this.#justStopped.add(life.name)
        const isProbe = because === 'liveness' || because === 'startup'
        const grace = isProbe ? probeGraceOf(pod, life.spec, because) : graceOf(pod)
        await stopper.stop(pod, life, container, message, grace, stopPlaceOf(moment, context), signal)
        return true
      }
      case 'remove':
        await context.runtime.removeContainer(action.container.id, signal)
        return true
      case 'start':
        return this.#start(action, moment, signal)
      case 'resize':
        return this.#resize(action, moment, signal)
    }
  }

  /** Gives a running container other limits. What the runtime refuses is tried again after a pause. */
  async #resize(
    { container, life }: Extract<PodAction, { kind: 'resize' }>,
    { pod }: PodMoment,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { context, allocation, lookAgainIn } = this.#options
    const { runtime, clock } = context
    const due = this.#retryAt.get(life.name) ?? 0
    if (clock.now() < due) {
      lookAgainIn(due - clock.now())
      return false
    }
    try {
      const nodeMemory = amountOf(context.allocatable['memory'])
      await runtime.updateResources?.(container.id, containerResources(pod, life.spec, nodeMemory), signal)
    } catch (error) {
      if (signal.aborted) throw error
      allocation.noteError(`container ${life.name}: ${messageOf(error)}`)
      this.#retryAt.set(life.name, clock.now() + resizePause)
      lookAgainIn(resizePause)
      return false
    }
    allocation.noteInForce(container, life.spec.resources ?? {})
    return true
  }

  async #start(
    action: Extract<PodAction, { kind: 'start' }>,
    moment: PodMoment,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { context, probes, waiting, lookAgainIn } = this.#options
    const { clock } = context
    const { life } = action
    const { sandbox } = moment.observed
    if (sandbox === undefined) return false
    const known = waiting.get(life.name)
    const due = this.#retryAt.get(life.name) ?? 0
    if (known !== undefined && retriesLater.has(known.reason) && clock.now() < due) {
      lookAgainIn(due - clock.now())
      return false
    }
    await this.#writeHosts(moment)
    // As in a kubelet, the start that follows a stop at once does not count the run that was stopped.
    const after = this.#justStopped.delete(life.name)
      ? runBefore(moment.observed, life.name, action.after)
      : action.after
    const order: StartOrder = {
      pod: moment.pod,
      life,
      attempt: this.#attempt(action, moment),
      after,
      beforeThat: runBefore(moment.observed, life.name, after),
      sandbox,
      place: placeOf(moment, context),
      volumes: this.#options.volumes.volumes,
    }
    const answer = await this.#starter.start(order, () => this.#restartWanted.delete(life.name), signal)
    if (answer.kind === 'started') {
      waiting.delete(life.name)
      this.#started.add(answer.containerId)
      probes.markStarted(answer.containerId)
      return true
    }
    waiting.set(life.name, answer.waiting)
    if (answer.kind === 'hook-failed') {
      await this.#killAfterHook(answer.containerId, life.name, moment, signal)
      return true
    }
    this.#retryAt.set(life.name, answer.until)
    lookAgainIn(answer.until - clock.now())
    return answer.acted
  }

  async #writeHosts(moment: PodMoment): Promise<void> {
    const { pod } = moment
    if (pod.spec.hostNetwork === true) return
    const { context } = this.#options
    const { files } = context.runtime
    const text = hostsFile(pod, podIpsOf(moment, context), context.dns.domain)
    await files.writeFile(hostsPath(files, pod.metadata.uid ?? ''), Buffer.from(text), 0o644)
  }

  /** The runtime may have forgotten runs that the status still counts. */
  #attempt(action: Extract<PodAction, { kind: 'start' }>, { observed }: PodMoment): number {
    if (latestRun(observed, action.life.name) !== undefined) return action.attempt
    const { containerStatuses = [], initContainerStatuses = [] } = this.#options.lastStatus()
    const before = [...containerStatuses, ...initContainerStatuses].find(
      (each) => each.name === action.life.name,
    )
    return before?.containerID === undefined ? action.attempt : before.restartCount + 1
  }

  async #killAfterHook(id: string, name: string, moment: PodMoment, signal: AbortSignal): Promise<void> {
    const { context, stopper, observe } = this.#options
    const { pod } = moment
    const observed = await observe(signal)
    const run = latestRun(observed, name)
    if (run === undefined || run.id !== id || !isAlive(run)) return
    this.#restartWanted.add(name)
    const place = stopPlaceOf({ ...moment, observed }, context)
    const life = moment.life.containers.get(name)
    await stopper.stop(pod, life, run, 'FailedPostStartHook', graceOf(pod), place, signal)
  }
}

/** The run before `run` with the same definition. */
function runBefore(
  observed: ObservedPod,
  name: string,
  run: ContainerState | undefined,
): ContainerState | undefined {
  const runs = observed.runs.get(name) ?? []
  const before = run === undefined ? undefined : runs[runs.indexOf(run) + 1]
  const isSame = before?.annotations[hashAnnotation] === run?.annotations[hashAnnotation]
  return isSame && before?.state === 'exited' ? before : undefined
}
