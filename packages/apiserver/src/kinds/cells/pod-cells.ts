import type { ContainerStatus, Pod } from '@outrigger/kube'
import { ageSince } from '../human-duration.ts'
import { ageCell, type Cell, cellsOf, nameCell, orNone } from './cell.ts'

/** What `kubectl get pods` says about a pod in a few words. */
export interface PodSummary {
  readonly ready: string
  readonly status: string
  readonly restarts: number
  /** RFC 3339, or undefined when nothing restarted. */
  readonly lastRestart: string | undefined
}

/** The rules of `printPod` in k8s.io/kubernetes/pkg/printers/internalversion. */
export function summarizePod(pod: Pod): PodSummary {
  const spec = pod.spec
  const status = pod.status
  const sidecars = new Set<string>()
  for (const container of spec?.initContainers ?? [])
    if (container.restartPolicy === 'Always') sidecars.add(container.name)
  const total = (spec?.containers ?? []).length + sidecars.size
  let reason = status?.reason || status?.phase || ''
  for (const condition of status?.conditions ?? [])
    if (condition.type === 'PodScheduled' && condition.reason === 'SchedulingGated')
      reason = 'SchedulingGated'

  const begin = summarizeInit(pod, sidecars)
  let { restarts, lastRestart, ready } = begin
  if (begin.reason !== undefined) reason = begin.reason
  const initialized = isTrue(pod, 'Initialized')
  if (begin.reason === undefined || initialized) {
    restarts = begin.sidecarRestarts
    lastRestart = begin.lastSidecarRestart
    let hasRunning = false
    const statuses = status?.containerStatuses ?? []
    for (let index = statuses.length - 1; index >= 0; index--) {
      const container = statuses[index] as ContainerStatus
      restarts += container.restartCount ?? 0
      lastRestart = later(lastRestart, container.lastState?.terminated?.finishedAt)
      const { waiting, terminated, running } = container.state ?? {}
      if (waiting?.reason) reason = waiting.reason
      else if (terminated !== undefined)
        reason =
          terminated.reason ||
          (terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`)
      else if (container.ready && running !== undefined) {
        hasRunning = true
        ready++
      }
    }
    if (reason === 'Completed' && hasRunning) reason = isTrue(pod, 'Ready') ? 'Running' : 'NotReady'
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    const isOver = status?.phase === 'Failed' || status?.phase === 'Succeeded'
    if (status?.reason === 'NodeLost') reason = 'Unknown'
    else if (!isOver) reason = 'Terminating'
  }
  return { ready: `${ready}/${total}`, status: reason, restarts, lastRestart }
}

interface InitSummary {
  /** Undefined once initialization is over. */
  readonly reason: string | undefined
  readonly restarts: number
  readonly lastRestart: string | undefined
  readonly sidecarRestarts: number
  readonly lastSidecarRestart: string | undefined
  readonly ready: number
}

function summarizeInit(pod: Pod, sidecars: ReadonlySet<string>): InitSummary {
  let restarts = 0
  let sidecarRestarts = 0
  let ready = 0
  let lastRestart: string | undefined
  let lastSidecarRestart: string | undefined
  let reason: string | undefined
  const statuses = pod.status?.initContainerStatuses ?? []
  for (let index = 0; index < statuses.length; index++) {
    const container = statuses[index] as ContainerStatus
    const isSidecar = sidecars.has(container.name)
    const finished = container.lastState?.terminated?.finishedAt
    restarts += container.restartCount ?? 0
    lastRestart = later(lastRestart, finished)
    if (isSidecar) {
      sidecarRestarts += container.restartCount ?? 0
      lastSidecarRestart = later(lastSidecarRestart, finished)
    }
    const { terminated, waiting } = container.state ?? {}
    if (terminated?.exitCode === 0) continue
    if (isSidecar && container.started === true) {
      if (container.ready) ready++
      continue
    }
    if (terminated !== undefined)
      reason = `Init:${terminated.reason || (terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`)}`
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') reason = `Init:${waiting.reason}`
    else reason = `Init:${index}/${(pod.spec?.initContainers ?? []).length}`
    break
  }
  return { reason, restarts, lastRestart, sidecarRestarts, lastSidecarRestart, ready }
}

function later(one: string | undefined, other: string | null | undefined): string | undefined {
  if (other === undefined || other === null) return one
  return one === undefined || Date.parse(other) > Date.parse(one) ? other : one
}

function isTrue(pod: Pod, type: string): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ===
    true
  )
}

// The cells of one row are asked for one after the other; the summary is made once for all of them.
let lastPod: Pod | undefined
let lastSummary: PodSummary | undefined

function summaryOf(pod: Pod): PodSummary {
  if (pod !== lastPod || lastSummary === undefined) {
    lastSummary = summarizePod(pod)
    lastPod = pod
  }
  return lastSummary
}

const restartsCell: Cell<Pod> = (pod, now) => {
  const { restarts, lastRestart } = summaryOf(pod)
  return restarts === 0 || lastRestart === undefined
    ? String(restarts)
    : `${restarts} (${ageSince(lastRestart, now)} ago)`
}

const readinessGatesCell: Cell<Pod> = (pod) => {
  const gates = pod.spec?.readinessGates ?? []
  if (gates.length === 0) return '<none>'
  const open = gates.filter(({ conditionType }) => isTrue(pod, conditionType))
  return `${open.length}/${gates.length}`
}

export const podCells = cellsOf<Pod>(
  nameCell,
  (pod) => summaryOf(pod).ready,
  (pod) => summaryOf(pod).status,
  restartsCell,
  ageCell,
  (pod) => orNone(pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP),
  (pod) => orNone(pod.spec?.nodeName),
  (pod) => orNone(pod.status?.nominatedNodeName),
  readinessGatesCell,
)
