import { podAnnotations, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import type { Client } from '@outrigger/client'
import type { EventRecorder, Informer } from '@outrigger/controller'
import type { Clock, Logger } from '@outrigger/foundation'
import { parseRecords, revisionNameOf } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { evictPod } from '../eviction/evict-pod.ts'
import { OwedPods } from '../eviction/owed-pods.ts'
import { Pauses } from '../eviction/pauses.ts'
import { WebhookConfidence } from '../eviction/webhook-confidence.ts'
import { ownerOf } from '../overflow-replacement/replaceable-owner.ts'
import { injectedSidecarSets } from '../sidecar-set-status/pod-annotations.ts'
import type { JudgedSidecarSet, PodView } from '../sidecar-set-status/pod-view.ts'
import type { SidecarSetLedger } from '../sidecar-set-status/sidecar-set-ledger.ts'
import { type RenewalFacts, renewalProblem } from './renewal.ts'

export interface RecreationOptions extends RenewalFacts {
  readonly client: Pick<Client, 'createSubresource'>
  readonly clock: Clock
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  readonly pods: Informer<Pod>
  readonly ledger: SidecarSetLedger
  /** Whether a pod created now would be asked about. Nothing is evicted before. */
  isAnswering(): boolean
}

/** What has become of one pod that was to be made anew. */
export type RecreationStep =
  | { readonly is: 'leaving' }
  /** It is gone, or another has its name. */
  | { readonly is: 'gone' }
  /** `isBusy`: a disruption budget has no room, which is no fault of the pod. */
  | { readonly is: 'held back'; readonly message: string; readonly isBusy?: boolean }

/** Why no pod of a SidecarSet is evicted now. */
export interface RecreationPause {
  readonly message: string
  /** Milliseconds. */
  readonly wait: number
}

/**
 * Sends pods away whose owners make new ones, and counts those that have left until they are there again. The counting follows
 * from events of pods; a leader that has just begun counts the pods that are leaving.
 */
export class Recreation {
  readonly #options: RecreationOptions
  readonly #owed: OwedPods
  readonly #pauses: Pauses
  readonly #webhooks: WebhookConfidence
  /** By the uid of a pod that was evicted here: what it carried of the SidecarSet it was evicted for. */
  readonly #carried = new Map<string, { readonly sidecarSet: string; readonly content: string }>()

  constructor(options: RecreationOptions) {
    this.#options = options
    this.#owed = new OwedPods(() => options.clock.monotonic())
    this.#pauses = new Pauses(options.clock)
    this.#webhooks = new WebhookConfidence(options)
  }

  /** Follows pods; `changed` hears of SidecarSets to which something else is owed. Returns a function that ends it and forgets all. */
  follow(changed: (sidecarSet: string) => void): () => void {
    const tell = (names: readonly string[]) => {
      for (const name of names) changed(name)
    }
    const disconnect = this.#options.pods.onChange({
      onAdd: (pod) => tell(pod.metadata.deletionTimestamp ? this.#leaves(pod) : this.#arrives(pod)),
      onUpdate: (pod, before) => {
        if (pod.metadata.uid !== before.metadata.uid) tell([...this.#isGone(before), ...this.#arrives(pod)])
        else if (pod.metadata.deletionTimestamp && !before.metadata.deletionTimestamp) tell(this.#leaves(pod))
      },
      onDelete: (pod) => tell(this.#isGone(pod)),
    })
    return () => {
      disconnect()
      this.#owed.clear()
      this.#pauses.clear()
      this.#webhooks.shake()
      this.#carried.clear()
    }
  }

  /** How many pods owners have yet to make. */
  owedTo(sidecarSet: string): number {
    return this.#owed.countOf(sidecarSet)
  }

  /** Forgets what is owed for too long; answers with the milliseconds until the next such time. */
  expire(sidecarSet: string): number | undefined {
    const next = this.#owed.expire(sidecarSet)
    for (const uid of this.#carried.keys()) if (!this.#owed.has(uid)) this.#carried.delete(uid)
    return next
  }

  /** `undefined`: pods may be evicted. */
  pauseOf(sidecarSet: SidecarSet): RecreationPause | undefined {
    const { failures, wait } = this.#pauses.of(pauseKey(sidecarSet))
    if (wait > 0)
      return {
        wait,
        message: `evictions pause: ${failures} times in a row the new pod came without the new content`,
      }
    const silence = this.#webhooks.wait()
    return silence > 0
      ? { wait: silence, message: 'webhooks do not answer yet, so new pods would come without sidecars' }
      : undefined
  }

  /** @throws where the API server did not answer. */
  async evict(set: JudgedSidecarSet, view: PodView, signal: AbortSignal): Promise<RecreationStep> {
    const { client, pods, events, logger } = this.#options
    const { pod, key, target } = view
    const { name } = set.sidecarSet.metadata
    const { uid = '' } = pod.metadata
    if (pods.store.get(key)?.metadata.uid !== uid || this.#owed.has(uid)) return { is: 'gone' }
    const problem = renewalProblem(view, this.#options)
    if (problem !== undefined) return { is: 'held back', message: problem }
    const verdict = ownerOf(pod)
    if (!verdict.isReplaceable) return { is: 'held back', message: verdict.reason }
    // Counts as away from before the call, so that no answer that gets lost is spent twice.
    this.#owed.add({ uid, owner: verdict.owner.key, sidecarSets: this.#carriedOf(pod) }, { isOurs: true })
    this.#carried.set(uid, { sidecarSet: name, content: carriedBy(pod, name) })
    const grant = 'outrigger install --recreate-pods gives the right'
    const outcome = await evictPod(client, { key, uid }, grant, signal).catch((error: unknown) => {
      this.#owed.gone(uid)
      throw error
    })
    if (outcome.is === 'gone') {
      this.#owed.gone(uid)
      return outcome
    }
    if (outcome.is !== 'leaving') {
      this.#owed.remove(uid)
      this.#carried.delete(uid)
      return { is: 'held back', message: outcome.message, isBusy: outcome.is === 'to wait' }
    }
    const revision = revisionNameOf(target.content)
    logger.info('pod was evicted to be made anew', { sidecarSet: name, pod: key, revision })
    events.event(
      { ...pod, apiVersion: 'v1', kind: 'Pod' },
      {
        type: 'Normal',
        reason: 'RecreatedForSidecars',
        message: `Evicted for its owner to make it anew with revision ${revision} of SidecarSet ${name}`,
      },
    )
    return outcome
  }

  #leaves(pod: Pod): string[] {
    const phase = pod.status?.phase
    const sidecarSets = this.#carriedOf(pod)
    const verdict = ownerOf(pod)
    // The owner of a pod that has ended has made another long since.
    if (sidecarSets.length === 0 || !verdict.isReplaceable || phase === 'Failed' || phase === 'Succeeded')
      return []
    const { uid = '' } = pod.metadata
    this.#owed.add({ uid, owner: verdict.owner.key, sidecarSets }, { isOurs: false })
    return sidecarSets
  }

  #isGone(pod: Pod): string[] {
    // Deleted at once, without having been seen leaving.
    const left = pod.metadata.deletionTimestamp === undefined ? this.#leaves(pod) : []
    const owed = this.#owed.gone(pod.metadata.uid ?? '')
    return [...new Set([...left, ...(owed?.sidecarSets ?? [])])]
  }

  #arrives(pod: Pod): string[] {
    const verdict = ownerOf(pod)
    const owed = verdict.isReplaceable ? this.#owed.settle(verdict.owner.key) : undefined
    if (owed === undefined) return []
    const before = this.#carried.get(owed.uid)
    this.#carried.delete(owed.uid)
    if (before !== undefined) this.#judge(pod, before.sidecarSet, before.content)
    return [...owed.sidecarSets]
  }

  /** A new pod that carries what the old one did shows that eviction brings nothing. */
  #judge(pod: Pod, name: string, before: string): void {
    const { sidecarSet, targets } = this.#options.ledger.tallyOf(name)?.set ?? {}
    if (sidecarSet === undefined || targets === undefined) return
    const now = carriedBy(pod, name)
    // Another name may be on another track: what the old pod had may be right for the new one.
    const isRight = targets.all.length > 1 && now.startsWith(`${targets.of(pod).hash} `)
    if (!isRight && (now === '' || now === before)) this.#pauses.failed(pauseKey(sidecarSet))
    else this.#pauses.succeeded(pauseKey(sidecarSet))
  }

  /** The SidecarSets of a pod that make pods anew: of the others nobody counts what has left. */
  #carriedOf(pod: Pod): string[] {
    const { ledger } = this.#options
    return injectedSidecarSets(pod).filter((name) => ledger.tallyOf(name)?.set.changes.recreates)
  }
}

/** New content, or another way of injecting it, deserves another attempt. */
function pauseKey({ metadata, spec }: SidecarSet): string {
  const hash = metadata.annotations?.[sidecarSetAnnotations.hash]
  return JSON.stringify([metadata.name, hash, spec.injectionStrategy])
}

/** Tells contents apart; empty where the pod carries none. */
function carriedBy(pod: Pod, sidecarSet: string): string {
  const record = parseRecords(pod.metadata.annotations?.[podAnnotations.hash])?.get(sidecarSet)
  return record === undefined ? '' : `${record.hash} ${record.controllerRevision}`
}
