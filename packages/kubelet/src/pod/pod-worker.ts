import { isNotFound } from '@outrigger/client'
import { messageOf, parseTime } from '@outrigger/foundation'
import { type Pod, type PodStatus, resources } from '@outrigger/kube'
import { PodProbes } from '../probe/pod-probes.ts'
import type { ContainerState } from '../runtime.ts'
import { identityOf } from './container-record.ts'
import { ContainerStopper } from './container-stopper.ts'
import type { NodeContext } from './node-context.ts'
import { latestRun, type ObservedPod, observePod, runningContainers } from './observed-pod.ts'
import { type PodPlan, planPod } from './plan-pod.ts'
import { PlanRunner } from './plan-runner.ts'
import { podConcern } from './pod-concern.ts'
import { type ContainerLife, type PodLife, podLife, restartsAfter } from './pod-life.ts'
import { graceOf, type PodMoment, stopPlaceOf } from './pod-moment.ts'
import { PodResize } from './pod-resize.ts'
import { podStatus, refusedStatus } from './pod-status.ts'
import { type GrantResources, ResourceAllocation } from './resource-allocation.ts'
import { sidecarHold, sidecarHoldEvent } from './sidecar-hold.ts'
import type { PodVerdict, WaitingReason } from './status-input.ts'
import { StatusWriter } from './status-writer.ts'
import { TerminationMessages } from './termination-messages.ts'
import { VolumeKeeper } from './volume-keeper.ts'
import { WaitingReasons } from './waiting-reasons.ts'
import { type Progress, WorkLoop } from './work-loop.ts'

export interface PodWorkerOptions {
  readonly context: NodeContext
  readonly pod: Pod
  /** Says why this node does not take a pod that it has not run yet, or undefined. */
  readonly admit: (pod: Pod, life: PodLife, signal: AbortSignal) => Promise<PodVerdict | undefined>
  /** Counts what a running pod asks for now, or says why the node cannot give it. */
  readonly grant: GrantResources
  /** The pod will use nothing any more. */
  readonly onEnded: () => void
  /** Nothing of the pod is left on this node and in the API. */
  readonly onGone: () => void
}

/**
 * Brings one pod of the node to what its object says, over and over: observe, say, plan, act.
 *
 * Guarantees: one step at a time; the newest pod object wins, and its deletion interrupts whatever is
 * under way; nothing is remembered that cannot be found again from the runtime and the API, except how
 * long to hold back. Idle, a worker holds no timer.
 */
export class PodWorker {
  readonly uid: string
  readonly #options: PodWorkerOptions
  readonly #context: NodeContext
  readonly #loop: WorkLoop
  readonly #stopper: ContainerStopper
  readonly #probes: PodProbes
  readonly #messages: TerminationMessages
  readonly #writer: StatusWriter
  readonly #waiting = new WaitingReasons()
  readonly #volumes: VolumeKeeper
  readonly #allocation: ResourceAllocation
  readonly #resize: PodResize
  readonly #runner: PlanRunner
  #pod: Pod
  #life: PodLife
  #observed: ObservedPod = observePod([])
  #isDeletedFromApi = false
  #isAdmitted = false
  #verdict: PodVerdict | undefined
  #isEnding = false
  #isEnded = false
  /** The status was final before any container ran, or before we came: nothing is added to it. */
  #isSettled = false
  #isReleased = false
  #hold: WaitingReason | undefined

