import { readdirSync, readFileSync } from 'node:fs'
import { formatTime } from '@outrigger/foundation'
import type { ContainerStatus, Pod, PodSpec, PodStatus } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import type { ContainerState, SandboxState } from '../runtime.ts'
import { observePod } from './observed-pod.ts'
import { podLife, restartsAfter } from './pod-life.ts'
import { podStatus } from './pod-status.ts'
import type { WaitingReason } from './status-input.ts'

interface Recording {
  readonly case: string
  readonly pods: Readonly<Record<string, PodSpec>>
  readonly steps: readonly Step[]
}

interface Step {
  readonly pod: string
  readonly generation: number
  readonly isDeleted: boolean
  readonly images: Readonly<Record<string, string>>
  readonly status: PodStatus
}

/** Statuses that a kubelet of Go writes for an instant between two steps that are one step here. */
const betweenSteps: Readonly<Record<string, readonly number[]>> = {
  // The deadline shows in the conditions one write before it shows in the reason.
  'active-deadline': [3],
  // Written by the test's own kubectl.
  'readiness-gate': [3],
  // The sidecar's new state comes one write before the condition that follows from it.
  'sidecar-gating': [3],
}

const start = Date.parse('2026-01-01T00:00:00Z')
const folder = new URL('../testdata/pod-life/', import.meta.url)
const recordings = readdirSync(folder).map((name) => readRecording(new URL(name, folder)))

describe('the status of a pod follows from what runs, as a real kubelet has recorded it', () => {
  test.each(recordings.map((recording) => [recording.case, recording] as const))('%s', (name, recording) => {
    const before = new Map<string, PodStatus>()
    recording.steps.forEach((step, index) => {
      const previous = before.get(step.pod) ?? { phase: 'Pending' }
      before.set(step.pod, step.status)
      if (step.status.containerStatuses === undefined || betweenSteps[name]?.includes(index)) return
      expect({ step: index, ...comparable(statusOf(step, recording, previous)) }).toEqual({
        step: index,
        ...comparable(step.status),
      })
    })
  })
})

function statusOf(step: Step, recording: Recording, previous: PodStatus): PodStatus {
  const pod = podOf(step, recording)
  const life = podLife(pod, { isVirtual: false })
  const all = allStatuses(step.status)
  const runs = all.flatMap(runsOf)
  const isOver = step.status.phase === 'Failed' || step.status.phase === 'Succeeded'
  const hasSandbox = conditionOf(step.status, 'PodReadyToStartContainers') === 'True'
  const sandbox: SandboxState = {
    id: 'sandbox',
    pod: { name: step.pod, namespace: 'demo', uid: 'uid' },
    attempt: 0,
    isReady: hasSandbox,
    createdAt: start,
    ips: step.status.podIPs?.map(({ ip }) => ip) ?? [],
    containers: runs,
    annotations: {},
  }
  return podStatus({
    pod,
    life,
    observed: observePod(runs.length > 0 || hasSandbox ? [sandbox] : []),
    previous,
    waiting: new Map(all.flatMap(waitingOf)),
    health: (run) => {
      const status = all.find((each) => each.name === run.name)
      return { isStarted: status?.started === true, isReady: status?.ready === true, failed: undefined }
    },
    restarts: (each, run) => restartsAfter(each, run.exitCode),
    isInitialized: conditionOf(step.status, 'Initialized') === 'True',
    isEnded: isOver,
    verdict:
      step.status.reason === undefined
        ? undefined
        : { reason: step.status.reason, message: step.status.message ?? '' },
    terminationMessages: new Map(),
    runtimeName: 'containerd',
    hostIps: step.status.hostIPs?.map(({ ip }) => ip) ?? [],
    now: Date.parse(newestTime(step.status)),
    hold: undefined,
    resize: { refusal: undefined, isInProgress: false, error: undefined },
    resourcesOf: () => ({}),
  })
}

function podOf(step: Step, recording: Recording): Pod {
  const spec = structuredClone(recording.pods[step.pod] ?? recording.pods['*']!)
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    container.image = step.images[container.name] ?? container.image
  }
  spec.restartPolicy ??= 'Always'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: step.pod, namespace: 'demo', uid: 'uid', generation: step.generation },
    spec,
    status: step.status,
  }
}

function allStatuses(status: PodStatus): ContainerStatus[] {
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
}

/** What the runtime must have had for a kubelet to write this. */
function runsOf(status: ContainerStatus): ContainerState[] {
  if (status.containerID === undefined) return []
  const run = (
    ended: NonNullable<NonNullable<ContainerStatus['state']>['terminated']> | undefined,
    id: string,
    attempt: number,
  ): ContainerState => ({
    id: id.replace(/^.*\/\//, ''),
    name: status.name,
    attempt,
    state: ended === undefined ? 'running' : 'exited',
    image: status.image,
    imageRef: status.imageID,
    createdAt: start,
    startedAt: Date.parse(ended?.startedAt ?? status.state?.running?.startedAt ?? formatTime(start)),
    finishedAt: ended === undefined ? 0 : Date.parse(ended.finishedAt ?? formatTime(start)),
    exitCode: ended?.exitCode ?? 0,
    reason: ended?.reason ?? '',
    message: ended?.message ?? '',
    annotations: {},
  })
  const last = status.lastState?.terminated
  const current = status.state?.terminated ?? (status.state?.waiting === undefined ? undefined : last)
  const runs = [run(current, status.containerID, status.restartCount)]
  if (last?.containerID !== undefined && last.containerID !== status.containerID) {
    runs.push(run(last, last.containerID, status.restartCount - 1))
  }
  return runs
}

function waitingOf(status: ContainerStatus): [string, WaitingReason][] {
  const waiting = status.state?.waiting
  if (waiting?.reason === undefined || ['ContainerCreating', 'PodInitializing'].includes(waiting.reason))
    return []
  return [[status.name, { reason: waiting.reason, message: waiting.message ?? '' }]]
}

function conditionOf(status: PodStatus, type: string): string | undefined {
  return status.conditions?.find((condition) => condition.type === type)?.status
}

function newestTime(status: PodStatus): string {
  return (status.conditions ?? [])
    .flatMap(({ lastTransitionTime }) => lastTransitionTime ?? [])
    .sort()
    .at(-1)!
}

function comparable(status: PodStatus) {
  return {
    phase: status.phase,
    reason: status.reason,
    observedGeneration: status.observedGeneration,
    conditions: status.conditions?.map(({ lastTransitionTime: _, ...rest }) => rest),
    containerStatuses: status.containerStatuses?.map(withoutResources),
    initContainerStatuses: status.initContainerStatuses?.map(withoutResources),
  }
}

/** A time of Go that was never set is written as null; we leave it out. */
function withoutResources(status: ContainerStatus) {
  const { resources: _, allocatedResources: __, volumeMounts: ___, ...rest } = status
  return JSON.parse(
    JSON.stringify(rest, (_key, value: unknown) => (value === null ? undefined : value)),
  ) as unknown
}

function readRecording(url: URL): Recording {
  const text = readFileSync(url, 'utf8').replace(/<t\+(\d+)s>/g, (_, seconds: string) =>
    formatTime(start + Number(seconds) * 1000),
  )
  return JSON.parse(text) as Recording
}
