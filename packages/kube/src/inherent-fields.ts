/**
 * Optional fields that Go keeps as a struct value and therefore always writes, empty or not, by definition
 * (the part of the name after `.api.`). The OpenAPI document does not tell them from pointers. `metadata`,
 * `spec` and `status` of a kind and all required fields are not repeated here.
 */
export const inherentFields: Readonly<Record<string, readonly string[]>> = {
  'apps.v1.DeploymentSpec': ['strategy'],
  'apps.v1.DaemonSetSpec': ['updateStrategy'],
  'apps.v1.StatefulSetSpec': ['updateStrategy'],
  'apps.v1.ReplicaSetSpec': ['template'],
  'batch.v1.JobTemplateSpec': ['metadata', 'spec'],
  'core.v1.PodTemplate': ['template'],
  'core.v1.PodTemplateSpec': ['metadata', 'spec'],
  'core.v1.PersistentVolumeClaimTemplate': ['metadata'],
  'core.v1.PersistentVolumeClaimSpec': ['resources'],
  'core.v1.Container': ['resources'],
  'core.v1.EphemeralContainer': ['resources'],
  'core.v1.Event': ['source'],
  'core.v1.NodeStatus': ['daemonEndpoints', 'nodeInfo'],
  'core.v1.NodeDaemonEndpoints': ['kubeletEndpoint'],
  'core.v1.ServiceStatus': ['loadBalancer'],
  'core.v1.ContainerStatus': ['state', 'lastState'],
  'events.v1.Event': ['deprecatedSource', 'regarding'],
  'networking.v1.IngressStatus': ['loadBalancer'],
  'networking.v1.NetworkPolicySpec': ['podSelector'],
  'discovery.v1.Endpoint': ['conditions'],
  'resource.v1.ResourceClaimSpec': ['devices'],
  'resource.v1.ResourceClaimTemplateSpec': ['metadata'],
  'resource.v1.AllocationResult': ['devices'],
  'flowcontrol.v1.FlowSchemaSpec': ['priorityLevelConfiguration'],
}
