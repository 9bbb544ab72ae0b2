import type { ContainerStatus, Pod } from '@outrigger/kube'

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
export function unmetGates({ spec, status }: Pod): string[] {
  const open = new Set(
    (status?.conditions ?? []).filter(({ status: value }) => value === 'True').map(({ type }) => type),
  )
  return (spec.readinessGates ?? [])
    .filter(({ conditionType }) => !open.has(conditionType))
    .map(({ conditionType }) => `readiness gate ${conditionType} is not True`)
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
