import {
  controllerRevisionOf,
  customVersionOf,
  outriggerResources,
  recordedData,
  revisionData,
  type SidecarSet,
  sidecarSetLabels,
} from '@outrigger/api'
import { type Client, isAlreadyExists, isNotFound } from '@outrigger/client'
import {
  type Controller,
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, type Logger, messageOf, type Random } from '@outrigger/foundation'
import { type ControllerRevision, deepEqual, type Namespace, type Pod, resources } from '@outrigger/kube'
import type { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import type { RevisionHistory } from './revision-history.ts'
import { superfluous } from './truncation.ts'

export interface SidecarSetHistoryOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'patch' | 'delete'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Where revisions are kept: the manager's own. */
  readonly namespace: string
  readonly sidecarSets: Informer<SidecarSet>
  readonly pods: Informer<Pod>
  readonly namespaces: Informer<Namespace>
  /** Needs the indexes of `revisionIndexes`. */
  readonly revisions: Informer<ControllerRevision>
  readonly history: RevisionHistory
  readonly feed: LedgerFeed
}

/** Milliseconds after which a write should be in the cache. */
const soon = 1_000
/** Milliseconds in which changes of pods are gathered before the history is looked at. */
const idle = 30_000

/** Records every content of a SidecarSet as a ControllerRevision, and drops the oldest beyond the limit. */
export function createSidecarSetHistoryController(options: SidecarSetHistoryOptions): Controller {
  const { sidecarSets, revisions, pods, namespaces, feed } = options
  const registrar = new Registrar(options)
  return createController({
    ...options,
    name: 'sidecarset-history',
    reconcile: (name, signal) => registrar.reconcile(name, signal),
    // Without all pods a revision that one of them carries would look unused.
    informers: [sidecarSets, revisions, pods, namespaces],
    sources: [
      // The ledger knows which revisions pods carry; what they let go of may be old enough to be dropped.
      (enqueue) => feed.listen({ sidecarSetChanged: (name) => enqueue(name, idle) }),
      (enqueue) =>
        sidecarSets.onChange({
          onAdd: ({ metadata }) => enqueue(metadata.name),
          onUpdate: ({ metadata, status }, before) => {
            const isSame =
              metadata.generation === before.metadata.generation &&
              deepEqual(metadata.labels, before.metadata.labels) &&
              status?.collisionCount === before.status?.collisionCount
            if (!isSame) enqueue(metadata.name)
          },
        }),
      (enqueue) =>
        revisions.onChange({
          onDelete: ({ metadata }) => {
            const name = metadata.labels?.[sidecarSetLabels.name]
            if (name) enqueue(name)
          },
        }),
    ],
  })
}

class Registrar {
  readonly #options: SidecarSetHistoryOptions

  constructor(options: SidecarSetHistoryOptions) {
    this.#options = options
  }

  async reconcile(name: string, signal: AbortSignal): Promise<Outcome> {
    const { sidecarSets, history } = this.#options
    const sidecarSet = sidecarSets.store.get(name)
    if (sidecarSet === undefined || sidecarSet.metadata.deletionTimestamp !== undefined) return waitForChange
    const recorded = history.of(sidecarSet)
    const data = revisionData(sidecarSet.spec)
    const same = recorded.findLast((revision) => recordedData(revision) === data)
    if (same === undefined) return this.#create(sidecarSet, recorded, signal)
    if (await this.#renew(sidecarSet, same, recorded, signal)) return lookAgain(soon)
    await this.#truncate(sidecarSet, recorded, signal)
    return waitForChange
  }

  async #create(
    sidecarSet: SidecarSet,
    recorded: readonly ControllerRevision[],
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { client, namespace } = this.#options
    const collisionCount = sidecarSet.status?.collisionCount ?? 0
    const revision = (recorded.at(-1)?.revision ?? 0) + 1
    const wanted = controllerRevisionOf(sidecarSet, { namespace, revision, collisionCount })
    try {
      await client.create<ControllerRevision>(resources.controllerRevisions, wanted, { signal })
    } catch (error) {
      if (!isAlreadyExists(error)) throw error
      await this.#resolveCollision(sidecarSet, wanted, collisionCount, signal)
    }
    return lookAgain(soon)
  }

  /** Under the name is other content, or that of a SidecarSet that is gone: the next name is tried. */
  async #resolveCollision(
    sidecarSet: SidecarSet,
    wanted: ControllerRevision,
    collisionCount: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, history } = this.#options
    const { name, namespace = '' } = wanted.metadata
    const found = await client.get<ControllerRevision>(
      resources.controllerRevisions,
      { namespace, name },
      { signal },
    )
    const isOurs = found.metadata.ownerReferences?.some(({ uid }) => uid === sidecarSet.metadata.uid) ?? false
    // The cache has merely not shown our own yet.
    if (isOurs && recordedData(found) === recordedData(wanted)) return
    if (history.of(sidecarSet).some(({ metadata }) => metadata.name === name)) return
    const body = {
      metadata: { uid: sidecarSet.metadata.uid },
      status: { collisionCount: collisionCount + 1 },
    }
    await client.patch<SidecarSet>(
      outriggerResources.sidecarSets,
      { namespace: '', name: sidecarSet.metadata.name },
      { type: 'merge', body: withCounters(sidecarSet, body) },
      { subresource: 'status', signal },
    )
  }

  /** Content that was recorded before becomes the newest again, under its old name. */
  async #renew(
    sidecarSet: SidecarSet,
    same: ControllerRevision,
    recorded: readonly ControllerRevision[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const newest = recorded.at(-1) ?? same
    const customVersion = customVersionOf(sidecarSet)
    const wantsLabel =
      customVersion !== '' && same.metadata.labels?.[sidecarSetLabels.customVersion] !== customVersion
    const wantsNumber = newest !== same
    if (!wantsLabel && !wantsNumber) return false
    const body = {
      metadata: {
        resourceVersion: same.metadata.resourceVersion,
        ...(wantsLabel && { labels: { [sidecarSetLabels.customVersion]: customVersion } }),
      },
      ...(wantsNumber && { revision: newest.revision + 1 }),
    }
    const { namespace = '', name } = same.metadata
    await this.#options.client.patch<ControllerRevision>(
      resources.controllerRevisions,
      { namespace, name },
      { type: 'merge', body },
      { signal },
    )
    return true
  }

  async #truncate(
    sidecarSet: SidecarSet,
    recorded: readonly ControllerRevision[],
    signal: AbortSignal,
  ): Promise<void> {
    const { client, feed, logger } = this.#options
    const inUse = feed.ledger.tallyOf(sidecarSet.metadata.name)?.revisions
    if (inUse === undefined) return
    const old = superfluous(sidecarSet, recorded, inUse)
    for (const { metadata } of old) {
      const { namespace = '', name, uid } = metadata
      try {
        await client.delete(
          resources.controllerRevisions,
          { namespace, name },
          { signal, ...(uid && { preconditions: { uid } }) },
        )
      } catch (error) {
        if (!isNotFound(error))
          logger.warn('an old revision could not be deleted', { revision: name, error: messageOf(error) })
      }
    }
  }
}

/** A status that has never been written lacks fields the schema requires. */
function withCounters<T extends { status: object }>({ status }: SidecarSet, body: T): T {
  if (status?.matchedPods !== undefined) return body
  return { ...body, status: { matchedPods: 0, updatedPods: 0, readyPods: 0, ...body.status } }
}
