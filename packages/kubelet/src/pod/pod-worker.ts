import { setMaxListeners } from 'node:events'
import { isNotFound } from '@outrigger/client'
import { backoffDelay, messageOf, parseTime } from '@outrigger/foundation'
import { type Pod, type PodStatus, resources } from '@outrigger/kube'
import { PodProbes } from '../probe/pod-probes.ts'
import type { ContainerState } from '../runtime.ts'
import type { PreparedVolumes } from '../volume/pod-volumes.ts'
import { notAuthorizedReason } from '../volume/reference-policy.ts'
import { identityOf } from './container-record.ts'
import { hostsPath } from './container-spec.ts'
import { ContainerStarter } from './container-starter.ts'
import { ContainerStopper } from './container-stopper.ts'
import { collectEndedRuns } from './ended-runs.ts'
import type { PodPlace } from './field-ref.ts'
import type { NodeContext } from './node-context.ts'
import { isAlive, latestRun, type ObservedPod, observePod, runningContainers } from './observed-pod.ts'
import { type PodAction, type PodPlan, planPod } from './plan-pod.ts'
import { isOwnCondition } from './pod-conditions.ts'
import { type PodLife, podLife, restartsAfter } from './pod-life.ts'
import { podStatus, refusedStatus } from './pod-status.ts'
import { hostsFile, sandboxSpec } from './sandbox-spec.ts'
import { sidecarHold, sidecarHoldEvent } from './sidecar-hold.ts'
import type { PodVerdict, WaitingReason } from './status-input.ts'
import { StatusWriter } from './status-writer.ts'
import { TerminationMessages } from './termination-messages.ts'

export interface PodWorkerOptions {
  readonly context: NodeContext
  readonly pod: Pod
  /** Says why this node does not take a pod that it has not run yet, or undefined. */
  readonly admit: (pod: Pod, life: PodLife, signal: AbortSignal) => Promise<PodVerdict | undefined>
  /** The pod will use nothing any more. */
  readonly onEnded: () => void
  /** Nothing of the pod is left on this node and in the API. */
  readonly onGone: () => void
}

type Progress = 'again' | 'rest'

