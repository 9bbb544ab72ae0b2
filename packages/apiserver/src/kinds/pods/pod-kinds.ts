import type { Pod } from '@outrigger/kube'
import type { KindsEnvironment } from '../environment.ts'
import { type KindBuilders, selectableOf } from '../kind-definition.ts'
import { createBinding, createBindingsResource } from './binding.ts'
import { createEviction } from './eviction.ts'
import { createPodStrategies } from './pod-strategy.ts'

const selectable = selectableOf<Pod>({
  'spec.nodeName': ({ spec }) => spec?.nodeName,
  'spec.restartPolicy': ({ spec }) => spec?.restartPolicy,
  'spec.schedulerName': ({ spec }) => spec?.schedulerName,
  'spec.serviceAccountName': ({ spec }) => spec?.serviceAccountName,
  'spec.hostNetwork': ({ spec }) => String(spec?.hostNetwork === true),
  'status.phase': ({ status }) => status?.phase,
  'status.podIP': ({ status }) => status?.podIPs?.[0]?.ip ?? status?.podIP,
  'status.nominatedNodeName': ({ status }) => status?.nominatedNodeName,
})

/** Pods and the old way to bind them. */
export const podKinds: KindBuilders = {
  'core/v1/pods': (schema, environment: KindsEnvironment) => {
    const strategies = createPodStrategies(schema)
    return {
      strategy: strategies.main,
      status: strategies.status,
      selectable,
      subresources: {
        ephemeralcontainers: {
          type: 'view',
          verbs: ['get', 'patch', 'update'],
          strategy: strategies.ephemeralContainers,
        },
        resize: { type: 'view', verbs: ['get', 'patch', 'update'], strategy: strategies.resize },
        binding: createBinding(environment),
        eviction: createEviction(environment),
      },
    }
  },
  'core/v1/bindings': createBindingsResource,
}
