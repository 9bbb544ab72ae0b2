import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import {
  type KubeObject,
  keyOf,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  parseKey,
  type ResourceRef,
  resources,
} from '@outrigger/kube'
import { isFinished } from '../pods/pod-state.ts'

export interface VolumeProtectionOptions {
  readonly client: Client
  readonly claims: Informer<PersistentVolumeClaim>
  readonly volumes: Informer<PersistentVolume>
  /** Needs the index `claim` (see `claimIndex`). */
  readonly pods: Informer<Pod>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const claimFinalizer = 'kubernetes.io/pvc-protection'
const volumeFinalizer = 'kubernetes.io/pv-protection'

/** Pods by the claims they mount: `namespace/claim`. */
export const claimIndex = {
  claim: (pod: Pod): readonly string[] =>
    (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim, ephemeral, name }) => {
      const claim = persistentVolumeClaim?.claimName ?? (ephemeral && `${pod.metadata.name}-${name}`)
      return claim === undefined ? [] : [`${pod.metadata.namespace}/${claim}`]
    }),
}

/**
 * Lets a deleted claim go once no pod uses it, and a deleted volume once no claim is bound to it.
 * Source: kubernetes/pkg/controller/volume/pvcprotection and .../pvprotection.
 */
export function createVolumeProtectionController(options: VolumeProtectionOptions): Runnable {
  const { claims, volumes, pods, clock, random, logger } = options
  return createController({
    name: 'volume-protection',
    clock,
    random,
    logger,
    informers: [claims, volumes, pods],
    sources: [
      (enqueue) => {
        const look = (claim: PersistentVolumeClaim) => {
          if (claim.metadata.deletionTimestamp !== undefined) enqueue(`claim ${keyOf(claim)}`)
        }
        return claims.onChange({
          onAdd: look,
          onUpdate: look,
          onDelete: (claim) => enqueue(`volume ${claim.spec.volumeName ?? ''}`),
        })
      },
      (enqueue) => {
        const look = (volume: PersistentVolume) => {
          if (volume.metadata.deletionTimestamp !== undefined) enqueue(`volume ${keyOf(volume)}`)
        }
        return volumes.onChange({ onAdd: look, onUpdate: look })
      },
      (enqueue) => {
        const release = (pod: Pod) => {
          for (const claim of claimIndex.claim(pod)) enqueue(`claim ${claim}`)
        }
        return pods.onChange({
          onUpdate: (pod, before) => {
            if (isFinished(pod) && !isFinished(before)) release(pod)
          },
          onDelete: release,
        })
      },
    ],
    reconcile: (key) =>
      key.startsWith('claim ') ? releaseClaim(options, key.slice(6)) : releaseVolume(options, key.slice(7)),
  })
}

async function releaseClaim(
  { client, claims, pods }: VolumeProtectionOptions,
  key: string,
): Promise<Outcome> {
  const claim = claims.store.get(key)
  if (claim?.metadata.deletionTimestamp === undefined) return waitForChange
  const isUsed = pods.store.byIndex('claim', key).some((pod) => !isFinished(pod))
  return isUsed
    ? waitForChange
    : dropFinalizer(client, resources.persistentVolumeClaims, claim, claimFinalizer)
}

async function releaseVolume(
  { client, claims, volumes }: VolumeProtectionOptions,
  name: string,
): Promise<Outcome> {
  const volume = volumes.store.get(name)
  if (volume?.metadata.deletionTimestamp === undefined) return waitForChange
  const { namespace, name: claimName, uid } = volume.spec.claimRef ?? {}
  const claim = claims.store.get(`${namespace}/${claimName}`)
  const isBound = claim !== undefined && (uid === undefined || claim.metadata.uid === uid)
  return isBound ? waitForChange : dropFinalizer(client, resources.persistentVolumes, volume, volumeFinalizer)
}

async function dropFinalizer(
  client: Client,
  resource: ResourceRef,
  object: KubeObject,
  finalizer: string,
): Promise<Outcome> {
  const before = object.metadata.finalizers ?? []
  if (!before.includes(finalizer)) return waitForChange
  const { uid, resourceVersion } = object.metadata
  const body = { metadata: { uid, resourceVersion, finalizers: before.filter((name) => name !== finalizer) } }
  try {
    await client.patch(resource, parseKey(keyOf(object)), { type: 'merge', body })
  } catch (error) {
    if (isConflict(error)) return lookAgain(100)
    if (!isNotFound(error)) throw error
  }
  return waitForChange
}
