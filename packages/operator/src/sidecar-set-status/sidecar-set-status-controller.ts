import { outriggerResources, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import { type Client, isNotFound } from '@outrigger/client'
import { type Controller, createController, type Informer, waitForChange } from '@outrigger/controller'
import type { Clock, Logger, Random } from '@outrigger/foundation'
import { deepEqual, type Namespace, type Pod } from '@outrigger/kube'
import { contains } from '../ensure-object.ts'
import { podsByNamespace, podsBySidecarSet } from '../pod-indexes.ts'
import { StatusLedger } from './status-ledger.ts'

export interface SidecarSetStatusOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sidecarSets: Informer<SidecarSet>
  /** Needs the indexes of `podIndexes`. */
  readonly pods: Informer<Pod>
  readonly namespaces: Informer<Namespace>
}

/** Milliseconds in which changes of one SidecarSet's numbers are gathered into one write. */
const coalescing = 250

/** Keeps the status of every SidecarSet true. Writes only what differs, once for many changes. */
export function createSidecarSetStatusController(options: SidecarSetStatusOptions): Controller {
  const { client, sidecarSets, pods, namespaces } = options
  const ledger = new StatusLedger({
    podsOf: (name) => pods.store.byIndex(podsBySidecarSet, name),
    namespaceLabels: (name) => namespaces.store.get(name)?.metadata.labels,
  })
  const reconcile = async (name: string, signal: AbortSignal) => {
    const current = sidecarSets.store.get(name)
    const status = ledger.statusOf(name)
    if (current === undefined || status === undefined || contains(current.status, status))
      return waitForChange
    try {
      await client.patch<SidecarSet>(
        outriggerResources.sidecarSets,
        { namespace: '', name },
        { type: 'merge', body: { metadata: { uid: current.metadata.uid }, status } },
        { subresource: 'status', signal },
      )
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return waitForChange
  }
  return createController({
    ...options,
    name: 'sidecarset-status',
    reconcile,
    concurrency: 2,
    informers: [sidecarSets, pods, namespaces],
    sources: [
      (enqueue) =>
        sidecarSets.onChange({
          onAdd: (sidecarSet) => {
            ledger.setSidecarSet(sidecarSet)
            enqueue(sidecarSet.metadata.name, coalescing)
          },
          onUpdate: (sidecarSet, before) => {
            if (sidecarSet.metadata.generation === before.metadata.generation && sameHash(sidecarSet, before))
              return
            ledger.setSidecarSet(sidecarSet)
            enqueue(sidecarSet.metadata.name, coalescing)
          },
          onDelete: ({ metadata }) => ledger.deleteSidecarSet(metadata.name),
        }),
      (enqueue) => {
        const all = (names: readonly string[]) => {
          for (const name of names) enqueue(name, coalescing)
        }
        return pods.onChange({
          onAdd: (pod) => all(ledger.setPod(pod)),
          onUpdate: (pod, before) => all(ledger.setPod(pod, before)),
          onDelete: (pod) => all(ledger.deletePod(pod)),
        })
      },
      (enqueue) => {
        // Also for a namespace heard of after its pods.
        const recount = ({ metadata }: Namespace) => {
          for (const pod of pods.store.byIndex(podsByNamespace, metadata.name))
            for (const name of ledger.setPod(pod)) enqueue(name, coalescing)
        }
        return namespaces.onChange({
          onAdd: recount,
          onUpdate: (namespace, before) => {
            if (!deepEqual(namespace.metadata.labels, before.metadata.labels)) recount(namespace)
          },
        })
      },
    ],
  })
}

function sameHash(left: SidecarSet, right: SidecarSet): boolean {
  const hash = ({ metadata }: SidecarSet) => metadata.annotations?.[sidecarSetAnnotations.hash]
  return hash(left) === hash(right) && left.status?.collisionCount === right.status?.collisionCount
}
