import { backoffDelay } from '@outrigger/foundation'
import type { Pod } from '@outrigger/kube'
import type { PreparedVolume, PreparedVolumes } from '../volume/pod-volumes.ts'
import { notAuthorizedReason } from '../volume/reference-policy.ts'
import type { NodeContext } from './node-context.ts'
import { type PodMoment, placeOf } from './pod-moment.ts'
import type { WaitingReasons } from './waiting-reasons.ts'

/** Milliseconds. */
const volumeBackoff = { initial: 500, max: 122_000 }

/** Makes the volumes of one pod and keeps them current, each look at the time it is due. */
export class VolumeKeeper {
  readonly #context: NodeContext
  readonly #waiting: WaitingReasons
  readonly #lookAgainIn: (milliseconds: number) => void
  #prepared: PreparedVolumes | undefined
  #failures = 0
  /** Milliseconds since 1970. */
  #due = 0
  #isStale = false

  constructor(context: NodeContext, waiting: WaitingReasons, lookAgainIn: (milliseconds: number) => void) {
    this.#context = context
    this.#waiting = waiting
    this.#lookAgainIn = lookAgainIn
  }

  get volumes(): ReadonlyMap<string, PreparedVolume> {
    return this.#prepared?.volumes ?? new Map()
  }

  /** Objects or rules that the volumes follow have changed: the next look is due. */
  refresh(): void {
    this.#isStale = true
    this.#failures = 0
    this.#waiting.drop('CreateContainerConfigError', notAuthorizedReason)
  }

  /** The pod's own labels or annotations have changed, which its volumes may show. */
  renew(): void {
    this.#isStale = true
  }

  /** Answers whether the pod may go on. Volumes of a pod that has begun are kept current, and hold up nothing. */
  async prepare(moment: PodMoment, signal: AbortSignal): Promise<boolean> {
    const { clock, volumes, volumeSyncPeriod } = this.#context
    const { pod } = moment
    const hasBegun = moment.observed.sandbox !== undefined
    const wasReady = this.#prepared?.problems.length === 0
    const left = this.#isStale ? 0 : this.#due - clock.now()
    if (left > 0 && (wasReady || !hasBegun)) {
      if (!wasReady || followsObjects(pod)) this.#lookAgainIn(left)
      return wasReady || hasBegun
    }
    // What changes from here on is not in it: then the next look is due at once.
    this.#isStale = false
    const prepared = await volumes.prepare(pod, placeOf(moment, this.#context), signal).catch((error) => {
      this.#isStale = true
      throw error
    })
    const isReady = prepared.problems.length === 0
    this.#noteProblems(moment, prepared, hasBegun)
    if (isReady || this.#prepared === undefined || !hasBegun) this.#prepared = prepared
    this.#failures = isReady ? 0 : this.#failures + 1
    const pause = isReady || hasBegun ? volumeSyncPeriod : backoffDelay(volumeBackoff, this.#failures)
    this.#due = clock.now() + pause
    if (!isReady || followsObjects(pod)) this.#lookAgainIn(pause)
    return isReady || hasBegun
  }

  #noteProblems({ pod, life }: PodMoment, prepared: PreparedVolumes, hasBegun: boolean): void {
    this.#waiting.drop(notAuthorizedReason)
    for (const { reason, message } of prepared.problems) {
      const isRefusal = reason === notAuthorizedReason
      // Revoked later: the last content stays, nothing is said of it on the pod.
      if (isRefusal && hasBegun) continue
      const wasKnown = this.#prepared?.problems.some((each) => each.message === message) === true
      if (!isRefusal || !wasKnown) this.#context.record(pod, 'Warning', reason, message)
      if (isRefusal) this.#waiting.setAll(life.containers.keys(), { reason, message })
    }
  }
}

/** Only volumes that can change need to be looked at again and again. */
function followsObjects(pod: Pod): boolean {
  return (pod.spec.volumes ?? []).some(
    (volume) => volume.projected !== undefined || volume.downwardAPI !== undefined,
  )
}
