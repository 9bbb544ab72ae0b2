import { type Client, isAlreadyExists, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import {
  keyOf,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  parseKey,
  resources,
  type StorageClass,
} from '@outrigger/kube'
import { provisionProblem } from './provision-problem.ts'
import type { VolumeFolders } from './volume-folders.ts'
import {
  classOf,
  localProvisioner,
  provisionedBy,
  selectedNode,
  type VolumeCatalog,
  volumeFor,
} from './volume-plan.ts'

export interface VolumeBindingOptions {
  readonly client: Client
  readonly claims: Informer<PersistentVolumeClaim>
  readonly volumes: Informer<PersistentVolume>
  readonly classes: Informer<StorageClass>
  readonly nodes: Informer<Node>
  /** Left out, no volumes are made; those that others made are bound all the same. */
  readonly folders: VolumeFolders | undefined
  readonly events: EventRecorder
  /** Of the provisioner, which real clusters run beside the controllers. */
  readonly provisionerEvents: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Binds claims to volumes, makes volumes that are folders of this machine, and frees or removes them when their claim
 * has gone. Source: kubernetes/pkg/controller/volume/persistentvolume, with a provisioner as of local-path.
 */
export function createVolumeBindingController(options: VolumeBindingOptions): Runnable {
  const { claims, volumes, classes, nodes, clock, random, logger } = options
  const binder = new VolumeBinder(options)
  return createController({
    name: 'persistentvolume-binder',
    clock,
    random,
    logger,
    informers: [claims, volumes, classes, nodes],
    sources: [
      (enqueue) => {
        const look = (claim: PersistentVolumeClaim) => enqueue(`claim ${keyOf(claim)}`)
        return claims.onChange({
          onAdd: look,
          onUpdate: look,
          onDelete: (claim) => enqueue(`volume ${claim.spec?.volumeName ?? ''}`),
        })
      },
      (enqueue) => {
        const look = (volume: PersistentVolume) => {
          enqueue(`volume ${volume.metadata.name}`)
          // One that is free may be what somebody waits for.
          for (const claim of claims.store.list())
            if (claim.status?.phase !== 'Bound') enqueue(`claim ${keyOf(claim)}`)
        }
        return volumes.onChange({ onAdd: look, onUpdate: look, onDelete: look })
      },
      (enqueue) =>
        classes.onChange({
          onAdd: () => {
            for (const claim of claims.store.list())
              if (claim.status?.phase !== 'Bound') enqueue(`claim ${keyOf(claim)}`)
          },
        }),
    ],
    reconcile: async (key, signal) => {
      try {
        return key.startsWith('claim ')
          ? await binder.settleClaim(key.slice(6), signal)
          : await binder.settleVolume(key.slice(7), signal)
      } catch (error) {
        if (isConflict(error) || isNotFound(error)) return lookAgain(200)
        throw error
      }
    },
  })
}

const bindCompleted = 'pv.kubernetes.io/bind-completed'
const boundByController = 'pv.kubernetes.io/bound-by-controller'

class VolumeBinder {
  readonly #options: VolumeBindingOptions
  readonly #catalog: VolumeCatalog

  constructor(options: VolumeBindingOptions) {
    this.#options = options
    this.#catalog = catalogOf(options)
  }

  async settleClaim(key: string, signal: AbortSignal): Promise<Outcome> {
    const { claims, events } = this.#options
    const claim = claims.store.get(key)
    if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) return waitForChange
    if (claim.spec?.volumeName) return this.#finishBinding(claim, claim.spec.volumeName, signal)
    const name = classOf(claim)
    const storageClass = name === '' ? undefined : this.#catalog.storageClass(name)
    const waits = storageClass?.volumeBindingMode === 'WaitForFirstConsumer'
    const node = claim.metadata.annotations?.[selectedNode]
    const found = volumeFor(claim, this.#catalog)
    if (found !== undefined && (!waits || node !== undefined || found.spec?.claimRef !== undefined))
      return this.#bind(claim, found, signal)
    if (waits && node === undefined) {
      const message = 'waiting for first consumer to be created before binding'
      events.event(claim, { type: 'Normal', reason: 'WaitForFirstConsumer', message })
      return waitForChange
    }
    if (storageClass !== undefined) return this.#provision(claim, storageClass, node, signal)
    if (name === '') {
      const message = 'no persistent volumes available for this claim and no storage class is set'
      events.event(claim, { type: 'Normal', reason: 'FailedBinding', message })
    } else {
      const message = `storageclass.storage.k8s.io ${JSON.stringify(name)} not found`
      events.event(claim, { type: 'Warning', reason: 'ProvisioningFailed', message })
    }
    return waitForChange
  }

  /** Binding goes in three writes: the volume, the claim, the claim's status; each may be the last before a crash. */
  async #bind(claim: PersistentVolumeClaim, volume: PersistentVolume, signal: AbortSignal): Promise<Outcome> {
    const { client } = this.#options
    const { namespace, name, uid, resourceVersion } = claim.metadata
    if (volume.spec?.claimRef?.uid !== uid) {
      const claimRef = {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace,
        name,
        uid,
        resourceVersion,
      }
      const metadata = {
        resourceVersion: volume.metadata.resourceVersion,
        annotations: { [boundByController]: 'yes' },
      }
      await client.patch(
        resources.persistentVolumes,
        parseKey(keyOf(volume)),
        { type: 'merge', body: { metadata, spec: { claimRef } } },
        { signal },
      )
    }
    await client.patch(
      resources.persistentVolumeClaims,
      parseKey(keyOf(claim)),
      {
        type: 'merge',
        body: {
          metadata: { uid, annotations: { [bindCompleted]: 'yes', [boundByController]: 'yes' } },
          spec: { volumeName: volume.metadata.name },
        },
      },
      { signal },
    )
    return waitForChange
  }

  async #finishBinding(
    claim: PersistentVolumeClaim,
    volumeName: string,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { client, events } = this.#options
    const volume = this.#catalog.volume(volumeName)
    const write = (status: object) =>
      client.patch(
        resources.persistentVolumeClaims,
        parseKey(keyOf(claim)),
        { type: 'merge', body: { metadata: { uid: claim.metadata.uid }, status } },
        { subresource: 'status', signal },
      )
    if (volume === undefined) {
      // Named beforehand, or bound and gone since.
      if (claim.metadata.annotations?.[bindCompleted] === undefined || claim.status?.phase === 'Lost')
        return waitForChange
      const message = 'Bound claim has lost its PersistentVolume. Data on the volume is lost!'
      events.event(claim, { type: 'Warning', reason: 'ClaimLost', message })
      await write({ phase: 'Lost', accessModes: null, capacity: null })
      return waitForChange
    }
    if (volume.spec?.claimRef?.uid !== claim.metadata.uid) {
      const isFree = volumeFor(claim, this.#catalog)?.metadata.name === volumeName
      return isFree ? this.#bind(claim, volume, signal) : waitForChange
    }
    if (volume.status?.phase !== 'Bound') await this.#setPhase(volume, 'Bound', signal)
    if (claim.status?.phase !== 'Bound')
      await write({ phase: 'Bound', accessModes: volume.spec.accessModes, capacity: volume.spec.capacity })
    return waitForChange
  }

  async #provision(
    claim: PersistentVolumeClaim,
    storageClass: StorageClass,
    node: string | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { events, provisionerEvents, folders, client } = this.#options
    const { provisioner } = storageClass
    if (provisioner !== localProvisioner || folders === undefined) {
      if (provisioner === 'kubernetes.io/no-provisioner') return waitForChange
      const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`
      events.event(claim, { type: 'Normal', reason: 'ExternalProvisioning', message })
      return waitForChange
    }
    const told = `${claim.metadata.namespace}/${claim.metadata.name}`
    const refusal = provisionProblem(claim)
    if (refusal !== undefined) {
      const message = `failed to provision volume with StorageClass ${JSON.stringify(storageClass.metadata.name)}: ${refusal}`
      provisionerEvents.event(claim, { type: 'Warning', reason: 'ProvisioningFailed', message })
      return waitForChange
    }
    const message = `External provisioner is provisioning volume for claim ${JSON.stringify(told)}`
    provisionerEvents.event(claim, { type: 'Normal', reason: 'Provisioning', message })
    const volume = this.#newVolume(claim, storageClass, node, folders)
    await folders.make(volume.metadata.name)
    await client.create(resources.persistentVolumes, volume, { signal }).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error
    })
    const done = `Successfully provisioned volume ${volume.metadata.name}`
    provisionerEvents.event(claim, { type: 'Normal', reason: 'ProvisioningSucceeded', message: done })
    return waitForChange
  }

  #newVolume(
    claim: PersistentVolumeClaim,
    storageClass: StorageClass,
    node: string | undefined,
    folders: VolumeFolders,
  ): PersistentVolume {
    const { namespace, name, uid, resourceVersion } = claim.metadata
    const hostname =
      node === undefined
        ? undefined
        : (this.#options.nodes.store.get(node)?.metadata.labels?.['kubernetes.io/hostname'] ?? node)
    const volumeName = `pvc-${uid}`
    return {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: volumeName, annotations: { [provisionedBy]: localProvisioner } },
      spec: {
        accessModes: [...(claim.spec?.accessModes ?? [])],
        capacity: { storage: claim.spec?.resources?.requests?.['storage'] ?? '0' },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion },
        hostPath: { path: folders.path(volumeName), type: 'DirectoryOrCreate' },
        persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
        storageClassName: storageClass.metadata.name,
        volumeMode: 'Filesystem',
        ...(storageClass.mountOptions && { mountOptions: storageClass.mountOptions }),
        ...(hostname !== undefined && { nodeAffinity: { required: onHost(hostname) } }),
      },
    } as PersistentVolume
  }

  async settleVolume(name: string, signal: AbortSignal): Promise<Outcome> {
    const volume = this.#catalog.volume(name)
    if (volume === undefined || volume.metadata.deletionTimestamp !== undefined) return waitForChange
    const reference = volume.spec?.claimRef
    if (reference?.uid === undefined) return this.#setPhase(volume, 'Available', signal)
    const key = `${reference.namespace}/${reference.name}`
    const known = this.#options.claims.store.get(key)
    if (known?.metadata.uid === reference.uid) {
      return known.spec?.volumeName === name
        ? this.#finishBinding(known, name, signal)
        : this.settleClaim(key, signal)
    }
    // The cache may be behind; what is removed cannot be brought back.
    const current = await this.#options.client
      .get<PersistentVolumeClaim>(resources.persistentVolumeClaims, parseKey(key), { signal })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined
        throw error
      })
    if (current?.metadata.uid === reference.uid) return lookAgain(200)
    await this.#setPhase(volume, 'Released', signal)
    return volume.spec?.persistentVolumeReclaimPolicy === 'Delete'
      ? this.#remove(volume, signal)
      : waitForChange
  }

  /** Only what was made here is removed, and only from where it was made. */
  async #remove(volume: PersistentVolume, signal: AbortSignal): Promise<Outcome> {
    const { folders, client } = this.#options
    const { name, uid, annotations } = volume.metadata
    const isOurs =
      annotations?.[provisionedBy] === localProvisioner &&
      name === `pvc-${volume.spec?.claimRef?.uid}` &&
      volume.spec?.hostPath?.path === folders?.path(name)
    if (folders === undefined || !isOurs) return waitForChange
    await folders.remove(name)
    await client
      .delete(
        resources.persistentVolumes,
        { namespace: '', name },
        { signal, ...(uid !== undefined && { preconditions: { uid } }) },
      )
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
    return waitForChange
  }

  async #setPhase(volume: PersistentVolume, phase: string, signal: AbortSignal): Promise<Outcome> {
    if (volume.status?.phase === phase) return waitForChange
    const { resourceVersion } = volume.metadata
    await this.#options.client.patch(
      resources.persistentVolumes,
      parseKey(keyOf(volume)),
      { type: 'merge', body: { metadata: { resourceVersion }, status: { phase } } },
      { subresource: 'status', signal },
    )
    return waitForChange
  }
}

const onHost = (hostname: string) => ({
  nodeSelectorTerms: [
    { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In' as const, values: [hostname] }] },
  ],
})

/** What informers know, as a catalog. */
export function catalogOf({
  claims,
  volumes,
  classes,
}: Pick<VolumeBindingOptions, 'claims' | 'volumes' | 'classes'>): VolumeCatalog {
  return {
    claim: (namespace, name) => claims.store.get(`${namespace}/${name}`),
    volume: (name) => volumes.store.get(name),
    storageClass: (name) => classes.store.get(name),
    volumes: () => volumes.store.list(),
  }
}