const volumeBackoff = { initial: 500, max: 122_000 }
const failureBackoff = { initial: 1_000, max: 30_000 }
const sandboxBackoff = { initial: 1_000, max: 10_000 }

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
  readonly #starter: ContainerStarter
  readonly #stopper: ContainerStopper
  readonly #probes: PodProbes
  readonly #messages: TerminationMessages
  readonly #writer: StatusWriter
  readonly #waiting = new Map<string, WaitingReason>()
  readonly #restartWanted = new Set<string>()
  readonly #found = new Set<string>()
  #pod: Pod
  #life: PodLife
  #isDeletedFromApi = false
  #observed: ObservedPod = observePod([])
  #isAdmitted = false
  #verdict: PodVerdict | undefined
  #isEnding = false
  #isEnded = false
  /** The status was final before any container ran, or before we came: nothing is added to it. */
  #isSettled = false
  #isReleased = false
  #isGone = false
  #hold: WaitingReason | undefined
  #volumes: PreparedVolumes | undefined
  #volumeFailures = 0
  #volumesDue = 0
  #sandboxFailures = 0
  #sandboxDue = 0
  #failures = 0
  #nextLook: number | undefined
  #step = freshStep()
  #isDirty = false
  #drive: Promise<void> | undefined
  #cancelTimer: () => void = () => {}
  #isStopped = false

  constructor(options: PodWorkerOptions) {
    const { context, pod } = options
    this.#options = options
    this.#context = context
    this.#pod = pod
    this.uid = pod.metadata.uid ?? ''
    this.#life = podLife(pod, context)
    this.#starter = new ContainerStarter(context)
    this.#stopper = new ContainerStopper(context)
    this.#messages = new TerminationMessages(context.runtime.files)
    this.#writer = new StatusWriter(context.client, pod.status ?? {})
    this.#probes = new PodProbes({
      runtime: context.runtime,
      clock: context.clock,
      onTurn: () => this.wake(),
      report: (fieldPath, message) => context.record(this.#pod, 'Warning', 'Unhealthy', message, fieldPath),
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

  /** The status as last written. */
  get status(): PodStatus {
    return this.#writer.last
  }

  /** The pod's object has changed. */
  update(pod: Pod): void {
    const before = this.#pod
    this.#pod = pod
    this.#writer.adopt(pod.status)
    if (pod.metadata.generation !== before.metadata.generation || pod.spec !== before.spec) {
      this.#life = podLife(pod, this.#context)
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
    if (pod.metadata.deletionTimestamp !== undefined && (!wasDeleted || isShorter)) this.#interrupt()
    if (concern(pod) !== concern(before)) this.wake()
  }

  /** The pod's object is gone: end and clean up. */
  remove(): void {
    this.#isDeletedFromApi = true
    this.#interrupt()
    this.wake()
  }

  /** Uses what the runtime was seen to have, without asking it again. */
  found(sandboxes: Parameters<typeof observePod>[0]): void {
    this.#observed = observePod(sandboxes)
    for (const run of runningContainers(this.#observed)) this.#found.add(run.id)
  }

  /** Objects or rules that the pod's volumes follow have changed. */
  refreshVolumes(): void {
    this.#volumesDue = 0
    this.#volumeFailures = 0
    for (const [name, { reason }] of this.#waiting) {
      if (reason === 'CreateContainerConfigError' || reason === notAuthorizedReason)
        this.#waiting.delete(name)
    }
    this.wake()
  }

  /** Looks at the pod soon. */
  wake(): void {
    if (this.#isStopped || this.#isGone) return
    this.#isDirty = true
    this.#drive ??= this.#run().finally(() => {
      this.#drive = undefined
    })
  }

  /** Ends the work, not the pod. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelTimer()
    this.#probes.close()
    this.#interrupt()
    await this.#drive
  }

  #interrupt(): void {
    this.#step.abort(new Error('the pod has changed'))
    this.#step = freshStep()
  }

  async #run(): Promise<void> {
    while (this.#isDirty && !this.#isStopped && !this.#isGone) {
      this.#isDirty = false
      this.#cancelTimer()
      this.#nextLook = undefined
      const { signal } = this.#step
      try {
        while ((await this.#turn(signal)) === 'again') signal.throwIfAborted()
        this.#failures = 0
      } catch (error) {
        if (this.#isStopped) return
        if (signal.aborted) {
          this.#isDirty = true
          continue
        }
        this.#failures++
        this.#context.logger.warn('pod could not be brought along', {
          pod: `${this.#pod.metadata.namespace}/${this.#pod.metadata.name}`,
          error: messageOf(error),
        })
        this.#lookAgainIn(
          backoffDelay({ ...failureBackoff, jitter: 0.2 }, this.#failures, this.#context.random),
        )
      }
      this.#setTimer()
    }
  }

  /** The earliest wish wins. */
  #lookAgainIn(milliseconds: number): void {
    const at = this.#context.clock.now() + Math.max(0, milliseconds)
    this.#nextLook = Math.min(this.#nextLook ?? at, at)
  }

  #setTimer(): void {
    this.#cancelTimer()
    if (this.#nextLook === undefined || this.#isStopped || this.#isGone) return
    const delay = Math.max(0, this.#nextLook - this.#context.clock.now())
    this.#cancelTimer = this.#context.clock.after(delay, () => this.wake())
  }

  async #turn(signal: AbortSignal): Promise<Progress> {
    await this.#observe(signal)
    if (this.#isDeletedFromApi) return this.#bury(signal)
    if (this.#isEnded) return this.#afterEnd(signal)
    if (this.#mustEnd()) return this.#end(signal)
    if (!this.#isAdmitted && !(await this.#admit(signal))) return 'again'
    this.#hold = this.#decideHold()
    await this.#say(signal)
    if (this.#hold !== undefined) return 'rest'
    if (!(await this.#prepareVolumes(signal))) return 'rest'
    const plan = planPod(this.#life, this.#observed, this.#facts())
    if (plan.isOver) {
      this.#isEnding = true
      return 'again'
    }
    this.#noteHeldBack(plan)
    const acted = await this.#act(plan, signal)
    if (!acted) await this.#say(signal)
    return acted ? 'again' : 'rest'
  }

  async #observe(signal: AbortSignal): Promise<void> {
    const { runtime } = this.#context
    const all = await runtime.list(signal, this.uid)
    this.#observed = observePod(all.filter((sandbox) => sandbox.pod.uid === this.uid))
    await this.#messages.collect(this.#observed, this.uid, identityOf(this.#pod))
    this.#probeWhatRuns()
  }

  #probeWhatRuns(): void {
    const alive = new Set<string>()
    const { sandbox } = this.#observed
    for (const life of this.#life.containers.values()) {
      const run = latestRun(this.#observed, life.name)
      if (run?.state !== 'running' || sandbox === undefined || !this.#observed.current.has(life.name))
        continue
      alive.add(run.id)
      const place = { podIp: this.#podIps()[0] ?? '', dial: this.#context.dialTo(sandbox.id) }
      // A run that an earlier kubelet started is past its hook; of our own we hear when the hook has ended.
      const isPastHook = this.#found.has(run.id) || life.spec.lifecycle?.postStart === undefined
      this.#probes.begin(life, run, place, this.#statusOfRun(run), isPastHook)
    }
    this.#probes.keepOnly(alive)
  }

  #statusOfRun(run: ContainerState) {
    if (!this.#found.has(run.id)) return undefined
    const { containerStatuses = [], initContainerStatuses = [] } = this.#pod.status ?? {}
    return [...containerStatuses, ...initContainerStatuses].find((each) =>
      each.containerID?.endsWith(`/${run.id}`),
    )
  }

  #facts() {
    return {
      health: (run: ContainerState) => this.#probes.health(run),
      restartWanted: this.#restartWanted,
    }
  }

  #podIps(): readonly string[] {
    if (this.#pod.spec.hostNetwork === true) return this.#context.hostIps
    return this.#observed.sandbox?.ips ?? []
  }

  #place(): PodPlace {
    const { nodeName, hostIps, allocatable } = this.#context
    return { nodeName, hostIps, allocatable, podIps: this.#podIps() }
  }

  // -- refusing and holding

  /** Answers whether the pod may go on; otherwise it is refused for good. */
  async #admit(signal: AbortSignal): Promise<boolean> {
    const hasRun = this.#observed.sandboxes.length > 0
    const refusal = hasRun ? undefined : await this.#options.admit(this.#pod, this.#life, signal)
    this.#isAdmitted = true
    if (refusal === undefined) return true
    this.#context.record(this.#pod, 'Warning', refusal.reason, refusal.message)
    await this.#writer.write(this.#pod, refusedStatus(this.#pod, refusal, this.#context.clock.now()), signal)
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
    if (hold === undefined) return undefined
    for (const name of this.#life.containers.keys()) this.#waiting.set(name, hold)
    return hold
  }

  #tellComplaints(): void {
    for (const complaint of this.#life.complaints) {
      this.#context.record(this.#pod, 'Warning', 'InvalidContainerPriority', complaint)
    }
  }

  // -- saying

  async #say(signal: AbortSignal): Promise<void> {
    if (this.#isSettled) return
    await this.#writer.write(this.#pod, this.#status(), signal)
  }

  #status(): PodStatus {
    const { context } = this.#options
    const isInitialized = this.#life.startGroups.some((group) =>
      group.some((each) => this.#observed.runs.has(each.name)),
    )
    if (this.#hold === undefined) this.#dropWaiting((each) => each.reason === 'WaitingForSidecarInjection')
    return podStatus({
      pod: this.#pod,
      life: this.#life,
      observed: this.#observed,
      previous: this.#writer.last,
      waiting: this.#waiting,
      health: (run) => this.#probes.health(run),
      restarts: (life, run) => this.#restartWanted.has(life.name) || restartsAfter(life, run.exitCode),
      isInitialized: isInitialized || this.#initIsDone(),
      isEnded: this.#isEnded,
      verdict: this.#verdict,
      terminationMessages: this.#messages.all,
      runtimeName: context.runtimeName(),
      hostIps: context.hostIps,
      now: context.clock.now(),
      hold: this.#hold,
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

  #dropWaiting(matches: (waiting: WaitingReason) => boolean): void {
    for (const [name, waiting] of this.#waiting) if (matches(waiting)) this.#waiting.delete(name)
  }

  #noteHeldBack(plan: PodPlan): void {
    this.#dropWaiting((each) => each.reason === 'WaitingForHigherPriority')
    for (const [name, others] of plan.heldBack) {
      const message = `starts after ${others.join(', ')}, which must start or be ready first`
      this.#waiting.set(name, { reason: 'WaitingForHigherPriority', message })
    }
  }

  // -- volumes

  /** Answers whether the pod may go on. Volumes of a pod that has begun are kept current, and wait for nothing. */
  async #prepareVolumes(signal: AbortSignal): Promise<boolean> {
    const { clock, volumes, volumeSyncPeriod } = this.#context
    const hasBegun = this.#observed.sandbox !== undefined
    const now = clock.now()
    if (now < this.#volumesDue && (this.#volumes?.problems.length === 0 || !hasBegun)) {
      const isReady = this.#volumes?.problems.length === 0
      if (!isReady || this.#followsObjects()) this.#lookAgainIn(this.#volumesDue - now)
      return isReady || hasBegun
    }
    const prepared = await volumes.prepare(this.#pod, this.#place(), signal)
    const isReady = prepared.problems.length === 0
    this.#noteVolumeProblems(prepared, hasBegun)
    if (isReady || this.#volumes === undefined || !hasBegun) this.#volumes = prepared
    this.#volumeFailures = isReady ? 0 : this.#volumeFailures + 1
    const pause = isReady || hasBegun ? volumeSyncPeriod : backoffDelay(volumeBackoff, this.#volumeFailures)
    this.#volumesDue = clock.now() + pause
    if (!isReady || this.#followsObjects()) this.#lookAgainIn(pause)
    if (!isReady && !hasBegun) await this.#say(signal)
    return isReady || hasBegun
  }

  /** Only volumes that can change need to be looked at again and again. */
  #followsObjects(): boolean {
    return (this.#pod.spec.volumes ?? []).some(
      (volume) => volume.projected !== undefined || volume.downwardAPI !== undefined,
    )
  }

  #noteVolumeProblems(prepared: PreparedVolumes, hasBegun: boolean): void {
    this.#dropWaiting((each) => each.reason === notAuthorizedReason)
    for (const problem of prepared.problems) {
      const wasKnown = this.#volumes?.problems.some((each) => each.message === problem.message) === true
      if (problem.reason === notAuthorizedReason) {
        // Revoked later: the last content stays, nothing is said of it on the pod.
        if (hasBegun) continue
        if (!wasKnown) this.#context.record(this.#pod, 'Warning', problem.reason, problem.message)
        for (const name of this.#life.containers.keys()) {
          this.#waiting.set(name, { reason: problem.reason, message: problem.message })
        }
      } else {
        this.#context.record(this.#pod, 'Warning', problem.reason, problem.message)
      }
    }
  }

  // -- acting

  /** Answers whether anything was changed, so that another look is due at once. */
  async #act(plan: PodPlan, signal: AbortSignal): Promise<boolean> {
    let acted = false
    for (const action of plan.actions) acted = (await this.#actOn(action, signal)) || acted
    if (!acted) await collectEndedRuns(this.#context.runtime, this.#observed, identityOf(this.#pod), signal)
    return acted
  }

  async #actOn(action: PodAction, signal: AbortSignal): Promise<boolean> {
    const { runtime } = this.#context
    switch (action.kind) {
      case 'create-sandbox':
        return this.#createSandbox(action, signal)
      case 'kill': {
        const { life, container, message, because } = action
        this.#restartWanted.add(life.name)
        const grace = because === 'changed' ? this.#grace() : this.#probeGrace(life.spec, because)
        await this.#stopper.stop(this.#pod, life, container, message, grace, this.#stopPlace(), signal)
        return true
      }
      case 'remove':
        await runtime.removeContainer(action.container.id, signal)
        return true
      case 'start':
        return this.#start(action, signal)
    }
  }

  async #createSandbox(
    action: Extract<PodAction, { kind: 'create-sandbox' }>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { runtime, clock, dns } = this.#context
    if (clock.now() < this.#sandboxDue) {
      this.#lookAgainIn(this.#sandboxDue - clock.now())
      return false
    }
    if (action.attempt > 0) {
      this.#context.record(
        this.#pod,
        'Normal',
        'SandboxChanged',
        'Pod sandbox changed, it will be killed and re-created.',
      )
    }
    for (const id of action.replaces) await runtime.stopSandbox(id, signal)
    try {
      const { files } = runtime
      const spec = sandboxSpec(this.#pod, action.attempt, files, dns)
      await files.makeDirectory(spec.logDirectory, 0o755)
      await runtime.createSandbox(spec, signal)
      this.#sandboxFailures = 0
    } catch (error) {
      if (signal.aborted) throw error
      this.#sandboxFailures++
      const pause = backoffDelay(sandboxBackoff, this.#sandboxFailures)
      this.#sandboxDue = clock.now() + pause
      this.#lookAgainIn(pause)
      this.#context.record(
        this.#pod,
        'Warning',
        'FailedCreatePodSandBox',
        `Failed to create pod sandbox: ${messageOf(error)}`,
      )
      return false
    }
    return true
  }

  async #start(action: Extract<PodAction, { kind: 'start' }>, signal: AbortSignal): Promise<boolean> {
    const { sandbox } = this.#observed
    if (sandbox === undefined) return false
    const { life } = action
    const { clock, runtime, dns } = this.#context
    const known = this.#waiting.get(life.name)
    const due = this.#retryAt.get(life.name) ?? 0
    if (known !== undefined && retriesLater.has(known.reason) && clock.now() < due) {
      this.#lookAgainIn(due - clock.now())
      return false
    }
    if (this.#pod.spec.hostNetwork !== true) {
      const text = hostsFile(this.#pod, this.#podIps(), dns.domain)
      await runtime.files.writeFile(hostsPath(runtime.files, this.uid), Buffer.from(text), 0o644)
    }
    const { pod } = this
    const order = {
      pod,
      life,
      attempt: this.#attempt(action),
      after: action.after,
      sandbox,
      place: this.#place(),
      volumes: this.#volumes?.volumes ?? new Map(),
    }
    const answer = await this.#starter.start(order, () => this.#restartWanted.delete(life.name), signal)
    if (answer.kind === 'started') {
      this.#waiting.delete(life.name)
      this.#found.add(answer.containerId)
      this.#probes.markStarted(answer.containerId)
      return true
    }
    this.#waiting.set(life.name, answer.waiting)
    if (answer.kind === 'hook-failed') {
      await this.#killAfterHook(answer.containerId, life.name, signal)
      return true
    }
    this.#retryAt.set(life.name, answer.until)
    this.#lookAgainIn(answer.until - clock.now())
    return answer.acted
  }

  readonly #retryAt = new Map<string, number>()

  /** The runtime may have forgotten runs that the status still counts. */
  #attempt(action: Extract<PodAction, { kind: 'start' }>): number {
    if (latestRun(this.#observed, action.life.name) !== undefined) return action.attempt
    const { containerStatuses = [], initContainerStatuses = [] } = this.#writer.last
    const before = [...containerStatuses, ...initContainerStatuses].find(
      (each) => each.name === action.life.name,
    )
    return before?.containerID === undefined ? action.attempt : before.restartCount + 1
  }

  async #killAfterHook(id: string, name: string, signal: AbortSignal): Promise<void> {
    await this.#observe(signal)
    const run = latestRun(this.#observed, name)
    const life = this.#life.containers.get(name)
    if (run === undefined || run.id !== id || !isAlive(run)) return
    this.#restartWanted.add(name)
    const message = 'FailedPostStartHook'
    await this.#stopper.stop(this.#pod, life, run, message, this.#grace(), this.#stopPlace(), signal)
  }

  #grace(): number {
    const { deletionGracePeriodSeconds } = this.#pod.metadata
    return deletionGracePeriodSeconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? 30
  }

  #probeGrace(spec: Pod['spec']['containers'][number], kind: 'liveness' | 'startup'): number {
    const probe = kind === 'liveness' ? spec.livenessProbe : spec.startupProbe
    return probe?.terminationGracePeriodSeconds ?? this.#grace()
  }

  #stopPlace() {
    return { sandboxId: this.#observed.sandbox?.id ?? '', podIp: this.#podIps()[0] ?? '' }
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
    const limit = this.#pod.spec.activeDeadlineSeconds
    const began = parseTime(this.#writer.last.startTime ?? '')
    if (limit === undefined || Number.isNaN(began)) return false
    const left = began + limit * 1000 - this.#context.clock.now()
    if (left > 0) {
      this.#lookAgainIn(left)
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
      await this.#say(signal)
    }
    await this.#stopContainers(signal)
    await this.#observe(signal)
    this.#probes.close()
    for (const sandbox of this.#observed.sandboxes) {
      if (sandbox.isReady) await this.#context.runtime.stopSandbox(sandbox.id, signal)
    }
    await this.#observe(signal)
    this.#waiting.clear()
    this.#restartWanted.clear()
    this.#isEnded = true
    await this.#say(signal)
    this.#options.onEnded()
    return 'again'
  }

  async #stopContainers(signal: AbortSignal): Promise<void> {
    if (runningContainers(this.#observed).length === 0) return
    await this.#stopper.stopAll(
      this.#pod,
      this.#life,
      this.#observed,
      this.#grace(),
      this.#stopPlace(),
      signal,
    )
  }

  /** The pod is over: give its volumes back, and once it is to be deleted, let its object go. */
  async #afterEnd(signal: AbortSignal): Promise<Progress> {
    await this.#say(signal)
    if (!this.#isReleased) {
      await this.#context.volumes.remove(this.uid)
      this.#isReleased = true
    }
    if (this.#pod.metadata.deletionTimestamp === undefined) return 'rest'
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
    this.#isGone = true
    this.#cancelTimer()
    this.#options.onGone()
    return 'rest'
  }
}

/** What of a pod's object is not our own writing: changes of anything else are no news. */
function concern(pod: Pod): string {
  const { labels, annotations, generation, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata
  const theirs = (pod.status?.conditions ?? []).filter((condition) => !isOwnCondition(condition.type))
  const spec = generation === undefined ? pod.spec : undefined
  const phase = pod.status?.phase
  return JSON.stringify([
    labels,
    annotations,
    generation,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    theirs,
    spec,
    phase,
  ])
}

/** Hooks, stops and probes of all containers may listen to one step. */
function freshStep(): AbortController {
  const step = new AbortController()
  setMaxListeners(0, step.signal)
  return step
}

/** Failures to start that are tried again only after a pause, unless something they hang on changes. */
const retriesLater = new Set([
  'ErrImagePull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'ErrImageNeverPull',
  'InvalidImageName',
  'ImageInspectError',
  notAuthorizedReason,
])

function isUidConflict(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 409
}
