// One node's kubelet
export { createKubelet, type Kubelet, type KubeletOptions } from './kubelet.ts'
export {
  type ApiServerPlace,
  apiServerPlace,
  type NodeOptions,
  nodeLabels,
  nodeTaints,
  providerTaint,
  virtualCapacity,
} from './node/node-options.ts'
// Names others need
export { sidecarConditionType } from './pod/pod-conditions.ts'
// Order of start and stop
export {
  type ContainerLife,
  type ExitGroup,
  type PodLife,
  podLife,
  sharedGraceAnnotation,
} from './pod/pod-life.ts'
export { sidecarHoldEvent, virtualNodeLabel } from './pod/sidecar-hold.ts'
// How a node comes by a certificate of the cluster's
export type { KeyAndRequest, ServingCertificateOptions, ServingNames } from './server/serving-certificate.ts'
export { stdlogDriver } from './volume/pod-volumes.ts'
// Which references into other namespaces are resolved
export {
  type CrossNamespaceReference,
  notAuthorizedReason,
  parseReference,
  type ReferencePolicy,
  type ReferenceVerdict,
  refuseAllReferences,
} from './volume/reference-policy.ts'
