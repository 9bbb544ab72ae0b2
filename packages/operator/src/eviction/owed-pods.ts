/** A pod that leaves, and who cares. */
export interface LeavingPod {
  readonly uid: string
  /** Key of the owner that makes a new pod; `undefined` where nobody does. */
  readonly owner: string | undefined
  readonly sidecarSets: readonly string[]
}

/** A pod that is leaving or has left, and whose owner has not made another yet. */
export interface OwedPod {
  readonly uid: string
  readonly owner: string
  readonly sidecarSets: readonly string[]
  /** Whether we evicted it. */
  readonly isOurs: boolean
  /** Since when it is gone, on the clock given; `undefined` while it is there. */
  readonly goneAt: number | undefined
}

/** Milliseconds after which an owner that has made no new pod is taken to want none. */
const patience = 60_000

/** The pods that owners still have to make. Each counts as unavailable, so that a budget is not spent twice. */
export class OwedPods {
  readonly #now: () => number
  readonly #pods = new Map<string, OwedPod>()
  readonly #byOwner = new Map<string, Set<string>>()
  readonly #bySidecarSet = new Map<string, Set<string>>()

  constructor(now: () => number) {
    this.#now = now
  }

  has(uid: string): boolean {
    return this.#pods.has(uid)
  }

  /** How many a SidecarSet waits for. */
  countOf(sidecarSet: string): number {
    return this.#bySidecarSet.get(sidecarSet)?.size ?? 0
  }

  /** The pod leaves. Nothing is owed where nobody makes new pods, and one pod is owed once. */
  add({ uid, owner, sidecarSets }: LeavingPod, { isOurs }: { readonly isOurs: boolean }): void {
    if (owner === undefined) return
    const known = this.#pods.get(uid)
    if (known !== undefined) {
      // It may have been given up for gone too early.
      this.#pods.set(uid, { ...known, goneAt: undefined })
      return
    }
    this.#pods.set(uid, { uid, owner, sidecarSets, isOurs, goneAt: undefined })
    put(this.#byOwner, owner, uid)
    for (const name of sidecarSets) put(this.#bySidecarSet, name, uid)
  }

  /** The pod stays after all. */
  remove(uid: string): OwedPod | undefined {
    const owed = this.#pods.get(uid)
    if (owed === undefined) return undefined
    this.#pods.delete(uid)
    take(this.#byOwner, owed.owner, uid)
    for (const name of owed.sidecarSets) take(this.#bySidecarSet, name, uid)
    return owed
  }

  /** The pod is gone: from now on its owner is waited for, and not for ever. */
  gone(uid: string): OwedPod | undefined {
    const owed = this.#pods.get(uid)
    if (owed !== undefined) this.#pods.set(uid, { ...owed, goneAt: owed.goneAt ?? this.#now() })
    return owed
  }

  /** An owner has made a pod: the first one it owes is settled, one for one. */
  settle(owner: string): OwedPod | undefined {
    const [first] = this.#byOwner.get(owner) ?? []
    return first === undefined ? undefined : this.remove(first)
  }

  /** Forgets what is owed to a SidecarSet for too long; answers with the milliseconds until the next such time. */
  expire(sidecarSet: string): number | undefined {
    let next: number | undefined
    for (const uid of [...(this.#bySidecarSet.get(sidecarSet) ?? [])]) {
      const goneAt = this.#pods.get(uid)?.goneAt
      if (goneAt === undefined) continue
      const left = goneAt + patience - this.#now()
      if (left <= 0) this.remove(uid)
      else next = Math.min(next ?? left, left)
    }
    return next
  }

  clear(): void {
    this.#pods.clear()
    this.#byOwner.clear()
    this.#bySidecarSet.clear()
  }
}

function put(map: Map<string, Set<string>>, key: string, value: string): void {
  const values = map.get(key) ?? new Set()
  map.set(key, values.add(value))
}

function take(map: Map<string, Set<string>>, key: string, value: string): void {
  const values = map.get(key)
  if (values?.delete(value) && values.size === 0) map.delete(key)
}
