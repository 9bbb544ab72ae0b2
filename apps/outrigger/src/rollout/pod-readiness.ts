import { inServiceGate } from '@outrigger/api'
import type { ContainerStatus, Pod } from '@outrigger/kube'
import { closedGateTypes, drainText, isOutOfService, isSettled, serviceOf } from '@outrigger/operator'

/** What keeps a pod from being ready, in a few words: a container, or a readiness gate; `undefined` when nothing tells. */
export function whyNotReady(pod: Pod): string | undefined {
  const { spec, status } = pod
  if (!spec.nodeName) return 'it has no node yet'
  const natives = new Set(
    (spec.initContainers ?? [])
      .filter(({ restartPolicy }) => restartPolicy === 'Always')
      .map(({ name }) => name),
  )
  const statuses = [
    ...(status?.initContainerStatuses ?? []).filter(({ name }) => natives.has(name)),
    ...(status?.containerStatuses ?? []),
  ]
  for (const container of statuses) {
    const text = containerText(container)
    if (text !== undefined) return text
  }
  return unmetGates(pod)[0]
}

/** A sentence for each readiness gate that nobody has opened yet, for pods that run. */
export function unmetGates(pod: Pod): string[] {
  return closedGateTypes(pod).map((type) =>
    type === inServiceGate ? ownGateText(pod) : `readiness gate ${type} is not True`,
  )
}

function ownGateText(pod: Pod): string {
  const gate = `readiness gate ${inServiceGate}`
  const service = serviceOf(pod)
  if (!isOutOfService(service)) return `${gate}, which the manager opens as soon as it sees the pod`
  const { sidecarSet } = service
  const whose = sidecarSet === '' ? 'nobody knows for what' : `for SidecarSet ${sidecarSet}`
  const settled = isSettled(pod) ? '' : '; its node has not started the new containers yet'
  return `${gate}: ${drainText(service, undefined)}, ${whose}${settled}`
}

function containerText({ name, ready, state, lastState }: ContainerStatus): string | undefined {
  if (ready) return undefined
  const { running, terminated, waiting } = state ?? {}
  if (waiting?.reason !== undefined) {
    const ended = lastState?.terminated && `it ended with exit code ${lastState.terminated.exitCode}`
    // A back-off says only that it ended, and how long it waits.
    const cause = waiting.reason === 'CrashLoopBackOff' && ended ? ended : waiting.message
    return `container ${name} waits: ${waiting.reason}${cause ? ` (${cause})` : ''}`
  }
  if (terminated !== undefined) return `container ${name} ended with exit code ${terminated.exitCode}`
  return running === undefined
    ? undefined
    : `container ${name} runs and is not ready; look at its readiness probe`
}
