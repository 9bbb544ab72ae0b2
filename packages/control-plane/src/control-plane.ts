import type { Client } from '@outrigger/client'
import {
  createEventRecorder,
  createInformers,
  type EventRecorder,
  runAll,
  withoutManagedFields,
} from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import {
  type CertificateSigningRequest,
  type ConfigMap,
  type ControllerRevision,
  type CronJob,
  type DaemonSet,
  type Deployment,
  type EndpointSlice,
  type Endpoints,
  type Job,
  type Lease,
  type Namespace,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  type ReplicaSet,
  type ReplicationController,
  type ResourceQuota,
  resources,
  type Service,
  type ServiceAccount,
  type StatefulSet,
  type StorageClass,
} from '@outrigger/kube'
import type { CertificateSigner } from './certificates/certificate-signer.ts'
import { kubeletServingSigner } from './certificates/kubelet-serving.ts'
import { createKubeletServingController, signingRequests } from './certificates/kubelet-serving-controller.ts'
import { createCronJobController } from './cron-job/cron-job-controller.ts'
import { createDaemonSetController } from './daemon-set/daemon-set-controller.ts'
import { createDeploymentController } from './deployment/deployment-controller.ts'
import { createDiscovery } from './discovery.ts'
import { createDisruptionController } from './disruption/disruption-controller.ts'
import { createEndpointsController, sliceIndexes } from './endpoints/endpoints-controller.ts'
import { createGarbageCollector } from './garbage-collector/garbage-collector.ts'
import { createJobController } from './job/job-controller.ts'
import { createJobOrphanController } from './job/job-orphan-controller.ts'
import { createNamespaceController } from './namespace/namespace-controller.ts'
import { createNodeLifecycleController } from './node/node-lifecycle-controller.ts'
import { indexes, podIndexes } from './ownership.ts'
import { createPodGarbageController, finishedPodIndex } from './pod-gc/pod-garbage-controller.ts'
import { createQuotaController } from './quota/quota-controller.ts'
import {
  createReplicaSetController,
  createReplicationControllerController,
} from './replica-set/replica-set-controller.ts'
import { createScheduler } from './scheduler/scheduler.ts'
import { createServiceAccountController, rootCaName } from './service-account/service-account-controller.ts'
import { createStatefulSetController } from './stateful-set/stateful-set-controller.ts'
import { createDefaultClass } from './volume-binding/default-class.ts'
import { createVolumeBindingController } from './volume-binding/volume-binding-controller.ts'
import type { VolumeFolders } from './volume-binding/volume-folders.ts'
import { localProvisioner } from './volume-binding/volume-plan.ts'
import {
  claimIndex,
  createVolumeProtectionController,
} from './volume-protection/volume-protection-controller.ts'

export interface ControlPlaneOptions {
  readonly client: Client
  /** The cluster's CA in PEM, published as `kube-root-ca.crt`. */
  readonly rootCa: string
  /** Signs the serving certificates of kubelets with the cluster's authority; left out, nobody does. */
  readonly kubeletSigner?: CertificateSigner
  /** Where volumes lie that are folders of this machine; left out, none are made, and there is no default class. */
  readonly volumeFolders?: VolumeFolders
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
  const recorders: EventRecorder[] = []
  const events = (component: string) => {
    const recorder = createEventRecorder({ ...base, component, host: '' })
    recorders.push(recorder)
    return recorder
  }
  const trim = withoutManagedFields

