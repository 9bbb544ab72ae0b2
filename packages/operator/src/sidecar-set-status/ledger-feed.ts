import { changePolicies, type SidecarSet, sidecarSetAnnotations, sidecarSetLabels } from '@outrigger/api'
import type { Informer } from '@outrigger/controller'
import type { Clock } from '@outrigger/foundation'
import { type ControllerRevision, deepEqual, type Namespace, type Pod } from '@outrigger/kube'
import { podsByNamespace, podsBySidecarSet } from '../pod-indexes.ts'
import type { ChangeSources } from './change-judge.ts'
import { SidecarSetLedger } from './sidecar-set-ledger.ts'

export interface LedgerFeedOptions {
  readonly clock: Clock
  readonly sidecarSets: Informer<SidecarSet>
  /** Needs the indexes of `podIndexes`. */
  readonly pods: Informer<Pod>
  readonly namespaces: Informer<Namespace>
  /** What changes are judged by, and the revisions behind it; left out: see `judged`. */
  readonly changes?: ChangeSources & { readonly revisions: Informer<ControllerRevision> }
}

/** Hears of changes after the ledger has taken them in. */
export interface LedgerListener {
  /** The SidecarSet itself, or how its pods count. */
  sidecarSetChanged?(name: string): void
  /** A pod that carries SidecarSets was seen, changed or not. */
  podSeen?(pod: Pod): void
}

/** Keeps a ledger current from informers, for as long as somebody listens. */
export class LedgerFeed {
  readonly ledger: SidecarSetLedger
  readonly #options: LedgerFeedOptions
  readonly #listeners = new Set<LedgerListener>()
  #disconnect: (() => void) | undefined

  constructor(options: LedgerFeedOptions) {
    this.#options = options
    this.ledger = new SidecarSetLedger({
      podsOf: (name) => options.pods.store.byIndex(podsBySidecarSet, name),
      namespaceLabels: (name) => options.namespaces.store.get(name)?.metadata.labels,
      now: () => options.clock.monotonic(),
      ...(options.changes && { changes: options.changes }),
    })
  }

  /** Tells about everything known, then about every change. Returns a function that ends it. */
  listen(listener: LedgerListener): () => void {
    const isFirst = this.#listeners.size === 0
    this.#listeners.add(listener)
    if (isFirst) this.#disconnect = this.#connect()
    else this.#replay(listener)
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return
      this.#disconnect?.()
      this.ledger.clear()
    }
  }

  /** Takes in what a write of ours was answered with, and tells for which SidecarSets that changes something. */
  setWritten(pod: Pod, before: Pod): void {
    for (const name of this.ledger.setWritten(pod, before)) this.#changed(name)
  }

  #replay(listener: LedgerListener): void {
    const { sidecarSets, pods } = this.#options
    for (const { metadata } of sidecarSets.store.list()) listener.sidecarSetChanged?.(metadata.name)
    for (const pod of pods.store.list()) listener.podSeen?.(pod)
  }

  #changed(name: string): void {
    for (const listener of this.#listeners) listener.sidecarSetChanged?.(name)
  }

  #seen(pod: Pod): void {
    for (const listener of this.#listeners) listener.podSeen?.(pod)
  }

  #connect(): () => void {
    const disconnects = [
      this.#followNamespaces(),
      this.#followSidecarSets(),
      this.#followPods(),
      this.#followRevisions(),
    ]
    return () => {
      for (const disconnect of disconnects) disconnect()
    }
  }

  /** Counts the pods of SidecarSets with policies for changes anew: what can be done about changes is different now. */
  recount(): void {
    if (this.#listeners.size === 0) return
    for (const sidecarSet of this.#options.sidecarSets.store.list())
      if (changePolicies(sidecarSet) !== undefined) this.#take(sidecarSet)
  }

  #take(sidecarSet: SidecarSet): void {
    const { name } = sidecarSet.metadata
    this.ledger.setSidecarSet(sidecarSet)
    this.#changed(name)
    for (const pod of this.#options.pods.store.byIndex(podsBySidecarSet, name)) this.#seen(pod)
  }

  /** A revision that pods carry, or a track asks for, is heard of after them; what a track asks for may go as well. */
  #followRevisions(): () => void {
    const { changes, sidecarSets } = this.#options
    if (changes === undefined) return () => {}
    const look = ({ metadata }: ControllerRevision, isNew: boolean) => {
      const name = metadata.labels?.[sidecarSetLabels.name] ?? ''
      const sidecarSet = sidecarSets.store.get(name)
      if (sidecarSet === undefined) return
      const isLacked = isNew && this.ledger.tallyOf(name)?.set.changes.lacks(metadata.name)
      if (isLacked || this.ledger.hasOtherTargets(name)) this.#take(sidecarSet)
    }
    return changes.revisions.onChange({
      onAdd: (revision) => look(revision, true),
      onUpdate: (revision) => look(revision, false),
      onDelete: (revision) => look(revision, false),
    })
  }

  #followSidecarSets(): () => void {
    const { sidecarSets, pods } = this.#options
    const take = (sidecarSet: SidecarSet) => this.#take(sidecarSet)
    return sidecarSets.onChange({
      onAdd: take,
      onUpdate: (sidecarSet, before) => {
        if (sidecarSet.metadata.uid !== before.metadata.uid || !countsAlike(sidecarSet, before))
          take(sidecarSet)
      },
      onDelete: ({ metadata }) => {
        this.ledger.deleteSidecarSet(metadata.name)
        this.#changed(metadata.name)
        for (const pod of pods.store.byIndex(podsBySidecarSet, metadata.name)) this.#seen(pod)
      },
    })
  }

  #followPods(): () => void {
    const take = (pod: Pod, before?: Pod) => {
      for (const name of this.ledger.setPod(pod, before)) this.#changed(name)
      this.#seen(pod)
    }
    return this.#options.pods.onChange({
      onAdd: (pod) => take(pod),
      onUpdate: take,
      onDelete: (pod) => {
        for (const name of this.ledger.deletePod(pod)) this.#changed(name)
      },
    })
  }

  /** Also for a namespace heard of after its pods. */
  #followNamespaces(): () => void {
    const { namespaces, pods } = this.#options
    const recount = ({ metadata }: Namespace) => {
      for (const pod of pods.store.byIndex(podsByNamespace, metadata.name))
        for (const name of this.ledger.setPod(pod)) this.#changed(name)
    }
    return namespaces.onChange({
      onAdd: recount,
      onUpdate: (namespace, before) => {
        if (!deepEqual(namespace.metadata.labels, before.metadata.labels)) recount(namespace)
      },
    })
  }
}

/** Annotations that pods are judged by; a change of one does not change the generation. */
const judgedBy = [
  sidecarSetAnnotations.hash,
  sidecarSetAnnotations.updatesNativeSidecars,
  sidecarSetAnnotations.tracks,
  sidecarSetAnnotations.assignBy,
  sidecarSetAnnotations.drainBeforeRestart,
]

/** Whether nothing differs that the ledger or a status looks at. */
function countsAlike(left: SidecarSet, right: SidecarSet): boolean {
  return (
    left.metadata.generation === right.metadata.generation &&
    judgedBy.every((key) => left.metadata.annotations?.[key] === right.metadata.annotations?.[key]) &&
    deepEqual(changePolicies(left), changePolicies(right)) &&
    left.status?.collisionCount === right.status?.collisionCount
  )
}
