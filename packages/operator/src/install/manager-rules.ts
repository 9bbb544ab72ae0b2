import { whitelistConfigMap } from '@outrigger/api'
import type { PolicyRule } from '@outrigger/kube'

export interface ManagerRules {
  /** For a ClusterRole. */
  readonly cluster: PolicyRule[]
  /** For a Role in the manager's own namespace. */
  readonly ownNamespace: PolicyRule[]
}

export interface ManagerRulesOptions {
  /** Names of the two webhook configurations. */
  readonly webhookConfigurations: readonly [string, string]
  readonly certificateSecret: string
  /** As in `ManagerOptions`; without it the manager may not delete pods. Default false. */
  readonly replacesOverflowPods?: boolean
  /** As in `ManagerOptions`; without it the manager may not evict pods. Default false. */
  readonly evictsMissedPods?: boolean
  /** As in `ManagerOptions`; without it the manager may not evict pods. Default false. */
  readonly recreatesPods?: boolean
}

const rule = (group: string, names: string[], verbs: string[], resourceNames?: string[]): PolicyRule => ({
  apiGroups: [group],
  resources: names,
  verbs,
  ...(resourceNames && { resourceNames }),
})
const read = ['get', 'list', 'watch']

/**
 * Everything the manager does and nothing more. It reads no Secrets but its own certificates'. It may
 * write and give away Roles it does not hold itself (`escalate`, `bind`), because that is what a
 * SidecarSetResourceBinding asks of it; it gives them to the group of virtual nodes only.
 */
export function managerRules({
  webhookConfigurations,
  certificateSecret,
  replacesOverflowPods = false,
  evictsMissedPods = false,
  recreatesPods = false,
}: ManagerRulesOptions): ManagerRules {
  const admission = 'admissionregistration.k8s.io'
  const configurations = ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']
  const definitions = ['sidecarsets.apps.kruise.io', 'sidecarsetresourcebindings.sidecarset.alibabacloud.com']
  return {
    cluster: [
      rule('', ['pods'], [...read, 'patch']),
      // Gives no more than `patch pods` does, which changes images.
      rule('', ['pods/status', 'pods/resize'], ['patch']),
      rule('', ['namespaces', 'nodes'], read),
      rule('', ['events'], ['create', 'patch']),
      // Asked for only while a pod is drained.
      rule('discovery.k8s.io', ['endpointslices'], ['list']),
      rule('apps.kruise.io', ['sidecarsets'], read),
      rule('apps.kruise.io', ['sidecarsets/status'], ['patch']),
      rule('apps.kruise.io', ['sidecarsets/finalizers'], ['update']),
      rule('sidecarset.alibabacloud.com', ['sidecarsetresourcebindings'], read),
      rule('sidecarset.alibabacloud.com', ['sidecarsetresourcebindings/status'], ['patch']),
      rule('sidecarset.alibabacloud.com', ['sidecarsetresourcebindings/finalizers'], ['update']),
      rule('rbac.authorization.k8s.io', ['roles'], ['get', 'create', 'update', 'delete', 'escalate', 'bind']),
      rule('rbac.authorization.k8s.io', ['rolebindings'], ['get', 'create', 'update', 'delete']),
      rule('apiextensions.k8s.io', ['customresourcedefinitions'], ['create']),
      rule('apiextensions.k8s.io', ['customresourcedefinitions'], ['get', 'update'], definitions),
      rule(admission, configurations, ['create']),
      rule(admission, configurations, ['get', 'update'], [...webhookConfigurations]),
      ...(replacesOverflowPods ? overflowReplacementRules() : []),
      ...(evictsMissedPods || recreatesPods ? evictionRules() : []),
    ],
    ownNamespace: [
      rule('', ['secrets'], ['create']),
      rule('', ['secrets'], ['get', 'update'], [certificateSecret]),
      rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update']),
      rule('apps', ['controllerrevisions'], [...read, 'create', 'patch', 'delete']),
      rule('', ['configmaps'], ['get'], [whitelistConfigMap.name]),
    ],
  }
}

/** What the manager does besides where it replaces pods that overflowed; for the ClusterRole. */
export function overflowReplacementRules(): PolicyRule[] {
  return [rule('', ['pods'], ['delete'])]
}

/** What the manager does besides where it evicts pods, such that were created unasked or are to be made anew; for the ClusterRole. */
export function evictionRules(): PolicyRule[] {
  return [rule('', ['pods/eviction'], ['create'])]
}

/** What every virtual node may read besides what bindings give it: the bindings themselves. */
export function virtualNodeRules(): PolicyRule[] {
  return [rule('sidecarset.alibabacloud.com', ['sidecarsetresourcebindings'], read)]
}
