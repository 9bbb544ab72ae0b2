import { formatFieldError, type KubeObject, type Pod } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { KindsUnderTest } from '../testing/kinds-under-test.ts'
import { lateSidecarsGate } from './pod-update-rules.ts'

const label = 'serverless.alibabacloud.com/virtual-node'

describe('An update of a pod on a virtual node', () => {
  test('may add sidecars and volumes while nothing has started', async () => {
    const { errors, pod } = await updated({}, withSidecars)

    expect(errors).toEqual([])
    expect(pod.spec?.containers.map(({ name }) => name)).toEqual(['main', 'logs'])
    expect(pod.spec?.initContainers?.map(({ name }) => name)).toEqual(['mesh'])
  })

  test('may mark the pod and add its sidecars in one write', async () => {
    const { errors } = await updated({ labels: {} }, (pod) => {
      withSidecars(pod)
      pod.metadata.labels = { [label]: 'true' }
    })

    expect(errors).toEqual([])
  })

  test('adds nothing once a container has started', async () => {
    const status = { containerStatuses: [{ name: 'main', started: true, state: { running: {} } }] }
    const { errors } = await updated({ status }, withSidecars)

    expect(errors).toEqual([refusal])
  })

  test('adds nothing before the pod is bound', async () => {
    const { errors } = await updated({ nodeName: undefined }, withSidecars)

    expect(errors).toEqual([refusal])
  })

  test('adds nothing to a pod without the mark', async () => {
    const { errors } = await updated({ labels: {} }, withSidecars)

    expect(errors).toEqual([refusal])
  })

  test('adds nothing without the feature gate', async () => {
    const { errors } = await updated({ gates: [] }, withSidecars)

    expect(errors).toEqual([refusal])
  })

  test('leaves containers and volumes that were there alone', async () => {
    const { errors } = await updated({}, (pod) => {
      withSidecars(pod)
      const main = pod.spec?.containers[0]
      if (main !== undefined) main.command = ['other']
    })

    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/^spec: Forbidden: pod updates may not change fields other than/)
  })

  test('takes no init container that runs to its end', async () => {
    const { errors } = await updated({}, (pod) => {
      if (pod.spec !== undefined) pod.spec.initContainers = [{ name: 'once', image: 'i' }]
    })

    expect(errors).toEqual(['spec.initContainers: Forbidden: pod updates may not add or remove containers'])
  })

  test('never removes a container', async () => {
    const { errors } = await updated({}, (pod) => {
      if (pod.spec !== undefined) pod.spec.containers = [{ name: 'logs', image: 'i' }]
    })

    expect(errors.join()).toMatch(/Forbidden/)
  })
})

const refusal = 'spec.containers: Forbidden: pod updates may not add or remove containers'

function withSidecars(pod: Pod): void {
  if (pod.spec === undefined) return
  pod.spec.containers.push({
    name: 'logs',
    image: 'logs:1',
    volumeMounts: [{ name: 'shared', mountPath: '/l' }],
  })
  pod.spec.initContainers = [{ name: 'mesh', image: 'mesh:1', restartPolicy: 'Always' }]
  pod.spec.volumes = [...(pod.spec.volumes ?? []), { name: 'shared', emptyDir: {} }]
}

interface Situation {
  readonly gates?: readonly string[]
  readonly labels?: Record<string, string>
  readonly nodeName?: string | undefined
  readonly status?: object
}

async function updated(situation: Situation, change: (pod: Pod) => void) {
  const { gates = [lateSidecarsGate], labels = { [label]: 'true' }, status = {} } = situation
  const nodeName = 'nodeName' in situation ? situation.nodeName : 'virtual-1'
  const kinds = new KindsUnderTest({ gates })
  const pods = kinds.find('pods')
  const { object } = await kinds.create(pods, {
    metadata: { name: 'p', labels },
    spec: { containers: [{ name: 'main', image: 'app:1' }], ...(nodeName === undefined ? {} : { nodeName }) },
  })
  Object.assign((object as Pod).status ?? {}, status)
  kinds.put('pods', object)
  const next = structuredClone(object) as Pod
  change(next)
  const outcome = await kinds.patch(pods, 'p', next as KubeObject)
  return { errors: outcome.errors.map(formatFieldError), pod: outcome.object as Pod }
}
