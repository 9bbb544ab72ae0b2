import { formatTime, parseTime } from '@outrigger/foundation'
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '@outrigger/kube'
import { boundsOf } from './rollout.ts'

export interface StatusFacts {
  /** The ReplicaSet of today's template, if it exists. */
  readonly current: ReplicaSet | undefined
  readonly old: readonly ReplicaSet[]
  /** Milliseconds since 1970. */
  readonly now: number
}

const sum = (sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number | undefined): number =>
  sets.reduce((total, set) => total + (count(set) ?? 0), 0)

/** The status that follows from the ReplicaSets, conditions included. */
export function deploymentStatus(deployment: Deployment, facts: StatusFacts): DeploymentStatus {
  const all = facts.current === undefined ? facts.old : [facts.current, ...facts.old]
  const available = sum(all, (set) => set.status?.availableReplicas)
  const wished = deployment.spec.replicas ?? 1
  const counts = {
    replicas: sum(all, (set) => set.status?.replicas),
    updatedReplicas: facts.current?.status?.replicas ?? 0,
    readyReplicas: sum(all, (set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(all, (set) => set.spec.replicas) - available),
    terminatingReplicas: sum(all, (set) => set.status?.terminatingReplicas),
  }
  const status: DeploymentStatus = { observedGeneration: deployment.metadata.generation ?? 0 }
  for (const [name, value] of Object.entries(counts)) {
    if (value !== 0 || name === 'terminatingReplicas') Object.assign(status, { [name]: value })
  }
  if (deployment.status?.collisionCount !== undefined)
    status.collisionCount = deployment.status.collisionCount
  status.conditions = conditions(
    deployment,
    status,
    facts,
    available >= wished - boundsOf(deployment).maxUnavailable,
  )
  return status
}

function conditions(
  deployment: Deployment,
  status: DeploymentStatus,
  facts: StatusFacts,
  isAvailable: boolean,
): DeploymentCondition[] {
  const before = deployment.status?.conditions ?? []
  const kept = before.filter(
    (condition) => !['Available', 'Progressing', 'ReplicaFailure'].includes(condition.type),
  )
  const failure = facts.current?.status?.conditions?.find((condition) => condition.type === 'ReplicaFailure')
  const wanted: (Wanted | undefined)[] = [
    isAvailable
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    progressing(deployment, status, facts),
    failure && {
      type: 'ReplicaFailure',
      status: 'True',
      reason: failure.reason ?? '',
      message: failure.message ?? '',
    },
  ]
  const made = wanted
    .filter((condition) => condition !== undefined)
    .map((condition) => stamped(condition, before, facts.now))
  const order = new Map(before.map((condition, index) => [condition.type, index]))
  return [...kept, ...made].sort((a, b) => (order.get(a.type) ?? 99) - (order.get(b.type) ?? 99))
}

type Wanted = Pick<Required<DeploymentCondition>, 'type' | 'status' | 'reason' | 'message'> & {
  readonly hasMoved?: boolean
}

function progressing(
  deployment: Deployment,
  status: DeploymentStatus,
  facts: StatusFacts,
): Wanted | undefined {
  const before = deployment.status?.conditions?.find((condition) => condition.type === 'Progressing')
  const deadline = deployment.spec.progressDeadlineSeconds
  if (deadline === undefined || deadline === 2147483647) return undefined
  if (deployment.spec.paused === true)
    return {
      type: 'Progressing',
      status: 'Unknown',
      reason: 'DeploymentPaused',
      message: 'Deployment is paused',
    }
  const subject =
    facts.current === undefined
      ? `Deployment "${deployment.metadata.name}"`
      : `ReplicaSet "${facts.current.metadata.name}"`
  const message = (verb: string) => `${subject} ${verb}.`
  if (isComplete(deployment, status)) {
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: message('has successfully progressed'),
    }
  }
  const name = facts.current?.metadata.name ?? deployment.metadata.name
  const isNew =
    before === undefined ||
    before.reason === 'DeploymentPaused' ||
    before.message?.includes(`"${name}"`) !== true
  if (isNew) {
    const isFresh = (facts.current?.status?.replicas ?? 0) === 0
    const reason = isFresh ? 'NewReplicaSetCreated' : 'FoundNewReplicaSet'
    return {
      type: 'Progressing',
      status: 'True',
      reason,
      message: isFresh
        ? `Created new replica set "${facts.current?.metadata.name}"`
        : `Found new replica set "${facts.current?.metadata.name}"`,
      hasMoved: true,
    }
  }
  if (hasProgressed(deployment, status)) {
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: message('is progressing'),
      hasMoved: true,
    }
  }
  const waited = facts.now - parseTime(before.lastUpdateTime ?? '')
  if (
    before.reason === 'ProgressDeadlineExceeded' ||
    (before.reason !== 'NewReplicaSetAvailable' && waited > deadline * 1000)
  ) {
    return {
      type: 'Progressing',
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: message('has timed out progressing'),
    }
  }
  if (before.reason === 'NewReplicaSetAvailable') {
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: before.message ?? '',
    }
  }
  return { type: 'Progressing', status: 'True', reason: before.reason ?? '', message: before.message ?? '' }
}

/** Whether all wished pods are of today's template and available. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const wished = deployment.spec.replicas ?? 1
  return (
    (status.updatedReplicas ?? 0) === wished &&
    (status.replicas ?? 0) === wished &&
    (status.availableReplicas ?? 0) === wished &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

function hasProgressed(deployment: Deployment, status: DeploymentStatus): boolean {
  const before = deployment.status ?? {}
  const oldReplicas = (of: DeploymentStatus) => (of.replicas ?? 0) - (of.updatedReplicas ?? 0)
  return (
    (status.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    oldReplicas(status) < oldReplicas(before) ||
    (status.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (status.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  )
}

function stamped(wanted: Wanted, before: readonly DeploymentCondition[], now: number): DeploymentCondition {
  const { hasMoved, ...condition } = wanted
  const old = before.find((candidate) => candidate.type === condition.type)
  const isSame =
    old !== undefined &&
    old.status === condition.status &&
    old.reason === condition.reason &&
    old.message === condition.message
  if (isSame && hasMoved !== true) return old
  const time = formatTime(now)
  return {
    ...condition,
    lastUpdateTime: time,
    lastTransitionTime: old?.status === condition.status ? (old.lastTransitionTime ?? time) : time,
  }
}
