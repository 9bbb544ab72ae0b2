import {
  outriggerResources,
  type SidecarSet,
  type SidecarSetResourceBinding,
  sidecarSetLabels,
  virtualNodeNames,
} from '@outrigger/api'
import { ApiError, type ClusterClient, isNotFound, listAll, type Reader } from '@outrigger/client'
import { UserError } from '@outrigger/foundation'
import { SidecarSetIndex } from '@outrigger/injection'
import {
  type ControllerRevision,
  type Event,
  type Namespace,
  type Node,
  type Pod,
  resources,
} from '@outrigger/kube'
import { readRelease, readResizeSupport } from '@outrigger/operator'
import type { ClusterPicture } from '../manifests/cluster-picture.ts'
import { recordedContents } from '../rollout/revision-history.ts'
import type { RecordedContents } from '../rollout/rollout-state.ts'

type Client = Pick<Reader, 'get' | 'list'>
type AskingClient = Client & Pick<ClusterClient, 'raw'>

/** What a live cluster says about everything that decides on injection, at about one moment. */
export async function readPicture(client: AskingClient): Promise<ClusterPicture> {
  const { nodeTypeLabel, nodeType } = virtualNodeNames
  const [release, canResizePods, sidecarSets, bindings, namespaces, nodes] = await Promise.all([
    readRelease(client),
    readResizeSupport(client),
    listAll<SidecarSet>(client, outriggerResources.sidecarSets),
    // A cluster may have SidecarSets without resource bindings; then nothing is granted.
    listAll<SidecarSetResourceBinding>(client, outriggerResources.sidecarSetResourceBindings).catch(
      emptyIfUnknown,
    ),
    listAll<Namespace>(client, resources.namespaces),
    listAll<Node>(client, resources.nodes, { labelSelector: `${nodeTypeLabel}=${nodeType}` }),
  ])
  const labelsByNamespace = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]))
  const virtualNodes = new Set(nodes.map(({ metadata }) => metadata.name))
  const index = new SidecarSetIndex(sidecarSets)
  index.release = release
  return {
    sidecarSets: index,
    bindings,
    namespace: (name) => ({ name, labels: labelsByNamespace.get(name) }),
    isVirtualNode: (name) => virtualNodes.has(name),
    canResizePods,
  }
}

function emptyIfUnknown(error: unknown): never[] {
  if (isNotFound(error)) return []
  throw error
}

export function readPods(client: Client): Promise<Pod[]> {
  return listAll<Pod>(client, resources.pods)
}

/** @throws UserError when there is no such pod. */
export async function readPod(client: Client, namespace: string, name: string): Promise<Pod> {
  try {
    return await client.get<Pod>(resources.pods, { namespace, name })
  } catch (error) {
    if (isNotFound(error))
      throw new UserError(`there is no pod ${namespace}/${name}`, 'name it as NAMESPACE/NAME, or with -n', {
        cause: error,
      })
    throw error
  }
}

/**
 * What the manager last said about sidecars that a pod cannot be given where it is; `undefined` if nothing, or nothing that
 * the user may read.
 */
export async function readRefusal(client: Client, pod: Pod): Promise<string | undefined> {
  const { namespace = '', name, uid } = pod.metadata
  const fieldSelector = `involvedObject.kind=Pod,involvedObject.name=${name}`
  const events = await listAll<Event>(client, resources.events, { namespace, fieldSelector }).catch(() => [])
  const latest = events
    .filter(({ involvedObject }) => involvedObject.uid === uid)
    .filter(({ reason }) => reason === 'VirtualNodeLabelRefused' || reason === 'SidecarsNeedReplacement')
    .sort((a, b) => (a.lastTimestamp ?? '').localeCompare(b.lastTimestamp ?? ''))
    .at(-1)
  return latest?.message
}

/** @throws UserError when there is no such SidecarSet, or no SidecarSets at all. */
export async function readSidecarSet(client: Client, name: string): Promise<SidecarSet> {
  try {
    return await client.get<SidecarSet>(outriggerResources.sidecarSets, { namespace: '', name })
  } catch (error) {
    // Without a name it is the resource itself that the server does not know.
    if (error instanceof ApiError && error.code === 404 && error.status.details?.name !== undefined)
      throw new UserError(`there is no SidecarSet ${name}`, 'kubectl get sidecarsets lists those there are', {
        cause: error,
      })
    throw error
  }
}

/** The recorded revisions of a SidecarSet, oldest first, wherever the manager keeps them. */
export async function readRevisions(client: Client, sidecarSet: SidecarSet): Promise<ControllerRevision[]> {
  const revisions = await listAll<ControllerRevision>(client, resources.controllerRevisions, {
    labelSelector: `${sidecarSetLabels.name}=${sidecarSet.metadata.name}`,
  })
  return revisions
    .filter(({ metadata }) => {
      const owner = metadata.ownerReferences?.find(({ controller }) => controller)
      return owner === undefined || owner.uid === sidecarSet.metadata.uid
    })
    .sort(
      (left, right) => left.revision - right.revision || (left.metadata.name < right.metadata.name ? -1 : 1),
    )
}

/** What earlier revisions of a SidecarSet recorded; nothing, and a word of it, where the user may not read them. */
export async function readContents(client: Client, sidecarSet: SidecarSet): Promise<RecordedContents> {
  try {
    return recordedContents(await readRevisions(client, sidecarSet))
  } catch (error) {
    if (error instanceof ApiError && error.code === 403) return { ...recordedContents([]), isForbidden: true }
    throw error
  }
}
