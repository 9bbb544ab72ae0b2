import type { Pod } from '@outrigger/kube'
import type { WaitingReason } from './status-input.ts'

/** Set by the control plane once it is decided which sidecars a pod on a virtual node gets. */
export const virtualNodeLabel = 'serverless.alibabacloud.com/virtual-node'

export const sidecarHoldEvent = 'WaitingForSidecarInjection'

/** Why a pod may not start on a virtual node yet; undefined once it may. */
export function sidecarHold(pod: Pod): WaitingReason | undefined {
  if (pod.metadata.labels?.[virtualNodeLabel] === 'true') return undefined
  return {
    reason: sidecarHoldEvent,
    message: `the virtual node starts this pod once its sidecars are decided and the label ${virtualNodeLabel}="true" is set on it; Outrigger's manager sets the label when the pod is created or, at the latest, once it is bound`,
  }
}
