import type { ContainerState, SandboxState } from '../runtime.ts'

/** A pod as the runtime has it. */
export interface ObservedPod {
  /** Newest first. */
  readonly sandboxes: readonly SandboxState[]
  /** The newest sandbox if it is ready. */
  readonly sandbox: SandboxState | undefined
  /** Containers by name, the latest run first, over all sandboxes. */
  readonly runs: ReadonlyMap<string, readonly ContainerState[]>
  /** Names of containers that have a run in the current sandbox. */
  readonly current: ReadonlySet<string>
}

/** Sorts what a runtime listed of one pod. */
export function observePod(sandboxes: readonly SandboxState[]): ObservedPod {
  const sorted = [...sandboxes].sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt)
  const runs = new Map<string, ContainerState[]>()
  for (const sandbox of sorted) {
    for (const container of sandbox.containers) {
      const known = runs.get(container.name)
      if (known === undefined) runs.set(container.name, [container])
      else known.push(container)
    }
  }
  for (const list of runs.values()) list.sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt)
  const newest = sorted[0]
  const sandbox = newest?.isReady === true ? newest : undefined
  return {
    sandboxes: sorted,
    sandbox,
    runs,
    current: new Set(sandbox?.containers.map((container) => container.name)),
  }
}

/** The latest run of a container. */
export function latestRun(observed: ObservedPod, name: string): ContainerState | undefined {
  return observed.runs.get(name)?.[0]
}

/** Containers whose process may still run. */
export function runningContainers(observed: ObservedPod): ContainerState[] {
  return [...observed.runs.values()].flat().filter((container) => isAlive(container))
}

/** Whether the container's process may still run. A state that is not known counts as running. */
export function isAlive(container: ContainerState): boolean {
  return container.state === 'running' || container.state === 'unknown'
}
