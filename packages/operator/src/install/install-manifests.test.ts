import { expect, it } from 'vitest'
import { installManifests } from './install-manifests.ts'
import { virtualNodeRules } from './manager-rules.ts'

it('what is installed gives the manager and the virtual nodes the rights they need, by name', () => {
  const objects = installManifests({ namespace: 'here' })
  const titles = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`)
  expect(titles.slice(2)).toEqual([
    'Namespace /here',
    'ServiceAccount here/outrigger-manager',
    'ClusterRole /outrigger-manager',
    'ClusterRoleBinding /outrigger-manager',
    'Role here/outrigger-manager',
    'RoleBinding here/outrigger-manager',
    'ClusterRole /outrigger-virtual-nodes',
    'ClusterRoleBinding /outrigger-virtual-nodes',
    'Service here/kruise-webhook-service',
  ])
  expect(
    objects.find(
      ({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'outrigger-virtual-nodes',
    ),
  ).toMatchObject({
    rules: virtualNodeRules(),
  })
  expect(
    objects.find(
      ({ kind, metadata }) => kind === 'ClusterRoleBinding' && metadata.name === 'outrigger-virtual-nodes',
    ),
  ).toMatchObject({ subjects: [{ kind: 'Group', name: 'outrigger:virtual-nodes' }] })
})
