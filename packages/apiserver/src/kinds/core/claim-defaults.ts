import type { PersistentVolumeClaim } from '@outrigger/kube'

/** Defaults of a claim, by itself or in the templates of a StatefulSet. */
export function applyClaimDefaults(claim: Pick<PersistentVolumeClaim, 'spec' | 'status'>): void {
  claim.status ??= {}
  claim.status.phase ??= 'Pending'
  if (claim.spec !== undefined) claim.spec.volumeMode ??= 'Filesystem'
}
