import type { Clock } from '@outrigger/foundation'
import type { ContainerStatus, Pod, Probe } from '@outrigger/kube'
import type { NodeContext } from '../pod/node-context.ts'
import { latestRun } from '../pod/observed-pod.ts'
import type { ContainerHealth } from '../pod/plan-pod.ts'
import { type ContainerLife, fieldPathOf } from '../pod/pod-life.ts'
import { type PodMoment, podIpsOf } from '../pod/pod-moment.ts'
import type { ContainerState, PodRuntime } from '../runtime.ts'
import type { Dial } from './connection.ts'
import { attemptProbe } from './probe-attempt.ts'
import { ProbeLoop } from './probe-loop.ts'

export interface PodProbesOptions {
  readonly runtime: PodRuntime
  readonly clock: Clock
  /** Something has turned: look at the pod. */
  readonly onTurn: () => void
  readonly report: (fieldPath: string, message: string) => void
}

interface ProbedRun {
  readonly name: string
  readonly loops: Partial<Record<ProbeKind, ProbeLoop>>
  hasStartedHook: boolean
}

type ProbeKind = 'startup' | 'liveness' | 'readiness'

const titles = { startup: 'Startup', liveness: 'Liveness', readiness: 'Readiness' } as const

/** The probes of one pod. A container without probes costs nothing here. */
export class PodProbes {
  readonly #options: PodProbesOptions
  readonly #runs = new Map<string, ProbedRun>()

  constructor(options: PodProbesOptions) {
    this.#options = options
  }

  /**
   * Probes what runs, and nothing else. `hasStarted` says of a run that it is past its hook: one that an earlier
   * kubelet started, or one of our own whose hook has ended.
   */
  follow(moment: PodMoment, context: NodeContext, hasStarted: (runId: string) => boolean): void {
    const alive = new Set<string>()
    const { pod, life, observed } = moment
    const { sandbox } = observed
    for (const each of life.containers.values()) {
      const run = latestRun(observed, each.name)
      if (run?.state !== 'running' || sandbox === undefined || !observed.current.has(each.name)) continue
      alive.add(run.id)
      const place = { podIp: podIpsOf(moment, context)[0] ?? '', dial: context.dialTo(sandbox.id) }
      const isPastHook = hasStarted(run.id) || each.spec.lifecycle?.postStart === undefined
      this.begin(each, run, place, hasStarted(run.id) ? statusOfRun(pod, run) : undefined, isPastHook)
    }
    this.keepOnly(alive)
  }

  /**
   * Begins to probe a run. `before` is the status that an earlier kubelet wrote of the same run: what it
   * had found out still counts until a probe says otherwise.
   */
  begin(
    life: ContainerLife,
    run: ContainerState,
    place: { readonly podIp: string; readonly dial: Dial },
    before: ContainerStatus | undefined,
    hasStartedHook: boolean,
  ): void {
    if (this.#runs.has(run.id)) return
    const probed: ProbedRun = { name: life.name, loops: {}, hasStartedHook }
    this.#runs.set(run.id, probed)
    const add = (kind: ProbeKind, probe: Probe | undefined, initially: boolean | undefined) => {
      if (probe === undefined || probed.loops[kind] !== undefined) return
      const target = { container: life.spec, containerId: run.id, ...place }
      probed.loops[kind] = new ProbeLoop({
        probe,
        clock: this.#options.clock,
        startedAt: run.startedAt,
        initially,
        attempt: (signal) => attemptProbe(probe, target, this.#options.runtime, this.#options.clock, signal),
        isWanted: () => this.#isWanted(kind, probed),
        onFailure: (output) =>
          this.#options.report(fieldPathOf(life), `${titles[kind]} probe failed: ${output}`),
        onUnknown: (output) =>
          this.#options.report(
            fieldPathOf(life),
            `${titles[kind]} probe errored and resulted in unknown state: ${output}`,
          ),
        onTurn: (isPassing) => this.#turn(kind, probed, isPassing),
      })
    }
    add('startup', life.spec.startupProbe, before?.started === true ? true : undefined)
    add('liveness', life.spec.livenessProbe, undefined)
    add('readiness', life.spec.readinessProbe, before?.ready === true ? true : undefined)
    for (const loop of Object.values(probed.loops)) loop.start()
  }

  /** The postStart hook of a run has ended well: from now on it may count as started. */
  markStarted(runId: string): void {
    const probed = this.#runs.get(runId)
    if (probed === undefined || probed.hasStartedHook) return
    probed.hasStartedHook = true
    this.#hurry(probed)
  }

  /** Stops probing all runs but these. */
  keepOnly(runIds: ReadonlySet<string>): void {
    for (const [id, probed] of this.#runs) {
      if (runIds.has(id)) continue
      for (const loop of Object.values(probed.loops)) loop.stop()
      this.#runs.delete(id)
    }
  }

  /** From now on nothing is killed for being unhealthy; readiness is still asked for. */
  stopKilling(): void {
    for (const probed of this.#runs.values()) {
      probed.loops.startup?.stop()
      probed.loops.liveness?.stop()
    }
  }

  close(): void {
    this.keepOnly(new Set())
  }

  health(run: ContainerState): ContainerHealth {
    const probed = this.#runs.get(run.id)
    if (probed === undefined || run.state !== 'running') {
      return { isStarted: false, isReady: false, failed: undefined }
    }
    const { startup, liveness, readiness } = probed.loops
    const isStarted = probed.hasStartedHook && (startup === undefined || startup.isPassing === true)
    return {
      isStarted,
      isReady: isStarted && (readiness === undefined || readiness.isPassing === true),
      failed:
        startup?.isPassing === false ? 'startup' : liveness?.isPassing === false ? 'liveness' : undefined,
    }
  }

  #isWanted(kind: ProbeKind, probed: ProbedRun): boolean {
    const hasPassedStartup = probed.loops.startup === undefined || probed.loops.startup.isPassing === true
    return kind === 'startup' ? !hasPassedStartup : hasPassedStartup && probed.hasStartedHook
  }

  #turn(kind: ProbeKind, probed: ProbedRun, isPassing: boolean): void {
    // A run that is to be killed is asked no more: what it answers while it goes is nobody's concern.
    if (kind !== 'readiness' && !isPassing) probed.loops[kind]?.stop()
    if (kind === 'startup' && isPassing) {
      probed.loops.startup?.stop()
      this.#hurry(probed)
    }
    this.#options.onTurn()
  }

  #hurry(probed: ProbedRun): void {
    probed.loops.liveness?.hurry()
    probed.loops.readiness?.hurry()
  }
}

function statusOfRun(pod: Pod, run: ContainerState): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
  return [...containerStatuses, ...initContainerStatuses].find((each) =>
    each.containerID?.endsWith(`/${run.id}`),
  )
}
