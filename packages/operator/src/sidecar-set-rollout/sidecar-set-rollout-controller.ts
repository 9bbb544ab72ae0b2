import type { SidecarSet } from '@outrigger/api'
import { ApiError, type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  type Controller,
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, formatTime, type Logger, messageOf, type Random } from '@outrigger/foundation'
import { keyOf, type Pod, parseKey, resources } from '@outrigger/kube'
import { podsBySidecarSet } from '../pod-indexes.ts'
import { injectedSidecarSets } from '../sidecar-set-status/pod-state.ts'
import { selectPods } from './select-pods.ts'
import { upgradePatch } from './upgrade-patch.ts'

export interface SidecarSetRolloutOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  readonly sidecarSets: Informer<SidecarSet>
  /** Needs the indexes of `podIndexes`. */
  readonly pods: Informer<Pod>
  /** Whether selector and namespaces of the SidecarSet cover the pod. */
  selects(sidecarSet: SidecarSet, pod: Pod): boolean
}

const coalescing = 250
/** Milliseconds after which a write that the cache has not shown yet is no longer waited for. */
const expectationDeadline = 30_000

/** Rolls changed images out to running pods, in place and within the SidecarSet's budget. */
export function createSidecarSetRolloutController(options: SidecarSetRolloutOptions): Controller {
  const { sidecarSets, pods } = options
  const rollouts = new Rollouts(options)
  return createController({
    ...options,
    name: 'sidecarset-rollout',
    reconcile: (name, signal) => rollouts.reconcile(name, signal),
    concurrency: 2,
    informers: [sidecarSets, pods],
    sources: [
      (enqueue) =>
        sidecarSets.onChange({
          onAdd: ({ metadata }) => enqueue(metadata.name, coalescing),
          onUpdate: ({ metadata }, before) => {
            if (metadata.generation !== before.metadata.generation) enqueue(metadata.name, coalescing)
          },
        }),
      (enqueue) => {
        const look = (pod: Pod) => {
          for (const name of injectedSidecarSets(pod))
            if (isRolling(sidecarSets.store.get(name))) enqueue(name, coalescing)
        }
        return pods.onChange({ onAdd: look, onUpdate: look, onDelete: look })
      },
    ],
  })
}

function isRolling(sidecarSet: SidecarSet | undefined): sidecarSet is SidecarSet {
  const strategy = sidecarSet?.spec.updateStrategy
  return sidecarSet !== undefined && strategy?.type !== 'NotUpdate' && !strategy?.paused
}

class Rollouts {
  readonly #options: SidecarSetRolloutOptions
  /** By pod uid: the hash written, until the cache shows it or the time is over. */
  readonly #written = new Map<string, { readonly hash: string; readonly until: number }>()

  constructor(options: SidecarSetRolloutOptions) {
    this.#options = options
  }

  async reconcile(name: string, signal: AbortSignal): Promise<Outcome> {
    const { sidecarSets, pods, selects } = this.#options
    const sidecarSet = sidecarSets.store.get(name)
    if (!isRolling(sidecarSet)) return waitForChange
    // Two containers take turns in a hot upgrade; swapping an image under one of them would break that.
    if (
      sidecarSet.spec.containers?.some(({ upgradeStrategy }) => upgradeStrategy?.upgradeType === 'HotUpgrade')
    )
      return waitForChange
    const carriers = pods.store.byIndex(podsBySidecarSet, name).filter((pod) => selects(sidecarSet, pod))
    if (carriers.some((pod) => this.#isStale(pod))) return lookAgain(1_000)
    const { selected, notUpgradable } = selectPods(sidecarSet, carriers)
    if (notUpgradable.length > 0) this.#announce(sidecarSet, notUpgradable.length)
    const failures = await this.#upgrade(selected, sidecarSet, signal)
    if (failures.length > 0)
      throw new Error(`${failures.length} pods could not be upgraded, the first: ${failures[0]}`)
    return waitForChange
  }

  /** One pod's failure does not hold the others up. */
  async #upgrade(selected: readonly Pod[], sidecarSet: SidecarSet, signal: AbortSignal): Promise<string[]> {
    const { client, clock } = this.#options
    const failures: string[] = []
    for (const pod of selected) {
      if (signal.aborted) break
      const body = upgradePatch(pod, sidecarSet, formatTime(clock.now()))
      try {
        await client.patch<Pod>(resources.pods, parseKey(keyOf(pod)), { type: 'strategic', body }, { signal })
        this.#written.set(pod.metadata.uid ?? '', {
          hash: sidecarSet.metadata.annotations?.['kruise.io/sidecarset-hash'] ?? '',
          until: clock.monotonic() + expectationDeadline,
        })
      } catch (error) {
        if (isNotFound(error)) continue
        // The cache was behind; its next event brings us back.
        if (isConflict(error)) continue
        if (!(error instanceof ApiError)) throw error
        failures.push(`${keyOf(pod)}: ${messageOf(error)}`)
      }
    }
    return failures
  }

  /** Whether the cache does not show our last write to this pod yet. */
  #isStale(pod: Pod): boolean {
    const uid = pod.metadata.uid ?? ''
    const written = this.#written.get(uid)
    if (written === undefined) return false
    const isShown = pod.metadata.annotations?.['kruise.io/sidecarset-hash']?.includes(written.hash) ?? false
    if (!isShown && this.#options.clock.monotonic() < written.until) return true
    this.#written.delete(uid)
    return false
  }

  #announce(sidecarSet: SidecarSet, count: number): void {
    this.#options.events.event(
      { ...sidecarSet, kind: 'SidecarSet' },
      {
        type: 'Normal',
        reason: 'NotUpgradablePods',
        message: `SidecarSet in-place update detected ${count} not upgradable pod(s) in this round, will skip them.`,
      },
    )
  }
}
