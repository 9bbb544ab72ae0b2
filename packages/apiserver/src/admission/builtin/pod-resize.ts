import { deepEqual, type Node, type Pod, podRequests, quantityMillis, resources } from '@outrigger/kube'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf } from './attribute-questions.ts'

/** What a node can have too little of for a resize, and the unit refusals count it in. */
const amounts = [
  ['cpu', (value: string | number) => quantityMillis(value)],
  ['memory', (value: string | number) => quantityMillis(value) / 1000],
] as const

/**
 * Refuses to resize a pod beyond what its whole node has to give; what merely does not fit now is left to the
 * node, which defers it. Source: the admission plugin PodResize, as recorded of Kubernetes 1.36.
 */
export function createPodResize({ objects }: Pick<KindsEnvironment, 'objects'>): AdmissionPlugin {
  return {
    name: 'PodResize',
    concerns: ({ resource, subresource, operation }) =>
      subresource === 'resize' &&
      operation === 'UPDATE' &&
      resource.group === '' &&
      resource.plural === 'pods',
    validate(attributes) {
      const pod = attributes.object as Pod
      const name = pod.spec?.nodeName
      if (!name || deepEqual(pod.spec, (attributes.oldObject as Pod).spec)) return
      const allocatable = objects.get<Node>(resources.nodes, { namespace: '', name })?.status?.allocatable
      if (allocatable === undefined) return
      const requests = podRequests(pod)
      const missing = amounts.flatMap(([resource, count]) => {
        const requested = count(requests[resource] ?? 0)
        const has = count(allocatable[resource] ?? 0)
        return requested > has ? [`${resource}, requested: ${requested}, allocatable: ${has}`] : []
      })
      if (missing.length === 0) return
      const why = `node didn't have enough allocatable resources: ${missing.join('; ')}`
      throw forbidden(subjectOf(attributes), nameOf(attributes), why)
    },
  }
}
