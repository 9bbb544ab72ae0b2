import type { Container, Pod } from '@outrigger/kube'
import type { StopPlace } from './container-stopper.ts'
import type { PodPlace } from './field-ref.ts'
import type { NodeContext } from './node-context.ts'
import type { ObservedPod } from './observed-pod.ts'
import type { PodLife } from './pod-life.ts'

/** What is known of a pod at one moment: its object, what it means, and what the runtime has of it. */
export interface PodMoment {
  readonly pod: Pod
  readonly life: PodLife
  readonly observed: ObservedPod
}

/** The addresses under which the pod is reached now; none while it has no sandbox. */
export function podIpsOf({ pod, observed }: PodMoment, context: NodeContext): readonly string[] {
  return pod.spec.hostNetwork === true ? context.hostIps : (observed.sandbox?.ips ?? [])
}

/** What fields of the environment and of volumes may refer to. */
export function placeOf(moment: PodMoment, context: NodeContext): PodPlace {
  const { nodeName, hostIps, allocatable } = context
  return { nodeName, hostIps, allocatable, podIps: podIpsOf(moment, context) }
}

export function stopPlaceOf(moment: PodMoment, context: NodeContext): StopPlace {
  return { sandboxId: moment.observed.sandbox?.id ?? '', podIp: podIpsOf(moment, context)[0] ?? '' }
}

/** Seconds the pod's containers get to end: what its deletion says, else its spec, else 30. */
export function graceOf(pod: Pod): number {
  return pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
}

/** Seconds a container gets whose probe has given up on it. */
export function probeGraceOf(pod: Pod, spec: Container, kind: 'liveness' | 'startup'): number {
  const probe = kind === 'liveness' ? spec.livenessProbe : spec.startupProbe
  return probe?.terminationGracePeriodSeconds ?? graceOf(pod)
}
