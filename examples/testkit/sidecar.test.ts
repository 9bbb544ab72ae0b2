import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { type Deployment, type Pod, resources } from '@outrigger/kube'
import { aDeployment, aSidecarSet, eventually, startTestCluster, type TestCluster } from '@outrigger/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'

let cluster: TestCluster

beforeAll(async () => {
  cluster = await startTestCluster()
})

afterAll(() => cluster?.stop())

it('pods of the shop get the collector', async () => {
  await cluster.admin.create<SidecarSet>(
    outriggerResources.sidecarSets,
    aSidecarSet({ name: 'logs', matchLabels: { app: 'shop' } }),
  )
  await cluster.admin.create<Deployment>(resources.deployments, aDeployment({ name: 'shop', replicas: 2 }))

  const pods = await eventually(
    'two running pods',
    async () => {
      const { items } = await cluster.admin.list<Pod>(resources.pods, { namespace: 'default' })
      return items.length === 2 && items.every(({ status }) => status?.phase === 'Running') && items
    },
    { clock: cluster.clock },
  )
  for (const { spec } of pods) expect(spec.containers.map(({ name }) => name)).toEqual(['agent', 'main'])
})

it('a developer may not read Secrets', async () => {
  const developer = await cluster.client({ name: 'dev', groups: ['developers'] })
  await expect(developer.list(resources.secrets)).rejects.toMatchObject({ code: 403 })
})
