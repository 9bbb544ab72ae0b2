import { outriggerResources, type SidecarSet } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
import { type Pod, resources, type ValidatingWebhookConfiguration } from '@outrigger/kube'
import { aPod, aSidecarSet, eventually, startTestCluster, type TestCluster } from '@outrigger/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startFaultyManager } from './faulty-manager.ts'

let cluster: TestCluster
let admin: ClusterClient

beforeAll(async () => {
  cluster = await startTestCluster({ hasManager: false, nodes: [] })
  admin = cluster.admin
  await eventually(
    'the service account',
    () =>
      admin.get(resources.serviceAccounts, { namespace: 'default', name: 'default' }).catch(() => undefined),
    cluster,
  )
})

afterAll(() => cluster.stop())

const create = (name: string, app: string) =>
  admin.create<Pod>(resources.pods, aPod({ name, namespace: 'default', labels: { app } }))
const hasSidecar = ({ spec }: Pod) => spec.containers.some(({ name }) => name === 'agent')
const requiredEntries = async () => {
  const { webhooks = [] } = await admin.get<ValidatingWebhookConfiguration>(
    resources.validatingWebhookConfigurations,
    { namespace: '', name: 'kruise-validating-webhook-configuration' },
  )
  return webhooks.filter(({ name }) => name.endsWith('.required.vpod.kb.io')).length
}

it('pods that a required SidecarSet selects wait for the manager, and no others', async () => {
  const manager = await startFaultyManager(cluster)
  const made = await admin.create<SidecarSet>(
    outriggerResources.sidecarSets,
    aSidecarSet({ annotations: { 'outrigger.dev/failure-policy': 'Ignore' } }),
  )
  await eventually(
    'injection',
    async () => hasSidecar(await create(`w-${cluster.random.uuid()}`, 'web')),
    cluster,
  )
  expect(await requiredEntries()).toBe(0)
  await admin.patch<SidecarSet>(
    outriggerResources.sidecarSets,
    { namespace: '', name: made.metadata.name },
    { type: 'merge', body: { metadata: { annotations: { 'outrigger.dev/failure-policy': null } } } },
  )
  await eventually('the entry', async () => (await requiredEntries()) === 1, {
    clock: cluster.clock,
    timeout: 5_000,
  })
  expect(hasSidecar(await create('with-manager', 'web'))).toBe(true)
  await manager.stop()
  await expect(create('without-manager', 'web')).rejects.toThrow('failed calling webhook')
  expect(hasSidecar(await create('another', 'shop'))).toBe(false)

  const again = await startFaultyManager(cluster)
  expect(
    hasSidecar(
      await eventually('creation', () => create('without-manager', 'web').catch(() => undefined), cluster),
    ),
  ).toBe(true)
  await admin.patch<SidecarSet>(
    outriggerResources.sidecarSets,
    { namespace: '', name: made.metadata.name },
    { type: 'merge', body: { metadata: { annotations: { 'outrigger.dev/failure-policy': 'Ignore' } } } },
  )
  await eventually('no entry', async () => (await requiredEntries()) === 0, {
    clock: cluster.clock,
    timeout: 5_000,
  })
  await again.stop()
  expect(hasSidecar(await create('best-effort', 'web'))).toBe(false)
}, 40_000)
