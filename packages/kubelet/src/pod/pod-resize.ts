import type { Pod } from '@outrigger/kube'
import type { ContainerState } from '../runtime.ts'
import type { NodeContext } from './node-context.ts'
import type { ObservedPod } from './observed-pod.ts'
import type { ContainerLife } from './pod-life.ts'
import {
  type GrantResources,
  needsRestart,
  type ResizeState,
  type ResourceAllocation,
  resizeText,
} from './resource-allocation.ts'

export interface PodResizeOptions {
  readonly context: NodeContext
  readonly allocation: ResourceAllocation
  readonly grant: GrantResources
  readonly lookAgainIn: (milliseconds: number) => void
}

/** Milliseconds until room is looked for again, for a pod that is to grow. */
const deferredPause = 5_000

/** Follows the resizes of one pod: asks the node for room, and tells of each step in events. */
export class PodResize {
  readonly #options: PodResizeOptions
  #isUnderWay = false

  constructor(options: PodResizeOptions) {
    this.#options = options
  }

  /** Looks at what the spec asks for now. Answers whether something was granted. */
  review(pod: Pod, observed: ObservedPod): boolean {
    const { context, allocation, grant, lookAgainIn } = this.#options
    const news = allocation.review(pod, grant)
    const { refusal, isInProgress } = this.state(observed)
    if (refusal?.reason === 'Deferred') lookAgainIn(deferredPause)
    if (news !== undefined && news !== 'granted') {
      const message = `Pod resize ${news.reason}: ${resizeText(pod, news.message)}`
      context.record(pod, 'Warning', `Resize${news.reason}`, message)
    } else if (isInProgress !== this.#isUnderWay) {
      this.#isUnderWay = isInProgress
      const step = isInProgress ? 'Started' : 'Completed'
      context.record(pod, 'Normal', `Resize${step}`, `Pod resize ${step.toLowerCase()}: ${resizeText(pod)}`)
    }
    return news === 'granted'
  }

  state(observed: ObservedPod): ResizeState {
    return this.#options.allocation.state([...observed.runs.values()].flatMap((runs) => runs[0] ?? []))
  }

  /** What a running container has to be given, and how. */
  stepFor({ spec }: ContainerLife, run: ContainerState): 'in place' | 'restart' | undefined {
    const { allocation } = this.#options
    if (!allocation.isBehind(run)) return undefined
    return needsRestart(spec, allocation.inForce(run)) ? 'restart' : 'in place'
  }
}
