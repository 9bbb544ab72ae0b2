import type { Client } from '@outrigger/client'
import { isNotFound } from '@outrigger/client'
import type { Store } from '@outrigger/controller'
import { type Clock, formatTime, type Random } from '@outrigger/foundation'
import type { InjectionFacts, RevisionSource, SidecarSetIndex, VirtualNodeFacts } from '@outrigger/injection'
import { type Namespace, type Node, resources } from '@outrigger/kube'

export interface PodFactsOptions {
  readonly client: Pick<Client, 'get'>
  readonly clock: Clock
  readonly sidecarSets: SidecarSetIndex
  readonly namespaces: Store<Namespace>
  /** Virtual nodes only. */
  readonly virtualNodes: Store<Node>
  readonly sortsContainersByName?: boolean
  /** Older contents of SidecarSets. Left out: SidecarSets that ask for one fail. */
  readonly revisions?: RevisionSource
  /** Draws lots for SidecarSets that give an older content to a share of the pods. */
  readonly random?: Random
}

/** What planning for a pod of one namespace needs to know. */
export interface PodFactsSource {
  factsFor(namespace: string, signal: AbortSignal): Promise<InjectionFacts & VirtualNodeFacts>
  isVirtualNode(nodeName: string): boolean
}

/** Facts from the caches. A namespace so new that its cache has not heard of it is asked for. */
export function createPodFacts(options: PodFactsOptions): PodFactsSource {
  const {
    client,
    clock,
    sidecarSets,
    namespaces,
    virtualNodes,
    sortsContainersByName = false,
    revisions,
    random,
  } = options
  const isVirtualNode = (name: string) => virtualNodes.get(name) !== undefined
  const labelsOf = async (name: string, signal: AbortSignal) => {
    const known = namespaces.get(name)
    if (known !== undefined) return known.metadata.labels ?? {}
    try {
      const namespace = await client.get<Namespace>(
        resources.namespaces,
        { namespace: '', name },
        { signal, timeout: 3_000 },
      )
      return namespace.metadata.labels ?? {}
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }
  return {
    isVirtualNode,
    factsFor: async (name, signal) => ({
      sidecarSets,
      namespace: { name, labels: await labelsOf(name, signal) },
      time: formatTime(clock.now()),
      sortsContainersByName,
      isVirtualNode,
      ...(revisions && { revisions }),
      ...(random && { chance: random.next() }),
    }),
  }
}
