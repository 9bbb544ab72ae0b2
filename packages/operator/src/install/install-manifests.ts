import { customResourceDefinitions, virtualNodeNames } from '@outrigger/api'
import type { KubeObject, PolicyRule } from '@outrigger/kube'
import { defaultNames } from '../manager-options.ts'
import { managerRules, virtualNodeRules } from './manager-rules.ts'

export interface InstallManifestsOptions {
  /** Namespace of the manager. Defaults to `kruise-system`. */
  readonly namespace?: string
  /** Name of the service account the manager runs as. Defaults to `outrigger-manager`. */
  readonly serviceAccount?: string
  /** Port the manager's pods answer webhooks on. Defaults to 9876. */
  readonly webhookPort?: number
  /** Gives the manager the right that `ManagerOptions.replacesOverflowPods` needs. Defaults to false. */
  readonly replacesOverflowPods?: boolean
  /** Gives the manager the right that `ManagerOptions.evictsMissedPods` needs. Defaults to false. */
  readonly evictsMissedPods?: boolean
  /** Gives the manager the right that `ManagerOptions.recreatesPods` needs. Defaults to false. */
  readonly recreatesPods?: boolean
}

/**
 * What must be in a cluster before a manager starts there: definitions, namespace, identity, rights, and the
 * Service in front of its webhooks. The webhook configurations are not among them: the manager registers them
 * itself, once it answers.
 */
export function installManifests(options: InstallManifestsOptions = {}): KubeObject[] {
  const {
    namespace = defaultNames.namespace,
    serviceAccount = 'outrigger-manager',
    webhookPort = 9876,
    replacesOverflowPods = false,
    evictsMissedPods = false,
    recreatesPods = false,
  } = options
  const name = 'outrigger-manager'
  const virtualNodes = 'outrigger-virtual-nodes'
  const labels = { 'app.kubernetes.io/name': 'outrigger', 'app.kubernetes.io/component': 'manager' }
  const rules = managerRules({
    webhookConfigurations: [defaultNames.webhooks.mutating, defaultNames.webhooks.validating],
    certificateSecret: defaultNames.certificateSecret,
    replacesOverflowPods,
    evictsMissedPods,
    recreatesPods,
  })
  const rbac = 'rbac.authorization.k8s.io'
  const subjects = [{ kind: 'ServiceAccount', name: serviceAccount, namespace }]
  const object = (
    apiVersion: string,
    kind: string,
    metadata: { name: string; namespace?: string },
    rest: object,
  ) => ({ apiVersion, kind, metadata: { ...metadata, labels }, ...rest }) as KubeObject
  const role = (kind: 'Role' | 'ClusterRole', scope: { namespace?: string }, list: PolicyRule[]) => [
    object(`${rbac}/v1`, kind, { name, ...scope }, { rules: list }),
    object(
      `${rbac}/v1`,
      `${kind}Binding`,
      { name, ...scope },
      { roleRef: { apiGroup: rbac, kind, name }, subjects },
    ),
  ]
  return [
    ...customResourceDefinitions(),
    object('v1', 'Namespace', { name: namespace }, {}),
    object('v1', 'ServiceAccount', { name: serviceAccount, namespace }, {}),
    ...role('ClusterRole', {}, rules.cluster),
    ...role('Role', { namespace }, rules.ownNamespace),
    object(`${rbac}/v1`, 'ClusterRole', { name: virtualNodes }, { rules: virtualNodeRules() }),
    object(
      `${rbac}/v1`,
      'ClusterRoleBinding',
      { name: virtualNodes },
      {
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: virtualNodes },
        subjects: [{ kind: 'Group', apiGroup: rbac, name: virtualNodeNames.group }],
      },
    ),
    object(
      'v1',
      'Service',
      { name: defaultNames.service, namespace },
      { spec: { selector: labels, ports: [{ name: 'webhook', port: 443, targetPort: webhookPort }] } },
    ),
  ]
}
