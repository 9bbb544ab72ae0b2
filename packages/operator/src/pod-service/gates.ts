import { inServiceGate } from '@outrigger/api'
import type { Pod } from '@outrigger/kube'

/** Types of the readiness gates that nobody has opened. */
export function closedGateTypes({ spec, status }: Pod): string[] {
  const open = new Set(
    (status?.conditions ?? []).filter(({ status: value }) => value === 'True').map(({ type }) => type),
  )
  return (spec.readinessGates ?? [])
    .map(({ conditionType }) => conditionType)
    .filter((type) => !open.has(type))
}

/** A few words for each readiness gate, of others than us, that alone keeps a pod from being ready whose containers are. */
export function closedGates(pod: Pod): string[] {
  const { phase, containerStatuses = [] } = pod.status ?? {}
  if (phase !== 'Running' || !containerStatuses.every(({ ready }) => ready)) return []
  return closedGateTypes(pod)
    .filter((type) => type !== inServiceGate)
    .map((type) => `readiness gate ${type} is not True`)
}
