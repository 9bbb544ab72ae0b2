import { podAnnotations, type SidecarSet, type SidecarSetContent } from '@outrigger/api'
import { ApiError, type Client, isConflict, isNotFound } from '@outrigger/client'
import { type Clock, messageOf } from '@outrigger/foundation'
import { InjectionFailure, sidecarResources } from '@outrigger/injection'
import { type Pod, parseKey, resources } from '@outrigger/kube'
import { injectedSidecarSets } from '../sidecar-set-status/pod-annotations.ts'
import type { JudgedSidecarSet, PodView } from '../sidecar-set-status/pod-view.ts'
import { type ResizeMark, resizeMarkOf, withResizeMark } from '../sidecar-set-status/resize-mark.ts'
import type { SidecarSetLedger } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { trimmedPod } from '../sidecar-set-status/trimmed-pod.ts'
import {
  amountsBefore,
  type ContainerAmounts,
  formerAmounts,
  resizePatch,
  resizeProgress,
  wantedAmounts,
  withAdded,
} from './resize-plan.ts'

export interface PodResizerOptions {
  readonly client: Pick<Client, 'get' | 'patch'>
  readonly clock: Clock
  readonly ledger: SidecarSetLedger
  /** The present SidecarSets. */
  sidecarSetOf(name: string): SidecarSet | undefined
  recordedContent(sidecarSet: SidecarSet, revision: string): SidecarSetContent | undefined
}

/** What one look at a pod that is to be resized has come to. */
export type ResizeStep =
  /** The node has its turn, or the cache was behind: look again. */
  | { readonly is: 'to look at again' }
  /** The amounts are in force: images and records may follow. The pod as it is now. */
  | { readonly is: 'in force'; readonly pod: Pod }
  /** Everything is as it was before. */
  | { readonly is: 'undone' }
  /** Everything is as it was before, and is not to be tried again soon. */
  | { readonly is: 'failed'; readonly message: string }

/** Milliseconds a node has for new amounts before they are taken back. */
const patience = 120_000

const again: ResizeStep = { is: 'to look at again' }

/**
 * Resizes the sidecars of pods, step by step: it is tried without being done, a mark with the amounts of before is set, the
 * amounts change, the node takes them. Only then may images and records follow, whose write takes the mark away. Every step is
 * conditional on the pod it was decided for, and the mark says for ever what there is to go back to, so that any replica goes
 * on at any step. What the API server or the node refuses leaves everything as it was.
 */
export class PodResizer {
  readonly #options: PodResizerOptions
  /** By pod uid: since when the node is waited for. */
  readonly #since = new Map<string, number>()

  constructor(options: PodResizerOptions) {
    this.#options = options
  }

  /**
   * Takes the next step. `isForward` is false where the pod is to be given back what it had: its SidecarSet no longer
   * wants it resized.
   *
   * @throws what is about the connection rather than about the pod.
   */
  async step(
    set: JudgedSidecarSet,
    view: PodView,
    isForward: boolean,
    signal: AbortSignal,
  ): Promise<ResizeStep> {
    try {
      const pod = await this.#options.client.get<Pod>(resources.pods, parseKey(view.key), { signal })
      if (!isAsJudged(pod, view.pod)) return again
      const mark = resizeMarkOf(pod, set.sidecarSet.metadata.name)
      const step =
        mark === undefined
          ? isForward
            ? await this.#begin(set, view, pod, signal)
            : ({ is: 'undone' } as const)
          : await this.#goOn(set, view, pod, mark, isForward, signal)
      if (step !== again) this.#since.delete(pod.metadata.uid ?? '')
      return step
    } catch (error) {
      if (isGone(error) || isConflict(error)) return again
      if (!isAboutPod(error)) throw error
      return { is: 'failed', message: messageOf(error) }
    }
  }

