import { messageOf, withDeadline } from '@outrigger/foundation'
import type { Pod } from '@outrigger/kube'
import type { ContainerState } from '../runtime.ts'
import { runHook } from './lifecycle-hook.ts'
import type { NodeContext } from './node-context.ts'
import { isAlive, type ObservedPod, runningContainers } from './observed-pod.ts'
import { type ContainerLife, type ExitGroup, fieldPathOf, type PodLife } from './pod-life.ts'

/** Shorter grace than this is not given: a process needs a moment to end (kubelet's rule). */
const leastGraceSeconds = 2

/** Where preStop hooks find the pod. */
export interface StopPlace {
  readonly sandboxId: string
  readonly podIp: string
}

/** Stops containers of one pod in good order. */
export class ContainerStopper {
  readonly #context: NodeContext
  /** Runs that were announced as stopping, so that a second try says nothing. */
  readonly #announced = new Set<string>()
  /** Runs whose preStop hook was begun: it runs once. */
  readonly #hooked = new Set<string>()

  constructor(context: NodeContext) {
    this.#context = context
  }

  /** Stops one container, after its preStop hook. */
  async stop(
    pod: Pod,
    life: ContainerLife | undefined,
    run: ContainerState,
    message: string,
    graceSeconds: number,
    place: StopPlace,
    signal: AbortSignal,
  ): Promise<void> {
    this.#announce(pod, life, run, message)
    const deadline = this.#context.clock.monotonic() + graceSeconds * 1000
    await this.#preStop(pod, life, run, graceSeconds, place, signal)
    await this.#end(run, deadline, signal)
  }

  /**
   * Stops all that runs, group after group. Every container is announced at once. With a shared grace all
   * preStop hooks begin at once too and everybody lives on what is left; a group with a grace of its own
   * begins its hooks and its grace when its turn comes.
   */
  async stopAll(
    pod: Pod,
    life: PodLife,
    observed: ObservedPod,
    graceSeconds: number,
    place: StopPlace,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#context
    const alive = runningContainers(observed)
    for (const run of alive)
      this.#announce(pod, life.containers.get(run.name), run, `Stopping container ${run.name}`)
    const shared = clock.monotonic() + graceSeconds * 1000
    const hooks = new Map<string, Promise<void>>()
    const groups = groupsOf(life.exitGroups, alive)
    for (const group of groups.filter((each) => each.grace === 'shared')) {
      for (const run of group.runs) {
        hooks.set(run.id, this.#preStop(pod, life.containers.get(run.name), run, graceSeconds, place, signal))
      }
    }
    for (const group of groups) {
      const deadline = group.grace === 'own' ? clock.monotonic() + graceSeconds * 1000 : shared
      await Promise.all(
        group.runs.map(async (run) => {
          await (hooks.get(run.id) ??
            this.#preStop(pod, life.containers.get(run.name), run, graceSeconds, place, signal))
          await this.#end(run, deadline, signal)
        }),
      )
    }
  }

  #announce(pod: Pod, life: ContainerLife | undefined, run: ContainerState, message: string): void {
    if (this.#announced.has(run.id)) return
    this.#announced.add(run.id)
    this.#context.record(
      pod,
      'Normal',
      'Killing',
      message,
      life === undefined ? undefined : fieldPathOf(life),
    )
  }

  async #preStop(
    pod: Pod,
    life: ContainerLife | undefined,
    run: ContainerState,
    graceSeconds: number,
    place: StopPlace,
    signal: AbortSignal,
  ): Promise<void> {
    const hook = life?.spec.lifecycle?.preStop
    if (life === undefined || hook === undefined || graceSeconds <= 0 || this.#hooked.has(run.id)) return
    this.#hooked.add(run.id)
    const { runtime, clock } = this.#context
    const hookPlace = { runtime, clock, dial: this.#context.dialTo(place.sandboxId), podIp: place.podIp }
    try {
      await withDeadline(
        clock,
        graceSeconds * 1000,
        'PreStopHook',
        (inner) => runHook(hook, pod, life, run.id, hookPlace, graceSeconds, inner),
        signal,
      )
    } catch (error) {
      if (signal.aborted) throw error
      this.#context.logger.debug('preStop hook failed', { container: run.name, error: messageOf(error) })
      this.#context.record(pod, 'Warning', 'FailedPreStopHook', 'PreStopHook failed', fieldPathOf(life))
    }
  }

  async #end(run: ContainerState, deadline: number, signal: AbortSignal): Promise<void> {
    const left = Math.ceil((deadline - this.#context.clock.monotonic()) / 1000)
    await this.#context.runtime.stopContainer(run.id, Math.max(leastGraceSeconds, left), signal)
  }
}

interface RunningGroup {
  readonly grace: ExitGroup['grace']
  readonly runs: readonly ContainerState[]
}

/** Containers that the model does not know (their spec is gone) end in the first group. */
function groupsOf(exitGroups: readonly ExitGroup[], alive: readonly ContainerState[]): RunningGroup[] {
  const known = new Set(exitGroups.flatMap((group) => group.names))
  const strays = alive.filter((run) => !known.has(run.name))
  const groups = exitGroups.map((group) => ({
    grace: group.grace,
    runs: alive.filter((run) => isAlive(run) && group.names.includes(run.name)),
  }))
  if (strays.length > 0) groups.unshift({ grace: 'shared', runs: strays })
  return groups.filter((group) => group.runs.length > 0)
}
