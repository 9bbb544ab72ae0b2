import type { Client } from '@outrigger/client'
import { createEventRecorder, createInformers, type EventRecorder, runAll } from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import {
  type Deployment,
  type Lease,
  type Namespace,
  type Node,
  type Pod,
  type ReplicaSet,
  resources,
  type ServiceAccount,
} from '@outrigger/kube'
import { createDeploymentController } from './deployment/deployment-controller.ts'
import { createDiscovery } from './discovery.ts'
import { createGarbageCollector } from './garbage-collector/garbage-collector.ts'
import { createNamespaceController } from './namespace/namespace-controller.ts'
import { createNodeLifecycleController } from './node/node-lifecycle-controller.ts'
import { controllerUid, ownershipIndexes } from './ownership.ts'
import { createReplicaSetController } from './replica-set/replica-set-controller.ts'
import { createScheduler } from './scheduler/scheduler.ts'
import { createServiceAccountController } from './service-account/service-account-controller.ts'

export interface ControlPlaneOptions {
  readonly client: Client
  /** The cluster's CA in PEM, published as `kube-root-ca.crt`. */
  readonly rootCa: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * The built-in controllers of the embedded cluster and its scheduler.
 *
 * Assumes it is the only one running against its API server: the embedded control plane serves one
 * machine and elects no leader.
 */
export function createControlPlane(options: ControlPlaneOptions): Runnable {
  return {
    name: 'control-plane',
    run: (signal) => runAll(controlPlaneRunnables(options), signal),
  }
}

/** Everything that runs, in starting order. */
function controlPlaneRunnables(options: ControlPlaneOptions): readonly Runnable[] {
  const { client, clock, random, logger } = options
  const base = { client, clock, random, logger }
  const informers = createInformers(base)
  const recorders = new Map<string, EventRecorder & Runnable>()
  const events = (component: string) => {
    const recorder = createEventRecorder({ ...base, component, host: '' })
    recorders.set(component, recorder)
    return recorder
  }

  const namespaces = informers.for<Namespace>(resources.namespaces)
  const serviceAccounts = informers.for<ServiceAccount>(resources.serviceAccounts)
  const nodes = informers.for<Node>(resources.nodes)
  const leases = informers.for<Lease>(resources.leases, { namespace: 'kube-node-lease' })
  const deployments = informers.for<Deployment>(resources.deployments)
  const replicaSets = informers.for<ReplicaSet>(resources.replicaSets, {
    indexes: { ...ownershipIndexes, namespace: (set) => [set.metadata.namespace ?? ''] },
  })
  const pods = informers.for<Pod>(resources.pods, {
    indexes: {
      ...ownershipIndexes,
      orphans: (pod) => (controllerUid(pod) === undefined ? [pod.metadata.namespace ?? ''] : []),
      node: (pod) => (pod.spec.nodeName ? [pod.spec.nodeName] : []),
    },
  })
  const discovery = createDiscovery({ client, clock })

  const controllers = [
    createServiceAccountController({ ...base, namespaces, serviceAccounts, rootCa: options.rootCa }),
    createScheduler({ ...base, pods, nodes, events: events('default-scheduler') }),
    createReplicaSetController({ ...base, replicaSets, pods, events: events('replicaset-controller') }),
    createDeploymentController({
      ...base,
      deployments,
      replicaSets,
      pods,
      events: events('deployment-controller'),
    }),
    createNodeLifecycleController({ ...base, nodes, leases, pods, events: events('node-controller') }),
    createNamespaceController({ ...base, namespaces, discovery }),
    createGarbageCollector({ ...base, discovery }),
  ]
  return [...recorders.values(), informers, ...controllers]
}
