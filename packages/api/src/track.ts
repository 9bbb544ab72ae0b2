import type { LabelSelector } from '@outrigger/kube'

/** A recorded content, as injection and tracks ask for it: by the name of its revision, or the newest with a custom version. */
export interface RevisionWish {
  readonly revisionName?: string
  readonly customVersion?: string
}

/** A version of a SidecarSet in trial: some of the pods have it, and the others what they would have without. */
export interface Track extends RevisionWish {
  /** Unique in its SidecarSet. Which pods a share picks depends on it: a track keeps its pods when its version changes. */
  readonly name: string
  /** 0 to 100, of the pods that the selector picks. Left out: all of them, before any share is looked at. */
  readonly percent?: number
  /** On labels of pods. Left out: all pods of the SidecarSet. */
  readonly selector?: LabelSelector
}

/** `customVersion v2`, `revision logs-7c9ccc6db4`. */
export function describeWish({ revisionName, customVersion }: RevisionWish): string {
  return revisionName ? `revision ${revisionName}` : `customVersion ${customVersion ?? ''}`
}