  const namespaces = informers.for<Namespace>(resources.namespaces, { trim })
  const nodes = informers.for<Node>(resources.nodes, { trim })
  const leases = informers.for<Lease>(resources.leases, { trim, namespace: 'kube-node-lease' })
  const pods = informers.for<Pod>(resources.pods, {
    trim,
    indexes: { ...podIndexes, ...finishedPodIndex, ...claimIndex },
  })
  const serviceAccounts = informers.for<ServiceAccount>(resources.serviceAccounts, { trim })
  const rootCaConfigMaps = informers.for<ConfigMap>(resources.configMaps, {
    trim,
    fieldSelector: `metadata.name=${rootCaName}`,
  })
  const own = { trim, indexes }
  const deployments = informers.for<Deployment>(resources.deployments, own)
  const replicaSets = informers.for<ReplicaSet>(resources.replicaSets, own)
  const replicationControllers = informers.for<ReplicationController>(resources.replicationControllers, own)
  const statefulSets = informers.for<StatefulSet>(resources.statefulSets, own)
  const daemonSets = informers.for<DaemonSet>(resources.daemonSets, own)
  const revisions = informers.for<ControllerRevision>(resources.controllerRevisions, own)
  const jobs = informers.for<Job>(resources.jobs, own)
  const cronJobs = informers.for<CronJob>(resources.cronJobs, own)
  const services = informers.for<Service>(resources.services, own)
  const slices = informers.for<EndpointSlice>(resources.endpointSlices, { trim, indexes: sliceIndexes })
  const endpoints = informers.for<Endpoints>(resources.endpoints, { trim })
  const budgets = informers.for<PodDisruptionBudget>(resources.podDisruptionBudgets, own)
  const quotas = informers.for<ResourceQuota>(resources.resourceQuotas, own)
  const claims = informers.for<PersistentVolumeClaim>(resources.persistentVolumeClaims, { trim })
  const volumes = informers.for<PersistentVolume>(resources.persistentVolumes, { trim })
  const classes = informers.for<StorageClass>(resources.storageClasses, { trim })
  const discovery = createDiscovery({ client, clock })

  // Whole resources that are watched anyway; the garbage collector watches all others by itself.
  const watched = [
    ...[namespaces, nodes, pods, serviceAccounts, deployments, replicaSets, replicationControllers],
    ...[statefulSets, daemonSets, revisions, jobs, cronJobs, services, slices, endpoints, budgets, quotas],
    ...[claims, volumes, classes],
  ]
  const shared = new Map(watched.map((one) => [`${one.resource.resource}.${one.resource.group}`, one]))

  const controllers = [
    createServiceAccountController({
      ...base,
      ...{ namespaces, serviceAccounts, rootCaConfigMaps, rootCa: options.rootCa },
    }),
    createScheduler({
      ...base,
      ...{ pods, nodes, claims, volumes, classes, events: events('default-scheduler') },
    }),
    createReplicaSetController({ ...base, replicaSets, pods, events: events('replicaset-controller') }),
    createReplicationControllerController({
      ...base,
      ...{ replicationControllers, pods, events: events('replication-controller') },
    }),
    createDeploymentController({
      ...base,
      ...{ deployments, replicaSets, pods, events: events('deployment-controller') },
    }),
    createStatefulSetController({
      ...base,
      ...{ statefulSets, revisions, pods, events: events('statefulset-controller') },
    }),
    createDaemonSetController({
      ...base,
      ...{ daemonSets, revisions, nodes, pods, events: events('daemonset-controller') },
    }),
    createJobController({ ...base, jobs, pods, events: events('job-controller') }),
    createJobOrphanController({ ...base, jobs, pods }),
    createCronJobController({ ...base, cronJobs, jobs, events: events('cronjob-controller') }),
    createEndpointsController({
      ...base,
      ...{ services, slices, endpoints, nodes, pods, events: events('endpoint-slice-controller') },
    }),
    createDisruptionController({
      ...base,
      ...{ budgets, deployments, replicaSets, replicationControllers, statefulSets, pods, discovery },
    }),
    createQuotaController({ ...base, quotas, pods, discovery }),
    createNodeLifecycleController({ ...base, nodes, leases, pods, events: events('node-controller') }),
    createPodGarbageController({ ...base, pods }),
    createVolumeBindingController({
      ...base,
      ...{ claims, volumes, classes, nodes, folders: options.volumeFolders },
      events: events('persistentvolume-controller'),
      provisionerEvents: events(localProvisioner),
    }),
    ...(options.volumeFolders === undefined ? [] : [createDefaultClass(base)]),
    createVolumeProtectionController({ ...base, claims, volumes, pods }),
    createNamespaceController({ ...base, namespaces, discovery }),
    createGarbageCollector({ ...base, discovery, shared }),
  ]
  if (options.kubeletSigner !== undefined) {
    const requests = informers.for<CertificateSigningRequest>(signingRequests, {
      trim,
      fieldSelector: `spec.signerName=${kubeletServingSigner}`,
    })
    controllers.push(
      createKubeletServingController({ ...base, requests, nodes, signer: options.kubeletSigner }),
    )
  }
  return [...recorders, informers, ...controllers]
}
