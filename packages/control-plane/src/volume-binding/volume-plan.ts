import {
  compileLabelSelector,
  type NodeSelector,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  quantityToNumber,
  type StorageClass,
} from '@outrigger/kube'

/** The provisioner of volumes that are folders of this machine. */
export const localProvisioner = 'outrigger.dev/local-path'
/** Where the scheduler writes which node a claim's first pod will run on. */
export const selectedNode = 'volume.kubernetes.io/selected-node'
export const provisionedBy = 'pv.kubernetes.io/provisioned-by'

/** What is known of claims, volumes and classes. */
export interface VolumeCatalog {
  claim(namespace: string, name: string): PersistentVolumeClaim | undefined
  volume(name: string): PersistentVolume | undefined
  storageClass(name: string): StorageClass | undefined
  volumes(): readonly PersistentVolume[]
}

/** What the claims of a pod mean for where it may go. */
export type ClaimsVerdict =
  /** All are bound: only nodes that every one of these selects will do. */
  | { readonly kind: 'bound'; readonly affinities: readonly NodeSelector[] }
  /** These wait to hear which node was chosen; the others are bound. */
  | {
      readonly kind: 'unbound'
      readonly claims: readonly PersistentVolumeClaim[]
      readonly affinities: readonly NodeSelector[]
    }
  /** As kube-scheduler words it. */
  | { readonly kind: 'refused'; readonly message: string }

/** The names of the claims a pod mounts, generic ephemeral volumes included. */
export function claimNamesOf(pod: Pod): readonly string[] {
  return (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim, ephemeral, name }) => {
    if (persistentVolumeClaim !== undefined) return [persistentVolumeClaim.claimName]
    return ephemeral === undefined ? [] : [`${pod.metadata.name}-${name}`]
  })
}

export function reviewClaims(pod: Pod, catalog: VolumeCatalog): ClaimsVerdict {
  const affinities: NodeSelector[] = []
  const waiting: PersistentVolumeClaim[] = []
  for (const name of claimNamesOf(pod)) {
    const claim = catalog.claim(pod.metadata.namespace ?? '', name)
    if (claim === undefined)
      return { kind: 'refused', message: `persistentvolumeclaim ${JSON.stringify(name)} not found` }
    if (claim.metadata.deletionTimestamp !== undefined)
      return {
        kind: 'refused',
        message: `persistentvolumeclaim ${JSON.stringify(name)} is being deleted`,
      }
    if (claim.status?.phase === 'Lost')
      return {
        kind: 'refused',
        message: `persistentvolumeclaim ${JSON.stringify(name)} bound to non-existent persistentvolume ${JSON.stringify(claim.spec?.volumeName ?? '')}`,
      }
    if (isBound(claim)) {
      const required = catalog.volume(claim.spec?.volumeName ?? '')?.spec?.nodeAffinity?.required
      if (required !== undefined) affinities.push(required)
    } else if (waitsForConsumer(claim, catalog)) waiting.push(claim)
    else return { kind: 'refused', message: 'pod has unbound immediate PersistentVolumeClaims' }
  }
  return waiting.length === 0
    ? { kind: 'bound', affinities }
    : { kind: 'unbound', claims: waiting, affinities }
}

export function isBound({ spec, status }: PersistentVolumeClaim): boolean {
  return Boolean(spec?.volumeName) && status?.phase === 'Bound'
}

export function waitsForConsumer(claim: PersistentVolumeClaim, catalog: VolumeCatalog): boolean {
  const storageClass = catalog.storageClass(classOf(claim))
  return storageClass?.volumeBindingMode === 'WaitForFirstConsumer'
}

export function classOf({ metadata, spec }: PersistentVolumeClaim): string {
  return metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec?.storageClassName ?? ''
}

/**
 * The volume a claim should get: the one that is reserved for it, or the smallest free one that is large enough, of
 * its class, and offers what it asks for.
 */
export function volumeFor(
  claim: PersistentVolumeClaim,
  catalog: VolumeCatalog,
): PersistentVolume | undefined {
  const { namespace, name, uid } = claim.metadata
  let best: PersistentVolume | undefined
  for (const volume of catalog.volumes()) {
    const reference = volume.spec?.claimRef
    if (reference !== undefined) {
      const isMeant = reference.namespace === namespace && reference.name === name
      if (isMeant && (reference.uid === undefined || reference.uid === uid)) return volume
      continue
    }
    if (suits(volume, claim) && (best === undefined || sizeOf(volume) < sizeOf(best))) best = volume
  }
  return best
}

function suits(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { spec, metadata } = volume
  const wanted = claim.spec
  if (metadata.deletionTimestamp !== undefined || (spec?.storageClassName ?? '') !== classOf(claim))
    return false
  if (wanted?.volumeName && wanted.volumeName !== metadata.name) return false
  if ((spec?.volumeMode ?? 'Filesystem') !== (wanted?.volumeMode ?? 'Filesystem')) return false
  if (!(wanted?.accessModes ?? []).every((mode) => spec?.accessModes?.includes(mode))) return false
  if (sizeOf(volume) < amountOf(wanted?.resources?.requests?.['storage'])) return false
  const selector = wanted?.selector
  return selector === undefined || compileLabelSelector(selector).matches(metadata.labels ?? {})
}

const sizeOf = ({ spec }: PersistentVolume) => amountOf(spec?.capacity?.['storage'])

function amountOf(text: string | number | undefined): number {
  return text === undefined ? 0 : quantityToNumber(text)
}
