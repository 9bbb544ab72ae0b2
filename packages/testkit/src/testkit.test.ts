import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { isNotFound } from '@outrigger/client'
import { type Deployment, type Pod, resources } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { aConfigMap, aDeployment, aPod, aSidecarSet } from './builders.ts'
import { eventually } from './eventually.ts'
import { startTestApiServer } from './test-api-server.ts'
import { startTestCluster } from './test-cluster.ts'

describe('a test API server', () => {
  test('stores objects and forgets them when it ends', async () => {
    const server = await startTestApiServer()
    const client = await server.client()
    await client.create(resources.configMaps, aConfigMap({ name: 'settings', data: { a: '1' } }))

    expect(await client.get(resources.configMaps, { namespace: 'default', name: 'settings' })).toMatchObject({
      data: { a: '1' },
    })
    await server.stop()
  })

  test('refuses a user who has no rights', async () => {
    const server = await startTestApiServer()
    const client = await server.client({ name: 'dev' })

    await expect(client.list(resources.secrets)).rejects.toMatchObject({ code: 403 })
    await server.stop()
  })
})

describe('a test cluster', () => {
  test('finds an image it does not know well, as its probes ask', async () => {
    const cluster = await startTestCluster({ hasManager: false })
    try {
      const readinessProbe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 }
      const container = { name: 'main', image: 'nginx', readinessProbe }
      await cluster.admin.create<Pod>(
        resources.pods,
        aPod({ name: 'probed', spec: { containers: [container] } }),
      )

      const pod = await eventually(
        'a ready pod',
        async () => {
          const found = await cluster.admin.get<Pod>(resources.pods, { namespace: 'default', name: 'probed' })
          return found.status?.containerStatuses?.[0]?.ready === true && found
        },
        { clock: cluster.clock },
      )
      expect(pod.status?.phase).toBe('Running')
    } finally {
      await cluster.stop()
    }
  })

  test('runs a Deployment and injects its sidecar', async () => {
    const cluster = await startTestCluster()
    try {
      await cluster.admin.create<SidecarSet>(outriggerResources.sidecarSets, aSidecarSet())
      await cluster.admin.create<Deployment>(resources.deployments, aDeployment({ replicas: 2 }))
      const pods = await eventually(
        'two running pods',
        async () => {
          const { items } = await cluster.admin.list<Pod>(resources.pods, { namespace: 'default' })
          return items.length === 2 && items.every((pod) => pod.status?.phase === 'Running')
            ? items
            : undefined
        },
        { clock: cluster.clock },
      )

      expect(pods.map((pod) => pod.spec.containers.map((container) => container.name))).toEqual([
        ['agent', 'main'],
        ['agent', 'main'],
      ])
    } finally {
      await cluster.stop()
    }
  })
})

test('waiting tells what it waited for and what it saw last', async () => {
  const server = await startTestApiServer()
  const client = await server.client()
  const asking = eventually(
    'the missing map',
    () => client.get(resources.configMaps, { namespace: 'default', name: 'nope' }),
    { clock: server.clock, timeout: 50 },
  )

  await expect(asking).rejects.toThrow(
    /the missing map did not happen within 50 ms; last: configmaps "nope" not found/,
  )
  expect(
    isNotFound(
      await client
        .get(resources.configMaps, { namespace: 'default', name: 'nope' })
        .catch((error: unknown) => error),
    ),
  ).toBe(true)
  await server.stop()
})
