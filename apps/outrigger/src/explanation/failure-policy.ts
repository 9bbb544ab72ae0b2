import { type SidecarSet, sidecarSetAnnotations, virtualNodeNames } from '@outrigger/api'

/** What becomes of new pods that a SidecarSet selects while no manager answers. */
export interface FailurePolicyStory {
  /** `Fail`: they are not created. `Ignore`: they are, without the SidecarSet. */
  readonly policy: 'Fail' | 'Ignore'
  /** Says it in one sentence, and how to have it otherwise. */
  readonly text: string
}

const annotation = sidecarSetAnnotations.failurePolicy

/** Reads the annotation `outrigger.dev/failure-policy` as the manager does; anything but `Ignore` counts as `Fail`. */
export function failurePolicyOf({ metadata, spec }: SidecarSet): FailurePolicyStory {
  const stated = metadata.annotations?.[annotation]
  if (isForVirtualNodes(spec))
    return { policy: 'Fail', text: 'new pods wait for it: virtual nodes start none without its sidecars' }
  if (stated === 'Ignore')
    return { policy: 'Ignore', text: `new pods are created without it (${annotation}: Ignore)` }
  const policy = 'Fail'
  if (stated === 'Fail')
    return { policy, text: `new pods are not created, not even in kube-system (${annotation}: Fail)` }
  const origin =
    stated === undefined ? 'the default' : `${annotation}: ${JSON.stringify(stated)} counts as Fail`
  return {
    policy,
    text: `new pods are not created, except in kube-system (${origin}; ${annotation}: Ignore lets them through)`,
  }
}

/** Whether a SidecarSet selects only pods whose placement on a virtual node is certain. */
export function isForVirtualNodes({ selector }: SidecarSet['spec']): boolean {
  return selector?.matchLabels?.[virtualNodeNames.podLabel] === 'true'
}
