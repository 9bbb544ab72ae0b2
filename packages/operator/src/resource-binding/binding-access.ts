import {
  outriggerResources,
  type ReferenceKind,
  revisionHash,
  type SidecarSetResourceBinding,
} from '@outrigger/api'
import { apiVersionOf, type PolicyRule, type Role, type RoleBinding } from '@outrigger/kube'

export interface AccessSubjects {
  /** Group of the virtual nodes. */
  readonly group: string
  /** User name of the manager, which must be able to look whether the objects exist. */
  readonly manager: string
}

const prefix = 'outrigger-ssrb-'
const longestName = 253

/** Name of the Role and RoleBinding made from a binding; one too long to take the prefix ends in a hash. */
export function accessName(binding: string): string {
  const name = `${prefix}${binding}`
  if (name.length <= longestName) return name
  return `${name.slice(0, longestName - 12)}-${revisionHash(binding, 0)}`
}

/** The rights a binding gives: to get, list and watch exactly the objects it names. */
export function roleOf(binding: SidecarSetResourceBinding): Role {
  const rule = (kind: ReferenceKind, resource: string): PolicyRule[] => {
    const names = binding.spec.resourceRefs.filter((ref) => ref.kind === kind).map(({ name }) => name)
    if (names.length === 0) return []
    return [
      {
        apiGroups: [''],
        resources: [resource],
        resourceNames: [...new Set(names)].sort(),
        verbs: ['get', 'list', 'watch'],
      },
    ]
  }
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: metadataOf(binding),
    rules: [...rule('ConfigMap', 'configmaps'), ...rule('Secret', 'secrets')],
  }
}

/** Who gets them: the virtual nodes, and the manager. */
export function roleBindingOf(binding: SidecarSetResourceBinding, subjects: AccessSubjects): RoleBinding {
  const apiGroup = 'rbac.authorization.k8s.io'
  return {
    apiVersion: `${apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: metadataOf(binding),
    roleRef: { apiGroup, kind: 'Role', name: accessName(binding.metadata.name) },
    subjects: [
      { apiGroup, kind: 'Group', name: subjects.group },
      { apiGroup, kind: 'User', name: subjects.manager },
    ],
  }
}

function metadataOf({ metadata }: SidecarSetResourceBinding) {
  const definition = outriggerResources.sidecarSetResourceBindings
  return {
    name: accessName(metadata.name),
    namespace: metadata.namespace ?? '',
    labels: { 'app.kubernetes.io/managed-by': 'outrigger' },
    ownerReferences: [
      {
        apiVersion: apiVersionOf(definition),
        kind: definition.kind,
        name: metadata.name,
        uid: metadata.uid ?? '',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  }
}
