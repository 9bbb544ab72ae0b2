import { join } from 'node:path'
import { messageOf } from '@outrigger/foundation'
import type { ConfigMap, Pod, Secret, Volume } from '@outrigger/kube'
import { amountOf } from '../pod/amount.ts'
import { identityOf } from '../pod/container-record.ts'
import type { PodPlace } from '../pod/field-ref.ts'
import type { PodFiles } from '../runtime.ts'
import { type ClaimedVolumes, claimNameOf } from './claimed-volumes.ts'
import {
  type CrossNamespaceReference,
  notAuthorizedReason,
  parseReference,
  type ReferencePolicy,
} from './reference-policy.ts'
import type { ObjectName, ReferencedObjects } from './referenced-objects.ts'
import type { ServiceAccountTokens } from './service-account-tokens.ts'
import { volumeContent } from './volume-content.ts'

/** The CSI driver under whose name the logs of a pod are offered to its own containers. */
export const stdlogDriver = 'stdlogplugin.csi.alibabacloud.com'

export interface PodVolumesOptions {
  readonly files: PodFiles
  readonly objects: ReferencedObjects
  readonly tokens: ServiceAccountTokens
  readonly claims: ClaimedVolumes
  readonly policy: ReferencePolicy
  readonly isVirtual: boolean
}

/** A volume that can be mounted. */
export interface PreparedVolume {
  readonly source: string
  readonly isReadOnly: boolean
}

export interface VolumeProblem {
  readonly volume: string
  /** `FailedMount`, or the reason of a reference that is not allowed. */
  readonly reason: string
  readonly message: string
}

export interface PreparedVolumes {
  readonly volumes: ReadonlyMap<string, PreparedVolume>
  readonly problems: readonly VolumeProblem[]
}

/** A reference into another namespace that was not granted. */
export class ReferenceRefused extends Error {
  override readonly name = 'ReferenceRefused'
}

/** Makes the volumes of pods and keeps them current. Repeating a call changes nothing that is as it should be. */
export class PodVolumes {
  readonly #options: PodVolumesOptions

  constructor(options: PodVolumesOptions) {
    this.#options = options
  }

