import { ApiError, type Client, isConflict, isNotFound } from '@outrigger/client'
import type { EventRecorder } from '@outrigger/controller'
import { type Clock, formatTime, messageOf } from '@outrigger/foundation'
import { InjectionFailure } from '@outrigger/injection'
import { keyOf, type Pod, parseKey, resources } from '@outrigger/kube'
import type { JudgedSidecarSet, PodView } from '../sidecar-set-status/pod-view.ts'
import type { SidecarSetLedger, SidecarSetTally } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { trimmedPod } from '../sidecar-set-status/trimmed-pod.ts'
import type { Refusal } from './blocker.ts'
import { type PodChange, patchBodyOf, resetChange, upgradeChange } from './pod-change.ts'
import { writeSome } from './write-some.ts'

export interface PodWriterOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly events: Pick<EventRecorder, 'event'>
  readonly ledger: SidecarSetLedger
}

/** Milliseconds until a pod is tried again that could not be changed; doubles from time to time. */
const firstPause = 5_000
const longestPause = 300_000

interface Refused {
  readonly until: number
  readonly pause: number
  readonly refusal: Refusal
}

/** Changes pods for rollouts, and remembers which of them the API server would not let it change. */
export class PodWriter {
  readonly #options: PodWriterOptions
  /** By the name of the SidecarSet, then by pod uid. */
  readonly #refused = new Map<string, Map<string, Refused>>()

  constructor(options: PodWriterOptions) {
    this.#options = options
  }

  /** Whether a pod was refused a short while ago. */
  isHeldBack(set: JudgedSidecarSet, view: PodView): boolean {
    const refused = this.#refusedOf(set, view.pod)
    return refused !== undefined && this.#options.clock.monotonic() < refused.until
  }

  /** What was refused for a SidecarSet and has not gone through since, and milliseconds until it may be tried again. */
  refusalsOf({ set, views }: SidecarSetTally): { refusals: Refusal[]; wait: number | undefined } {
    const now = this.#options.clock.monotonic()
    const refusals: Refusal[] = []
    let wait: number | undefined
    const { name } = set.sidecarSet.metadata
    const refused = this.#refused.get(name)
    if (refused === undefined) return { refusals, wait }
    for (const [uid, { until, refusal }] of refused) {
      const view = views.get(refusal.pod)
      const isDue =
        view !== undefined && (view.kind === 'waiting' || view.kind === 'resizing' || view.isResettable)
      if (!isDue || view.pod.metadata.uid !== uid) refused.delete(uid)
      else {
        refusals.push(refusal)
        if (until > now) wait = Math.min(wait ?? until - now, until - now)
      }
    }
    if (refused.size === 0) this.#refused.delete(name)
    return { refusals, wait }
  }

  /** Lets a pod wait that could not be changed: `pause` milliseconds at first, twice as long each time, `longest` at most. */
  holdBack(
    set: JudgedSidecarSet,
    pod: Pod,
    message: string,
    pause = firstPause,
    longest = longestPause,
  ): void {
    const { name } = set.sidecarSet.metadata
    const before = this.#refusedOf(set, pod)
    const longer = Math.min(longest, before === undefined ? pause : Math.max(pause, before.pause * 2))
    const refused = this.#refused.get(name) ?? new Map<string, Refused>()
    this.#refused.set(name, refused)
    refused.set(pod.metadata.uid ?? '', {
      until: this.#options.clock.monotonic() + longer,
      pause: longer,
      refusal: { pod: keyOf(pod), message },
    })
  }

  /** Forgets the pods of a SidecarSet that is gone. */
  forget(name: string): void {
    this.#refused.delete(name)
  }

  /**
   * Writes the new images to these pods, a few at a time; stops once `isCurrent` says that the SidecarSet has changed.
   * Answers with how many pods are different now. One pod's failure does not hold the others up.
   *
   * @throws the first error that is about the connection rather than about a pod, when all writes have ended.
   */
  async upgrade(
    set: JudgedSidecarSet,
    version: string,
    views: readonly PodView[],
    isCurrent: () => boolean,
    signal: AbortSignal,
  ): Promise<number> {
    const { clock } = this.#options
    return writeSome(views, isCurrent, signal, (view) =>
      this.#write(
        set,
        view,
        () => upgradeChange(view.pod, view.target, formatTime(clock.now()), version),
        signal,
      ),
    )
  }

  /** Empties what hot upgrades have left, where the new side serves. Answers with how many pods are different now. */
  async reset(
    set: JudgedSidecarSet,
    views: readonly PodView[],
    isCurrent: () => boolean,
    signal: AbortSignal,
  ): Promise<number> {
    const { name } = set.sidecarSet.metadata
    const due = views.filter((view) => !this.isHeldBack(set, view))
    return writeSome(due, isCurrent, signal, async (view) => {
      const isWritten = await this.#write(set, view, () => resetChange(view.pod, view.target), signal)
      if (isWritten)
        this.say(
          view.pod,
          'Normal',
          'ResetContainerSucceed',
          `SidecarSet ${name} reset its old container to the empty image`,
        )
      else if (this.isHeldBack(set, view))
        this.say(
          view.pod,
          'Warning',
          'ResetContainerFailed',
          this.#refusedOf(set, view.pod)?.refusal.message ?? '',
        )
      return isWritten
    })
  }

  /** Whether the pod is different now. */
  async #write(
    set: JudgedSidecarSet,
    { pod, key }: PodView,
    change: () => PodChange,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, ledger } = this.#options
    try {
      const body = patchBodyOf(pod, change())
      const written = await client.patch<Pod>(
        resources.pods,
        parseKey(key),
        { type: 'strategic', body },
        { signal },
      )
      ledger.setWritten(trimmedPod(written), pod)
      this.#refused.get(set.sidecarSet.metadata.name)?.delete(pod.metadata.uid ?? '')
      return true
    } catch (error) {
      // The cache was behind, or the pod is gone: its event brings us back.
      if (isNotFound(error) || isConflict(error)) return false
      const isAboutPod =
        error instanceof InjectionFailure ||
        (error instanceof ApiError && error.code < 500 && error.code !== 429)
      if (!isAboutPod) throw error
      this.holdBack(set, pod, messageOf(error))
      return false
    }
  }

  #refusedOf({ sidecarSet }: JudgedSidecarSet, pod: Pod): Refused | undefined {
    return this.#refused.get(sidecarSet.metadata.name)?.get(pod.metadata.uid ?? '')
  }

  /** Tells something about a pod in an event. */
  say(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#options.events.event({ ...pod, apiVersion: 'v1', kind: 'Pod' }, { type, reason, message })
  }
}
