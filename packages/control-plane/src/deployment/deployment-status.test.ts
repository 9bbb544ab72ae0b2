import type { Deployment, DeploymentCondition, ReplicaSet } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { deploymentStatus } from './deployment-status.ts'

describe('the condition Progressing', () => {
  test('turns false when the newest pods make no progress within the deadline', () => {
    const start = Date.UTC(2026, 0, 1)
    let deployment = aDeployment({ progressDeadlineSeconds: 5 })
    const seen: (string | undefined)[] = []
    for (const seconds of [0, 1, 4, 7, 9]) {
      const facts = { current: stuckSet, old: [], now: start + seconds * 1000 }
      deployment = { ...deployment, status: deploymentStatus(deployment, facts) }
      seen.push(progressing(deployment)?.reason)
    }

    expect(seen).toEqual([
      'FoundNewReplicaSet',
      'FoundNewReplicaSet',
      'FoundNewReplicaSet',
      'ProgressDeadlineExceeded',
      'ProgressDeadlineExceeded',
    ])
    expect(progressing(deployment)).toMatchObject({
      status: 'False',
      message: 'ReplicaSet "web-new" has timed out progressing.',
    })
  })
})

const stuckSet: ReplicaSet = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name: 'web-new', namespace: 'demo' },
  spec: { replicas: 1, selector: {} },
  status: { replicas: 1 },
}

function aDeployment(spec: Partial<Deployment['spec']>): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'demo', generation: 1 },
    spec: { replicas: 1, selector: {}, template: {}, ...spec },
    status: { updatedReplicas: 1, replicas: 1 },
  } as Deployment
}

function progressing({ status }: Deployment): DeploymentCondition | undefined {
  return status?.conditions?.find(({ type }) => type === 'Progressing')
}