  /** Makes every volume of the pod; says what is wrong with those that cannot be made now. */
  async prepare(pod: Pod, place: PodPlace, signal: AbortSignal): Promise<PreparedVolumes> {
    const volumes = new Map<string, PreparedVolume>()
    const problems: VolumeProblem[] = []
    for (const volume of pod.spec.volumes ?? []) {
      try {
        volumes.set(volume.name, await this.#prepareOne(pod, volume, place, signal))
      } catch (error) {
        if (signal.aborted) throw error
        const isRefused = error instanceof ReferenceRefused
        problems.push({
          volume: volume.name,
          reason: isRefused ? notAuthorizedReason : 'FailedMount',
          message: isRefused
            ? error.message
            : `MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`,
        })
      }
    }
    return { volumes, problems }
  }

  /**
   * Reads an object that a pod names, in its own namespace or, on a virtual node and where the policy
   * grants it, in another. @throws ReferenceRefused
   */
  async read(
    pod: Pod,
    kind: ObjectName['kind'],
    name: string,
    usedBy: CrossNamespaceReference['usedBy'],
  ): Promise<ConfigMap | Secret | undefined> {
    const { objects, policy, isVirtual } = this.#options
    const uid = pod.metadata.uid ?? ''
    const foreign = parseReference(name)
    if (foreign === undefined) {
      return objects.read(uid, { kind, namespace: pod.metadata.namespace ?? '', name })
    }
    const what = 'volume' in usedBy ? `volume "${usedBy.volume}"` : `container "${usedBy.container}"`
    if (!isVirtual) {
      throw new Error(
        `${kind} ${name} of ${what} lies in another namespace, which only a virtual node can resolve`,
      )
    }
    if (foreign.namespace === (pod.metadata.namespace ?? '')) {
      return objects.read(uid, { kind, ...foreign })
    }
    const verdict = policy.review(pod, { kind, ...foreign, usedBy })
    if (!verdict.isAllowed) throw new ReferenceRefused(`${what} needs ${kind} ${name}: ${verdict.because}`)
    return objects.read(uid, { kind, ...foreign })
  }

  /** Removes what the pod had. */
  async remove(podUid: string): Promise<void> {
    this.#options.tokens.forget(podUid)
    this.#options.claims.forget(podUid)
    await this.#options.objects.release(podUid)
    await this.#options.files.removePod(podUid)
  }

  async #prepareOne(pod: Pod, volume: Volume, place: PodPlace, signal: AbortSignal): Promise<PreparedVolume> {
    const { files, isVirtual } = this.#options
    const content = await volumeContent(pod, volume, {
      place,
      configMap: (name, by) =>
        this.read(pod, 'ConfigMap', name, { volume: by }) as Promise<ConfigMap | undefined>,
      secret: (name, by) => this.read(pod, 'Secret', name, { volume: by }) as Promise<Secret | undefined>,
      token: (wish) => this.#options.tokens.token(pod, wish, signal),
    })
    if (content !== undefined) {
      const source = this.#directory(pod, volume)
      // As kubelet does it, anybody may enter; the files' own modes decide.
      if ((await files.kind(source)) === undefined) await files.makeDirectory(source, 0o777)
      await files.writeAtomically(source, content)
      return { source, isReadOnly: true }
    }
    if (volume.emptyDir !== undefined) return this.#emptyDirectory(pod, volume)
    if (volume.csi !== undefined && volume.csi.driver === stdlogDriver) {
      const source = files.logDirectory(identityOf(pod))
      if ((await files.kind(source)) === undefined) await files.makeDirectory(source, 0o755)
      return { source, isReadOnly: true }
    }
    if (volume.hostPath !== undefined && !isVirtual) {
      await this.#checkHostPath(volume.hostPath.path, volume.hostPath.type ?? '')
      return { source: volume.hostPath.path, isReadOnly: false }
    }
    const claimName = claimNameOf(pod, volume)
    if (claimName !== undefined) {
      // Who may make volumes of the cluster decides where they lie, on virtual nodes too.
      const { path, type } = await this.#options.claims.find(pod, claimName, signal)
      await this.#checkHostPath(path, type)
      return { source: path, isReadOnly: volume.persistentVolumeClaim?.readOnly === true }
    }
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown'
    throw new Error(`this node cannot mount volumes of type ${kind}`)
  }

  async #emptyDirectory(pod: Pod, volume: Volume): Promise<PreparedVolume> {
    const { files } = this.#options
    const source = this.#directory(pod, volume)
    if ((await files.kind(source)) === undefined) {
      await files.makeDirectory(source, 0o777)
      const limit = amountOf(volume.emptyDir?.sizeLimit)
      if (volume.emptyDir?.medium === 'Memory' && files.mountMemory !== undefined) {
        await files.mountMemory(source, limit === 0 ? undefined : limit)
      }
      const group = pod.spec.securityContext?.fsGroup
      if (group !== undefined) await files.giveToGroup?.(source, group)
    }
    return { source, isReadOnly: false }
  }

  async #checkHostPath(path: string, type: string): Promise<void> {
    const { files } = this.#options
    const kind = await files.kind(path)
    if (kind === undefined && type === 'DirectoryOrCreate') return files.makeDirectory(path, 0o755)
    if (kind === undefined && type === 'FileOrCreate') return files.writeFile(path, Buffer.alloc(0), 0o644)
    const wanted = type.startsWith('Directory') ? 'directory' : type.startsWith('File') ? 'file' : undefined
    if (type !== '' && kind === undefined)
      throw new Error(`hostPath type check failed: ${path} does not exist`)
    if (wanted !== undefined && kind !== wanted)
      throw new Error(`hostPath type check failed: ${path} is not a ${wanted}`)
  }

  #directory(pod: Pod, volume: Volume): string {
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown'
    const folder = `kubernetes.io~${kind.toLowerCase().replace('emptydir', 'empty-dir').replace('downwardapi', 'downward-api')}`
    return join(this.#options.files.podDirectory(pod.metadata.uid ?? ''), 'volumes', folder, volume.name)
  }
}
