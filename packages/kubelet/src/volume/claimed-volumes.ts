import { type Client, isNotFound } from '@outrigger/client'
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  resources,
  type Volume,
} from '@outrigger/kube'

/** What a claim stands for on this node: a path, and what has to be there (`hostPath.type`). */
export interface ClaimedPath {
  readonly path: string
  readonly type: string
}

/** The claim a volume of a pod names, generic ephemeral volumes included. */
export function claimNameOf(pod: Pod, volume: Volume): string | undefined {
  if (volume.persistentVolumeClaim !== undefined) return volume.persistentVolumeClaim.claimName
  return volume.ephemeral === undefined ? undefined : `${pod.metadata.name}-${volume.name}`
}

/**
 * Finds what the claims of pods are bound to. A binding never changes, so each is read once for a pod's life: an idle
 * pod costs no request.
 */
export class ClaimedVolumes {
  readonly #client: Pick<Client, 'get'>
  readonly #known = new Map<string, Map<string, ClaimedPath>>()

  constructor(client: Pick<Client, 'get'>) {
    this.#client = client
  }

  /** @throws Error with a message fit for a `FailedMount` event */
  async find(pod: Pod, claimName: string, signal: AbortSignal): Promise<ClaimedPath> {
    const uid = pod.metadata.uid ?? ''
    const found = this.#known.get(uid)?.get(claimName)
    if (found !== undefined) return found
    const path = await this.#read(pod.metadata.namespace ?? '', claimName, signal)
    const own = this.#known.get(uid) ?? new Map<string, ClaimedPath>()
    own.set(claimName, path)
    this.#known.set(uid, own)
    return path
  }

  forget(podUid: string): void {
    this.#known.delete(podUid)
  }

  async #read(namespace: string, name: string, signal: AbortSignal): Promise<ClaimedPath> {
    const missing = (what: string) => (error: unknown) => {
      throw isNotFound(error) ? new Error(`${what} not found`) : error
    }
    const claim = await this.#client
      .get<PersistentVolumeClaim>(resources.persistentVolumeClaims, { namespace, name }, { signal })
      .catch(missing(`persistentvolumeclaim ${JSON.stringify(name)}`))
    const volumeName = claim.spec?.volumeName
    if (!volumeName || claim.status?.phase !== 'Bound')
      throw new Error(`error processing PVC ${namespace}/${name}: PVC is not bound`)
    const volume = await this.#client
      .get<PersistentVolume>(resources.persistentVolumes, { namespace: '', name: volumeName }, { signal })
      .catch(missing(`persistentvolume ${JSON.stringify(volumeName)}`))
    if (volume.spec?.claimRef?.uid !== claim.metadata.uid)
      throw new Error(`persistentvolume ${JSON.stringify(volumeName)} is bound to another claim`)
    return pathOf(volume)
  }
}

function pathOf({ metadata, spec }: PersistentVolume): ClaimedPath {
  if (spec?.volumeMode === 'Block') throw new Error('this node has no block devices to offer')
  if (spec?.hostPath !== undefined) return { path: spec.hostPath.path, type: spec.hostPath.type ?? '' }
  if (spec?.local !== undefined) return { path: spec.local.path, type: 'Directory' }
  throw new Error(
    `this node cannot mount the persistentvolume ${JSON.stringify(metadata.name)}: it is no folder`,
  )
}