  async #begin(set: JudgedSidecarSet, view: PodView, pod: Pod, signal: AbortSignal): Promise<ResizeStep> {
    const { carried, next } = this.#amounts(set, view, pod)
    const before = amountsBefore(pod, [...carried, ...next])
    const spec = resizePatch(pod, wantedAmounts(pod, before, carried, next))
    if (spec === undefined) return { is: 'in force', pod }
    await this.#resize(pod, spec, signal, { dryRun: true })
    const marked = await this.#mark(set, pod, { uid: pod.metadata.uid ?? '', before }, signal)
    await this.#resize(marked, spec, signal)
    return again
  }

  async #goOn(
    set: JudgedSidecarSet,
    view: PodView,
    pod: Pod,
    mark: ResizeMark,
    isForward: boolean,
    signal: AbortSignal,
  ): Promise<ResizeStep> {
    if (!isForward) return this.#undo(set, pod, mark, signal)
    let wanted: readonly ContainerAmounts[]
    try {
      const { carried, next } = this.#amounts(set, view, pod)
      wanted = wantedAmounts(pod, mark.before, carried, next)
      const spec = resizePatch(pod, wanted)
      if (spec !== undefined) {
        await this.#resize(pod, spec, signal)
        return again
      }
    } catch (error) {
      if (isGone(error) || isConflict(error) || !isAboutPod(error)) throw error
      await this.#undo(set, pod, mark, signal)
      return { is: 'failed', message: messageOf(error) }
    }
    const progress = resizeProgress(pod, wanted)
    if (progress.is === 'done') return { is: 'in force', pod }
    if (progress.is === 'under way' && !this.#isOverdue(pod)) return again
    const why = progress.is === 'infeasible' ? 'its node refuses the resize' : 'its node has not resized it'
    await this.#undo(set, pod, mark, signal)
    return { is: 'failed', message: `${why}: ${progress.message}` }
  }

  /**
   * Gives the pod back what it had, and takes the mark away. Kubernetes takes no amount away from a running container: what it did
   * not have before, it keeps then.
   */
  async #undo(set: JudgedSidecarSet, pod: Pod, mark: ResizeMark, signal: AbortSignal): Promise<ResizeStep> {
    const former = formerAmounts(pod, mark.before)
    let now = pod
    for (const wanted of [former, withAdded(pod, former)]) {
      const spec = resizePatch(pod, wanted)
      if (spec === undefined) break
      try {
        now = await this.#resize(pod, spec, signal)
        break
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 422) throw error
      }
    }
    await this.#mark(set, now, undefined, signal)
    return { is: 'undone' }
  }

  #isOverdue({ metadata }: Pod): boolean {
    const uid = metadata.uid ?? ''
    const now = this.#options.clock.monotonic()
    const since = this.#since.get(uid) ?? now
    // Pods that went in the middle of it are not heard of again.
    for (const [other, begun] of this.#since) if (now - begun > 2 * patience) this.#since.delete(other)
    this.#since.set(uid, since)
    return now - since >= patience
  }

  /** What injection would give the pod today, of the content it carries and of the one it should have. */
  #amounts({ sidecarSet }: JudgedSidecarSet, { target, revision = '' }: PodView, pod: Pod) {
    const { sidecarSetOf, recordedContent } = this.#options
    const { name } = sidecarSet.metadata
    const others = injectedSidecarSets(pod).flatMap((other) =>
      other === name ? [] : (sidecarSetOf(other) ?? []),
    )
    const recorded = recordedContent(sidecarSet, revision)
    if (recorded === undefined)
      throw new InjectionFailure(`SidecarSet ${name}`, `revision ${revision}, which the pod carries, is gone`)
    return {
      carried: sidecarResources(pod, { ...sidecarSet, spec: recorded }, others),
      next: sidecarResources(pod, target.content, others),
    }
  }

  async #mark(
    { sidecarSet }: JudgedSidecarSet,
    pod: Pod,
    mark: ResizeMark | undefined,
    signal: AbortSignal,
  ): Promise<Pod> {
    const annotation = withResizeMark(pod, sidecarSet.metadata.name, mark)
    const { uid, resourceVersion } = pod.metadata
    const body = { metadata: { uid, resourceVersion, annotations: { [podAnnotations.resize]: annotation } } }
    const { client } = this.#options
    const patch = { type: 'merge', body } as const
    return this.#written(pod, await client.patch<Pod>(resources.pods, keyOf(pod), patch, { signal }))
  }

  async #resize(
    pod: Pod,
    spec: object,
    signal: AbortSignal,
    { dryRun = false }: { readonly dryRun?: boolean } = {},
  ): Promise<Pod> {
    const { uid, resourceVersion } = pod.metadata
    const resized = await this.#options.client.patch<Pod>(
      resources.pods,
      keyOf(pod),
      { type: 'strategic', body: { metadata: { uid, resourceVersion }, spec } },
      { subresource: 'resize', signal, ...(dryRun && { dryRun }) },
    )
    return dryRun ? resized : this.#written(pod, resized)
  }

  #written(before: Pod, written: Pod): Pod {
    this.#options.ledger.setWritten(trimmedPod(written), before)
    return written
  }
}

function keyOf({ metadata: { namespace = '', name } }: Pod) {
  return { namespace, name }
}

/** Whether the pod still carries what was looked at when its way was decided. */
function isAsJudged(pod: Pod, judged: Pod): boolean {
  const carried = ({ metadata: { uid, deletionTimestamp, annotations } }: Pod) =>
    JSON.stringify([uid, deletionTimestamp === undefined, annotations?.[podAnnotations.hash]])
  return carried(pod) === carried(judged)
}

/** The pod is not there, rather than the server's way to resize it, which would be missed in other words. */
function isGone(error: unknown): boolean {
  return isNotFound(error) && error instanceof ApiError && error.status.details?.name !== undefined
}

function isAboutPod(error: unknown): boolean {
  return (
    error instanceof InjectionFailure || (error instanceof ApiError && error.code < 500 && error.code !== 429)
  )
}
