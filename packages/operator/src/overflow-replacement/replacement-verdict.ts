import type { ApiError } from '@outrigger/client'
import { hasVirtualNodeLabel } from '@outrigger/injection'
import type { ContainerStatus, Pod } from '@outrigger/kube'
import { ownerOf, type ReplaceableOwner } from './replaceable-owner.ts'

/** What becomes of a pod whose label the API server refused, before anybody's turn is asked. */
export type ReplacementVerdict =
  | { readonly is: 'to be replaced'; readonly owner: ReplaceableOwner }
  | { readonly is: 'to wait'; readonly reason: string }
  /** Another pod would be refused for the same reason. */
  | { readonly is: 'not ours' }

/**
 * Decides from the answer to the update that would have labelled and injected the pod. Only the API server's own rules for
 * updates make a replacement worth while: what a webhook or authorization refused, a new pod would be refused as well.
 */
export function verdictOn(
  pod: Pod,
  refusal: Pick<ApiError, 'code' | 'message'>,
  sidecarSets: readonly string[],
): ReplacementVerdict {
  if (refusal.code !== 422 || refusal.message.startsWith('admission webhook')) return { is: 'not ours' }
  if (sidecarSets.length === 0) return { is: 'not ours' }
  const verdict = ownerOf(pod)
  if (!verdict.isReplaceable) return { is: 'to wait', reason: verdict.reason }
  return { is: 'to be replaced', owner: verdict.owner }
}

/** Why the pod, as the API server has it now, must stay; nothing when it may go. */
export function reasonToStay(pod: Pod): string | undefined {
  if (hasVirtualNodeLabel(pod)) return 'it has been given its label'
  const { phase, containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
  if ((phase ?? 'Pending') !== 'Pending') return `its phase is ${phase}`
  const started = [...initContainerStatuses, ...containerStatuses].find(hasStarted)
  return started && `its container ${started.name} has been started`
}

function hasStarted({ started, restartCount, state, lastState }: ContainerStatus): boolean {
  return (
    started === true ||
    restartCount > 0 ||
    state?.running !== undefined ||
    state?.terminated !== undefined ||
    lastState?.terminated !== undefined
  )
}
