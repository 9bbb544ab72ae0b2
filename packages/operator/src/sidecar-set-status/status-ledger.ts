import type { SidecarSet, SidecarSetStatus } from '@outrigger/api'
import { type CompiledSidecarSet, compileSidecarSet, coversPod, revisionNameOf } from '@outrigger/injection'
import type { Labels, Pod } from '@outrigger/kube'
import { injectedSidecarSets, type PodState, stateOf } from './pod-state.ts'

interface Counters {
  matched: number
  updated: number
  ready: number
  updatedReady: number
}

interface Entry {
  readonly compiled: CompiledSidecarSet
  readonly counters: Counters
  /** By pod key: how the pod counts now. */
  readonly states: Map<string, PodState>
}

export interface LedgerSources {
  /** All pods whose annotation lists the SidecarSet. */
  podsOf(sidecarSet: string): Iterable<Pod>
  namespaceLabels(namespace: string): Labels | undefined
}

/**
 * How many pods carry each SidecarSet, are up to date and ready, kept current change by change: a
 * pod's event costs work for the SidecarSets the pod lists and for no others.
 */
export class StatusLedger {
  readonly #sources: LedgerSources
  readonly #entries = new Map<string, Entry>()

  constructor(sources: LedgerSources) {
    this.#sources = sources
  }

  /** Takes in a new or changed SidecarSet and counts its pods anew. */
  setSidecarSet(sidecarSet: SidecarSet): void {
    const { name } = sidecarSet.metadata
    const entry: Entry = {
      compiled: compileSidecarSet(sidecarSet),
      counters: { matched: 0, updated: 0, ready: 0, updatedReady: 0 },
      states: new Map(),
    }
    this.#entries.set(name, entry)
    for (const pod of this.#sources.podsOf(name)) this.#count(entry, pod)
  }

  deleteSidecarSet(name: string): void {
    this.#entries.delete(name)
  }

  /** Takes in a pod's change; answers with the SidecarSets whose numbers changed. */
  setPod(pod: Pod, before?: Pod): string[] {
    const names = new Set([...injectedSidecarSets(pod), ...(before ? injectedSidecarSets(before) : [])])
    return [...names].filter((name) => {
      const entry = this.#entries.get(name)
      return entry !== undefined && this.#count(entry, pod)
    })
  }

  deletePod(pod: Pod): string[] {
    return injectedSidecarSets(pod).filter((name) => {
      const entry = this.#entries.get(name)
      return entry !== undefined && this.#put(entry, keyOf(pod), undefined)
    })
  }

  /** The status a SidecarSet should have; `undefined` when there is none of this name. */
  statusOf(name: string): SidecarSetStatus | undefined {
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    const { sidecarSet } = entry.compiled
    return {
      ...(sidecarSet.metadata.generation !== undefined && {
        observedGeneration: sidecarSet.metadata.generation,
      }),
      matchedPods: entry.counters.matched,
      updatedPods: entry.counters.updated,
      readyPods: entry.counters.ready,
      updatedReadyPods: entry.counters.updatedReady,
      latestRevision: revisionNameOf(sidecarSet),
      collisionCount: sidecarSet.status?.collisionCount ?? 0,
    }
  }

  #count(entry: Entry, pod: Pod): boolean {
    const { compiled } = entry
    const lists = injectedSidecarSets(pod).includes(compiled.sidecarSet.metadata.name)
    const namespace = pod.metadata.namespace ?? ''
    const isSelected =
      lists &&
      coversPod(compiled, pod.metadata.labels ?? {}, {
        name: namespace,
        labels: this.#sources.namespaceLabels(namespace),
      })
    return this.#put(entry, keyOf(pod), stateOf(pod, compiled.sidecarSet, isSelected))
  }

  #put({ counters, states }: Entry, key: string, state: PodState | undefined): boolean {
    const before = states.get(key)
    if (before?.isUpdated === state?.isUpdated && before?.isReady === state?.isReady) return false
    if (before !== undefined) tally(counters, before, -1)
    if (state === undefined) states.delete(key)
    else {
      tally(counters, state, 1)
      states.set(key, state)
    }
    return true
  }
}

function tally(counters: Counters, { isUpdated, isReady }: PodState, by: 1 | -1): void {
  counters.matched += by
  if (isUpdated) counters.updated += by
  if (isReady) counters.ready += by
  if (isUpdated && isReady) counters.updatedReady += by
}

function keyOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`
}
