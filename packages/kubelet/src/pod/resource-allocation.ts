import type { Container, Pod, ResourceRequirements } from '@outrigger/kube'
import { parseQuantity } from '@outrigger/kube'
import type { ContainerState } from '../runtime.ts'
import type { Amount } from './amount.ts'
import { resourcesAnnotation } from './container-record.ts'

/** Why a pod is not given what its spec asks for now. */
export interface ResizeRefusal {
  /** `Infeasible`: never on this node. `Deferred`: not while the other pods are here. */
  readonly reason: 'Infeasible' | 'Deferred'
  readonly message: string
}

/** What the status says of a resize. */
export interface ResizeState {
  readonly refusal: ResizeRefusal | undefined
  /** What was granted is not yet in force, perhaps because the runtime refuses it. */
  readonly isInProgress: boolean
  readonly error: string | undefined
}

/** Says whether the node can give a pod what its spec asks for, and if so, counts it. */
export type GrantResources = (pod: Pod) => ResizeRefusal | undefined

type Resources = Readonly<ResourceRequirements>

/**
 * What the containers of one pod were granted, and what is in force. The spec is only a wish: it is granted when
 * the node has room, and comes into force in the running container. Both are found again from the status and the
 * runtime.
 */
export class ResourceAllocation {
  /** By container name. */
  readonly #granted = new Map<string, Resources>()
  /** By run. */
  readonly #inForce = new Map<string, Resources>()
  #refusal: ResizeRefusal | undefined
  #error: string | undefined

  constructor(pod: Pod) {
    for (const container of resizable(pod)) {
      const status = statusOf(pod, container.name)
      const id = status?.containerID?.split('://')[1]
      const isKnown = id !== undefined && status?.resources !== undefined
      this.#granted.set(container.name, (isKnown ? grantedIn(status) : undefined) ?? resourcesOf(container))
      if (isKnown) this.#inForce.set(id, status.resources!)
    }
  }

  /** The pod with what it was granted in place of what it wishes. */
  granted(pod: Pod): Pod {
    if (this.#refusal === undefined && this.wishes(pod).length === 0) return pod
    const grant = (container: Container): Container => {
      const resources = this.#granted.get(container.name)
      return resources === undefined ? container : { ...container, resources }
    }
    const { initContainers } = pod.spec
    return {
      ...pod,
      spec: {
        ...pod.spec,
        containers: pod.spec.containers.map(grant),
        ...(initContainers !== undefined && { initContainers: initContainers.map(grant) }),
      },
    }
  }

  /** Containers whose spec asks for something other than what was granted. */
  wishes(pod: Pod): readonly Container[] {
    return resizable(pod).filter((container) => {
      const granted = this.#granted.get(container.name)
      return granted === undefined || !sameResources(granted, resourcesOf(container))
    })
  }

  /** Grants what the spec asks for, all or nothing. Answers with what has become of it; undefined: nothing new. */
  review(pod: Pod, grant: GrantResources): 'granted' | ResizeRefusal | undefined {
    const wishes = this.wishes(pod)
    if (wishes.length === 0) {
      this.#refusal = undefined
      return undefined
    }
    const before = this.#refusal
    this.#refusal = grant(pod)
    if (this.#refusal !== undefined) {
      return before?.message === this.#refusal.message ? undefined : this.#refusal
    }
    for (const container of wishes) this.#granted.set(container.name, resourcesOf(container))
    this.#error = undefined
    return 'granted'
  }

  /** What is in force in a run: what it was made with, unless it was changed since. */
  inForce(run: ContainerState): Resources {
    return this.#inForce.get(run.id) ?? recorded(run) ?? this.#granted.get(run.name) ?? {}
  }

  /** Whether a run has yet to be given what was granted. */
  isBehind(run: ContainerState): boolean {
    const granted = this.#granted.get(run.name)
    return run.state === 'running' && granted !== undefined && !sameResources(granted, this.inForce(run))
  }

  noteInForce(run: ContainerState, resources: Resources): void {
    this.#inForce.set(run.id, resources)
    this.#error = undefined
  }

  noteError(message: string): void {
    this.#error = message
  }

  state(runs: Iterable<ContainerState>): ResizeState {
    const isInProgress = [...runs].some((run) => this.isBehind(run))
    return { refusal: this.#refusal, isInProgress, error: isInProgress ? this.#error : undefined }
  }
}

/** Whether one of the resources that differ asks for a restart of the container. */
export function needsRestart(container: Container, inForce: Resources): boolean {
  return (container.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === 'RestartContainer' &&
      !(
        sameAmount(container.resources?.requests?.[resourceName], inForce.requests?.[resourceName]) &&
        sameAmount(container.resources?.limits?.[resourceName], inForce.limits?.[resourceName])
      ),
  )
}

/** What a pod wishes, as events tell it. */
export function resizeText(pod: Pod, error?: string): string {
  const { generation } = pod.metadata
  const containers = resizable(pod).map((each) => ({ name: each.name, resources: resourcesOf(each) }))
  return JSON.stringify({ containers, generation, ...(error !== undefined && { error }) })
}

/** Main containers and native sidecars. */
function resizable(pod: Pod): readonly Container[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...sidecars, ...pod.spec.containers]
}

function resourcesOf(container: Container): Resources {
  const { limits, requests } = container.resources ?? {}
  return { ...(limits !== undefined && { limits }), ...(requests !== undefined && { requests }) }
}

function statusOf(pod: Pod, name: string) {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
  return [...containerStatuses, ...initContainerStatuses].find((status) => status.name === name)
}

/** Limits are granted with the requests: where the requests in force are the granted ones, so are the limits. */
function grantedIn(status: NonNullable<ReturnType<typeof statusOf>>): Resources | undefined {
  const { resources, allocatedResources } = status
  if (!sameList(resources?.requests, allocatedResources)) return undefined
  return resources
}

function recorded(run: ContainerState): Resources | undefined {
  const text = run.annotations[resourcesAnnotation]
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Resources
  } catch {
    return undefined
  }
}

function sameResources(a: Resources, b: Resources): boolean {
  return sameList(a.limits, b.limits) && sameList(a.requests, b.requests)
}

type AmountList = Readonly<Record<string, Amount>> | undefined

function sameList(a: AmountList = {}, b: AmountList = {}): boolean {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => sameAmount(a[key], b[key]))
}

function sameAmount(a: Amount | undefined, b: Amount | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined) return false
  return parseQuantity(a)?.nanos === parseQuantity(b)?.nanos
}
