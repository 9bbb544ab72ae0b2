import { drainTimeOf, inServiceGate, type SidecarSet } from '@outrigger/api'
import type { Pod } from '@outrigger/kube'

/**
 * A pod's readiness gates with the one by which the manager takes it out of its Services, where one of these SidecarSets asks
 * for that; `undefined` if nothing changes.
 */
export function gatesWithOurs(
  { spec }: Pod,
  sidecarSets: readonly SidecarSet[],
): Pod['spec']['readinessGates'] {
  if (!sidecarSets.some((sidecarSet) => drainTimeOf(sidecarSet) !== undefined)) return undefined
  const gates = spec.readinessGates ?? []
  if (gates.some(({ conditionType }) => conditionType === inServiceGate)) return undefined
  return [...gates, { conditionType: inServiceGate }]
}
