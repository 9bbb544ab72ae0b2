import { createHash } from 'node:crypto'
import type { Container, Pod } from '@outrigger/kube'
import type { ContainerState, PodIdentity } from '../runtime.ts'

// Names that kubelet itself writes, so that crictl and log collectors understand our containers.
export const hashAnnotation = 'io.kubernetes.container.hash'
/** What a container was made with, as JSON of its limits and requests. */
export const resourcesAnnotation = 'outrigger.io/container-resources'
const restartCountAnnotation = 'io.kubernetes.container.restartCount'
const terminationPathAnnotation = 'io.kubernetes.container.terminationMessagePath'
const terminationPolicyAnnotation = 'io.kubernetes.container.terminationMessagePolicy'
const podGraceAnnotation = 'io.kubernetes.pod.terminationGracePeriod'

/**
 * Changes when a running container must be replaced. Only the image counts, beside the name: nothing else
 * of a container can change in a pod that exists, and defaults that a newer server fills in must not
 * restart anything.
 */
export function definitionHash(spec: Container): string {
  return createHash('sha256')
    .update(JSON.stringify([spec.name, spec.image ?? '']))
    .digest('hex')
    .slice(0, 8)
}

export function containerAnnotations(
  pod: Pod,
  spec: Container,
  restartCount: number,
): Record<string, string> {
  return {
    [hashAnnotation]: definitionHash(spec),
    [restartCountAnnotation]: String(restartCount),
    [terminationPathAnnotation]: spec.terminationMessagePath ?? '/dev/termination-log',
    [terminationPolicyAnnotation]: spec.terminationMessagePolicy ?? 'File',
    ...(spec.resources !== undefined && {
      [resourcesAnnotation]: JSON.stringify({
        limits: spec.resources.limits,
        requests: spec.resources.requests,
      }),
    }),
    [podGraceAnnotation]: String(pod.spec.terminationGracePeriodSeconds ?? 30),
  }
}

export function podLabels(pod: PodIdentity): Record<string, string> {
  return {
    'io.kubernetes.pod.name': pod.name,
    'io.kubernetes.pod.namespace': pod.namespace,
    'io.kubernetes.pod.uid': pod.uid,
  }
}

export function restartCountOf(container: ContainerState): number {
  const text = container.annotations[restartCountAnnotation]
  return text === undefined ? container.attempt : Number(text)
}

/** `FallbackToLogsOnError` or `File`. */
export function terminationPolicyOf(container: ContainerState): string {
  return container.annotations[terminationPolicyAnnotation] ?? 'File'
}

/** What a container was promised at its start, for pods whose spec is no longer known. */
export function recordedGrace(container: ContainerState): number {
  const seconds = Number(container.annotations[podGraceAnnotation])
  return Number.isFinite(seconds) ? seconds : 30
}

export function identityOf(pod: Pod): PodIdentity {
  return {
    name: pod.metadata.name,
    namespace: pod.metadata.namespace ?? 'default',
    uid: pod.metadata.uid ?? '',
  }
}
