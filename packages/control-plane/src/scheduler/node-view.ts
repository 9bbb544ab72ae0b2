import type { Node, Pod } from '@outrigger/kube'
import { type PodDemand, podDemand } from './pod-demand.ts'

/** What the scheduler knows of one node: the object and the sum of what its pods asked for. */
export class NodeView {
  readonly name: string
  /** Absent while pods are known to be bound to the node but the node itself has not been seen. */
  node: Node | undefined
  /** Pods bound here and not finished, by uid. */
  readonly pods = new Map<string, PlacedPod>()
  /** What those pods ask for, by resource name; cpu in thousandths, everything else in units. */
  readonly requested = new Map<string, number>()

  constructor(name: string) {
    this.name = name
  }

  place(pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    this.remove(uid)
    const placed = { pod, demand: podDemand(pod) }
    this.pods.set(uid, placed)
    this.#add(placed.demand, 1)
  }

  remove(uid: string): void {
    const placed = this.pods.get(uid)
    if (placed === undefined) return
    this.pods.delete(uid)
    this.#add(placed.demand, -1)
  }

  #add(demand: PodDemand, sign: number): void {
    for (const [resource, amount] of demand.requests) {
      this.requested.set(resource, (this.requested.get(resource) ?? 0) + sign * amount)
    }
  }
}

export interface PlacedPod {
  readonly pod: Pod
  readonly demand: PodDemand
}

/** A node that has been seen, with what is placed on it. */
export type ExistingNode = NodeView & { node: Node }