  constructor(options: PodWorkerOptions) {
    const { context, pod } = options
    this.#options = options
    this.#context = context
    this.#pod = pod
    this.uid = pod.metadata.uid ?? ''
    this.#allocation = new ResourceAllocation(pod)
    this.#life = podLife(this.#allocation.granted(pod), context)
    this.#loop = new WorkLoop({
      clock: context.clock,
      random: context.random,
      turn: (signal) => this.#turn(signal),
      onFailure: (error) => this.#tellFailure(error),
    })
    const lookAgainIn = (milliseconds: number) => this.#loop.lookAgainIn(milliseconds)
    this.#stopper = new ContainerStopper(context)
    this.#messages = new TerminationMessages(context.runtime.files)
    this.#writer = new StatusWriter(context, pod.status ?? {})
    this.#probes = new PodProbes({
      runtime: context.runtime,
      clock: context.clock,
      onTurn: () => this.wake(),
      report: (fieldPath, message) => context.record(this.#pod, 'Warning', 'Unhealthy', message, fieldPath),
    })
    const { grant } = options
    this.#resize = new PodResize({ context, allocation: this.#allocation, grant, lookAgainIn })
    this.#volumes = new VolumeKeeper(context, this.#waiting, lookAgainIn)
    this.#runner = new PlanRunner({
      context,
      stopper: this.#stopper,
      probes: this.#probes,
      volumes: this.#volumes,
      allocation: this.#allocation,
      waiting: this.#waiting,
      lookAgainIn,
      observe: async (signal) => {
        await this.#observe(signal)
        return this.#observed
      },
      lastStatus: () => this.#writer.last,
    })
    this.#tellComplaints()
  }

  get pod(): Pod {
    return this.#pod
  }

  /** Whether the pod still counts for the node's resources. */
  get isActive(): boolean {
    return this.#isAdmitted && !this.#isEnded
  }

  /** The runtime's view, as last seen. */
  get observed(): ObservedPod {
    return this.#observed
  }

  /** The status as last said. */
  get status(): PodStatus {
    return this.#writer.last
  }

  /** The pod's object has changed. */
  update(pod: Pod): void {
    const before = this.#pod
    this.#pod = pod
    this.#writer.adopt(pod.status)
    if (pod.metadata.generation !== before.metadata.generation || pod.spec !== before.spec) {
      this.#readLife()
      // A new image deserves a first attempt, whatever the old one came to.
      for (const [name, life] of this.#life.containers) {
        const old = [...before.spec.containers, ...(before.spec.initContainers ?? [])].find(
          (c) => c.name === name,
        )
        if (old !== undefined && old.image !== life.spec.image) this.#waiting.delete(name)
      }
    }
    const wasDeleted = before.metadata.deletionTimestamp !== undefined
    const isShorter = pod.metadata.deletionGracePeriodSeconds !== before.metadata.deletionGracePeriodSeconds
    if (pod.metadata.deletionTimestamp !== undefined && (!wasDeleted || isShorter)) this.#loop.interrupt()
    if (podConcern(pod) === podConcern(before)) return
    this.#volumes.renew()
    this.wake()
  }

  /** The pod's object is gone: end and clean up. */
  remove(): void {
    this.#isDeletedFromApi = true
    this.#loop.interrupt()
    this.wake()
  }

  /** Uses what the runtime was seen to have, without asking it again. */
  found(sandboxes: Parameters<typeof observePod>[0]): void {
    this.#observed = observePod(sandboxes)
    for (const run of runningContainers(this.#observed)) this.#runner.noteStarted(run.id)
  }

  /** Objects or rules that the pod's volumes follow have changed. */
  refreshVolumes(): void {
    this.#volumes.refresh()
    this.wake()
  }

  /** Looks at the pod soon. */
  wake(): void {
    this.#loop.wake()
  }

  /** Ends the work, not the pod. */
  async stop(): Promise<void> {
    this.#probes.close()
    await this.#loop.stop()
    await this.#writer.stop()
  }

  #tellFailure(error: unknown): void {
    const { name, namespace } = this.#pod.metadata
    this.#context.logger.warn('pod could not be brought along', {
      pod: `${namespace}/${name}`,
      error: messageOf(error),
    })
  }

  async #turn(signal: AbortSignal): Promise<Progress> {
    await this.#observe(signal)
    if (this.#isDeletedFromApi) return this.#bury(signal)
    if (this.#isEnded) return this.#afterEnd(signal)
    if (this.#mustEnd()) return this.#end(signal)
    if (!this.#isAdmitted && !(await this.#admit(signal))) return 'again'
    this.#hold = this.#decideHold()
    if (this.#resize.review(this.#pod, this.#observed)) this.#readLife()
    this.#say()
    if (this.#hold !== undefined) return 'rest'
    if (!(await this.#volumes.prepare(this.#moment(), signal))) {
      this.#say()
      return 'rest'
    }
    const plan = planPod(this.#life, this.#observed, this.#facts())
    if (plan.isOver) {
      this.#isEnding = true
      return 'again'
    }
    this.#noteHeldBack(plan)
    const acted = await this.#runner.run(plan, this.#moment(), signal)
    if (!acted) this.#say()
    return acted ? 'again' : 'rest'
  }

  #readLife(): void {
    this.#life = podLife(this.#allocation.granted(this.#pod), this.#context)
  }

  #moment(): PodMoment {
    return { pod: this.#pod, life: this.#life, observed: this.#observed }
  }

  async #observe(signal: AbortSignal): Promise<void> {
    const all = await this.#context.runtime.list(signal, this.uid)
    this.#observed = observePod(all.filter((sandbox) => sandbox.pod.uid === this.uid))
    await this.#messages.collect(this.#observed, this.uid, identityOf(this.#pod))
    this.#probes.follow(this.#moment(), this.#context, (runId) => this.#runner.hasStarted(runId))
  }

  #facts() {
    return {
      health: (run: ContainerState) => this.#probes.health(run),
      restartWanted: this.#runner.restartWanted,
      resize: (life: ContainerLife, run: ContainerState) => this.#resize.stepFor(life, run),
    }
  }

  // -- refusing and holding

  /** Answers whether the pod may go on; otherwise it is refused for good. */
  async #admit(signal: AbortSignal): Promise<boolean> {
    const hasRun = this.#observed.sandboxes.length > 0
    const refusal = hasRun ? undefined : await this.#options.admit(this.#pod, this.#life, signal)
    this.#isAdmitted = true
    if (refusal === undefined) return true
    this.#context.record(this.#pod, 'Warning', refusal.reason, refusal.message)
    this.#writer.post(this.#pod, refusedStatus(this.#pod, refusal, this.#context.clock.now()))
    this.#isSettled = true
    this.#isEnded = true
    this.#options.onEnded()
    return false
  }

  #decideHold(): WaitingReason | undefined {
    const hold =
      this.#context.isVirtual && this.#observed.sandboxes.length === 0 ? sidecarHold(this.#pod) : undefined
    if (hold !== undefined && this.#hold === undefined) {
      this.#context.record(this.#pod, 'Normal', sidecarHoldEvent, hold.message)
    }
    if (hold !== undefined) this.#waiting.setAll(this.#life.containers.keys(), hold)
    return hold
  }

  #tellComplaints(): void {
    for (const complaint of this.#life.complaints) {
      this.#context.record(this.#pod, 'Warning', 'InvalidContainerPriority', complaint)
    }
  }

  #noteHeldBack(plan: PodPlan): void {
    this.#waiting.drop('WaitingForHigherPriority')
    for (const [name, others] of plan.heldBack) {
      const message = `starts after ${others.join(', ')}, which must start or be ready first`
      this.#waiting.set(name, { reason: 'WaitingForHigherPriority', message })
    }
  }

  // -- saying

  #say(): void {
    if (!this.#isSettled) this.#writer.post(this.#pod, this.#status())
  }

  #status(): PodStatus {
    const { context } = this.#options
    const { restartWanted } = this.#runner
    const isInitialized = this.#life.startGroups.some((group) =>
      group.some((each) => this.#observed.runs.has(each.name)),
    )
    if (this.#hold === undefined) this.#waiting.drop('WaitingForSidecarInjection')
    return podStatus({
      pod: this.#pod,
      life: this.#life,
      observed: this.#observed,
      previous: this.#writer.last,
      waiting: this.#waiting.all,
      health: (run) => this.#probes.health(run),
      restarts: (life, run) => restartWanted.has(life.name) || restartsAfter(life, run.exitCode),
      isInitialized: isInitialized || this.#initIsDone(),
      isEnded: this.#isEnded,
      verdict: this.#verdict,
      terminationMessages: this.#messages.all,
      runtimeName: context.runtimeName(),
      hostIps: context.hostIps,
      now: context.clock.now(),
      hold: this.#hold,
      resize: this.#resize.state(this.#observed),
      resourcesOf: (run) => this.#allocation.inForce(run),
    })
  }

  #initIsDone(): boolean {
    return this.#life.initOrder.every((life) => {
      const run = latestRun(this.#observed, life.name)
      if (run === undefined) return false
      return life.kind === 'init'
        ? run.state === 'exited' && run.exitCode === 0
        : this.#probes.health(run).isStarted
    })
  }

  // -- ending

  #mustEnd(): boolean {
    if (this.#isEnding || this.#pod.metadata.deletionTimestamp !== undefined) return true
    const found = this.#pod.status
    if (found?.phase === 'Failed' || found?.phase === 'Succeeded') {
      // Ended before we came, or by someone else (an eviction).
      this.#isSettled ||= !this.#isEnding && this.#observed.sandboxes.length === 0
      if (found.phase === 'Failed' && found.reason) {
        this.#verdict ??= { reason: found.reason, message: found.message ?? '' }
      }
      return true
    }
    const left = activeTimeLeft(this.#pod, this.#writer.last, this.#context.clock.now())
    if (left === undefined) return false
    if (left > 0) {
      this.#loop.lookAgainIn(left)
      return false
    }
    const message = 'Pod was active on the node longer than the specified deadline'
    this.#verdict = { reason: 'DeadlineExceeded', message }
    this.#context.record(this.#pod, 'Normal', 'DeadlineExceeded', message)
    return true
  }

  async #end(signal: AbortSignal): Promise<Progress> {
    this.#isEnding = true
    this.#probes.stopKilling()
    this.#hold = undefined
    const { phase } = this.#writer.last
    if (phase !== 'Failed' && phase !== 'Succeeded') {
      // A pod that is told to go is not waiting for anything any more.
      if (this.#pod.metadata.deletionTimestamp !== undefined) this.#waiting.clear()
      this.#say()
    }
    await this.#stopContainers(signal)
    await this.#observe(signal)
    this.#probes.close()
    for (const sandbox of this.#observed.sandboxes) {
      if (sandbox.isReady) await this.#context.runtime.stopSandbox(sandbox.id, signal)
    }
    await this.#observe(signal)
    this.#waiting.clear()
    this.#runner.forgetRestarts()
    this.#isEnded = true
    this.#say()
    this.#options.onEnded()
    return 'again'
  }

  async #stopContainers(signal: AbortSignal): Promise<void> {
    if (runningContainers(this.#observed).length === 0) return
    const place = stopPlaceOf(this.#moment(), this.#context)
    await this.#stopper.stopAll(this.#pod, this.#life, this.#observed, graceOf(this.#pod), place, signal)
  }

  /** The pod is over: give its volumes back, and once it is to be deleted, let its object go. */
  async #afterEnd(signal: AbortSignal): Promise<Progress> {
    this.#say()
    if (!this.#isReleased) {
      await this.#context.volumes.remove(this.uid)
      this.#isReleased = true
    }
    if (this.#pod.metadata.deletionTimestamp === undefined) return 'rest'
    await this.#writer.flushed(signal)
    const { name, namespace = '' } = this.#pod.metadata
    try {
      await this.#context.client.delete(
        resources.pods,
        { namespace, name },
        { gracePeriodSeconds: 0, preconditions: { uid: this.uid }, signal },
      )
    } catch (error) {
      // A pod of the same name with another uid is not ours to delete: ours is gone.
      if (!isNotFound(error) && !isUidConflict(error)) throw error
    }
    return 'rest'
  }

  /** The object is gone: nothing may be left. */
  async #bury(signal: AbortSignal): Promise<Progress> {
    const { runtime } = this.#context
    this.#probes.stopKilling()
    await this.#stopContainers(signal)
    this.#probes.close()
    for (const sandbox of this.#observed.sandboxes) {
      await runtime.stopSandbox(sandbox.id, signal)
      await runtime.removeSandbox(sandbox.id, signal)
    }
    if (!this.#isEnded) this.#options.onEnded()
    this.#isEnded = true
    await this.#context.volumes.remove(this.uid)
    await runtime.files.remove(runtime.files.logDirectory(identityOf(this.#pod)))
    await this.#writer.stop()
    this.#loop.finish()
    this.#options.onGone()
    return 'rest'
  }
}

/** Milliseconds until the pod has been active for as long as it may be; undefined when there is no limit. */
function activeTimeLeft(pod: Pod, status: PodStatus, now: number): number | undefined {
  const limit = pod.spec.activeDeadlineSeconds
  const began = parseTime(status.startTime ?? '')
  return limit === undefined || Number.isNaN(began) ? undefined : began + limit * 1000 - now
}

function isUidConflict(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 409
}
