import type { Client } from '@outrigger/client'
import {
  type ClusterRole,
  type ClusterRoleBinding,
  type KubeObject,
  type PolicyRule,
  type ResourceRef,
  type Role,
  type RoleBinding,
  resources,
} from '@outrigger/kube'
import { defaultNames, ensureObject, managerRules, virtualNodeRules } from '@outrigger/operator'
import { managerUser, virtualNodesGroup } from '../cluster-certificates.ts'

const rbac = 'rbac.authorization.k8s.io'
const apiVersion = `${rbac}/v1`

/**
 * Gives the parts of the embedded cluster the rights they need and no others: the manager what
 * `managerRules` says, virtual nodes the reading of bindings. Objects they grant come one by one, from
 * SidecarSetResourceBindings.
 */
export async function ensureRights(client: Client, signal: AbortSignal): Promise<void> {
  const { namespace, webhooks, certificateSecret } = defaultNames
  const manager = managerRules({
    webhookConfigurations: [webhooks.mutating, webhooks.validating],
    certificateSecret,
    recreatesPods: true,
  })
  const user = { kind: 'User', apiGroup: rbac, name: managerUser }
  const ensure = <T extends KubeObject>(resource: ResourceRef, wanted: T) =>
    ensureObject(client, resource, wanted, signal)
  await ensureManagerGround(client, namespace, signal)
  await Promise.all([
    ...clusterWide('outrigger-manager', manager.cluster, user).map(({ resource, object }) =>
      ensure(resource, object),
    ),
    ensure<Role>(resources.roles, {
      apiVersion,
      kind: 'Role',
      metadata: { name: 'outrigger-manager', namespace },
      rules: manager.ownNamespace,
    }),
    ensure<RoleBinding>(resources.roleBindings, {
      apiVersion,
      kind: 'RoleBinding',
      metadata: { name: 'outrigger-manager', namespace },
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'outrigger-manager' },
      subjects: [user],
    }),
  ])
}

/**
 * What a manager finds in a cluster where `outrigger install` has been: its namespace, and the rights of virtual
 * nodes. For managers that run outside of their cluster, as its administrator.
 */
export async function ensureManagerGround(
  client: Client,
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  const group = { kind: 'Group', apiGroup: rbac, name: virtualNodesGroup }
  const wanted = [
    {
      resource: resources.namespaces,
      object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    },
    ...clusterWide('outrigger-virtual-nodes', virtualNodeRules(), group),
  ]
  for (const { resource, object } of wanted) await ensureObject<KubeObject>(client, resource, object, signal)
}

function clusterWide(
  name: string,
  rules: PolicyRule[],
  subject: { kind: string; apiGroup: string; name: string },
) {
  const role: ClusterRole = { apiVersion, kind: 'ClusterRole', metadata: { name }, rules }
  const binding: ClusterRoleBinding = {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
    subjects: [subject],
  }
  return [
    { resource: resources.clusterRoles, object: role },
    { resource: resources.clusterRoleBindings, object: binding },
  ]
}
