import type { Pod } from '@outrigger/kube'
import { podRequests, type Requests } from './pod-admission.ts'

/** What the pods of a node ask for together, so that nothing is promised twice. */
export class ResourceLedger {
  readonly #byPod = new Map<string, Requests>()
  readonly #used = new Map<string, number>()

  get podCount(): number {
    return this.#byPod.size
  }

  /** In the units of `podRequests`. */
  get used(): Requests {
    return Object.fromEntries(this.#used)
  }

  /** What all pods but this one use. */
  usedByOthers(podUid: string): Requests {
    const own = this.#byPod.get(podUid) ?? {}
    return Object.fromEntries([...this.#used].map(([key, amount]) => [key, amount - (own[key] ?? 0)]))
  }

  /** Counts a pod with what it asks for now, instead of what it asked for before. */
  enter(pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    this.strike(uid)
    const requests = podRequests(pod)
    this.#byPod.set(uid, requests)
    for (const [key, amount] of Object.entries(requests)) this.#add(key, amount)
  }

  /** Counts a pod no longer. Answers whether it was counted. */
  strike(podUid: string): boolean {
    const requests = this.#byPod.get(podUid)
    if (requests === undefined) return false
    this.#byPod.delete(podUid)
    for (const [key, amount] of Object.entries(requests)) this.#add(key, -amount)
    return true
  }

  #add(key: string, amount: number): void {
    this.#used.set(key, (this.#used.get(key) ?? 0) + amount)
  }
}
