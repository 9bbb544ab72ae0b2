import {
  outriggerResources,
  type SidecarSet,
  type SidecarSetCondition,
  type SidecarSetStatus,
} from '@outrigger/api'
import { type Client, isNotFound } from '@outrigger/client'
import { lookAgain, type Outcome, waitForChange } from '@outrigger/controller'
import { type Clock, formatTime } from '@outrigger/foundation'
import { contains } from '../ensure-object.ts'
import type { SidecarSetTally } from './sidecar-set-ledger.ts'

export interface StatusWriterOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  revisionNameOf(sidecarSet: SidecarSet): string
}

/** What a condition about a stopped rollout says. */
export interface StopReason {
  readonly reason: string
  readonly message: string
}

/** Writes statuses of SidecarSets, and only what differs. */
export class StatusWriter {
  readonly #options: StatusWriterOptions
  /** By name: the version our last write made, and what it said. */
  readonly #written = new Map<string, { readonly version: string | undefined; readonly text: string }>()

  constructor(options: StatusWriterOptions) {
    this.#options = options
  }

  /** Asks to be called again where a write is not in the cache yet. */
  async write(
    sidecarSet: SidecarSet,
    tally: SidecarSetTally,
    stop: StopReason | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { name, uid } = sidecarSet.metadata
    const status = this.#statusOf(sidecarSet, tally, stop)
    const wanted = JSON.stringify([status, uid])
    const last = this.#written.get(name)
    const has = sidecarSet.status ?? ({} as Partial<SidecarSetStatus>)
    const isRight = contains(has, status) && (stop !== undefined || !has.conditions?.length)
    if (isRight) return waitForChange
    // An API server with another definition drops conditions; saying them again would not help.
    if (last?.text === wanted && isCoreRight(has, status)) return waitForChange
    if (last?.text === wanted && isOlder(sidecarSet.metadata.resourceVersion, last.version))
      return lookAgain(1_000)
    try {
      const body = { metadata: { uid }, status: { ...status, conditions: status.conditions ?? null } }
      const { metadata } = await this.#options.client.patch<SidecarSet>(
        outriggerResources.sidecarSets,
        { namespace: '', name },
        { type: 'merge', body },
        { subresource: 'status', signal },
      )
      this.#written.set(name, { version: metadata.resourceVersion, text: wanted })
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return waitForChange
  }

  forget(name: string): void {
    this.#written.delete(name)
  }

  #statusOf(sidecarSet: SidecarSet, tally: SidecarSetTally, stop: StopReason | undefined): SidecarSetStatus {
    // The generation that was counted, which may be older than the stored one.
    const { generation } = tally.set.sidecarSet.metadata
    return {
      ...(generation !== undefined && { observedGeneration: generation }),
      matchedPods: tally.matched,
      updatedPods: tally.kinds.updated,
      readyPods: tally.ready,
      updatedReadyPods: tally.updatedReady,
      latestRevision: this.#options.revisionNameOf(tally.set.sidecarSet),
      collisionCount: sidecarSet.status?.collisionCount ?? 0,
      ...(stop && { conditions: [this.#condition(sidecarSet, stop)] }),
    }
  }

  #condition({ status }: SidecarSet, { reason, message }: StopReason): SidecarSetCondition {
    const before = status?.conditions?.find(({ type }) => type === 'Progressing')
    const lastTransitionTime =
      before?.status === 'False' && before.lastTransitionTime
        ? before.lastTransitionTime
        : formatTime(this.#options.clock.now())
    return { type: 'Progressing', status: 'False', reason, message, lastTransitionTime }
  }
}

function isCoreRight(has: Partial<SidecarSetStatus>, { conditions: _, ...core }: SidecarSetStatus): boolean {
  return contains(has, core)
}

/** Whether what is known is from before our write. */
function isOlder(known: string | undefined, written: string | undefined): boolean {
  return Number(known) < Number(written)
}
