import { customResourceDefinitions } from '@outrigger/api'
import { silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { type CustomResourceDefinition, resources } from '@outrigger/kube'
import { expect, it } from 'vitest'
import { MemoryCluster } from '../testdata/memory-cluster.ts'
import { installDefinitions } from './install-definitions.ts'

const definitions = resources.customResourceDefinitions
const key = { namespace: '', name: 'sidecarsets.apps.kruise.io' }

async function install(cluster: MemoryCluster): Promise<CustomResourceDefinition> {
  const list = async () => ({ items: [] })
  const client = Object.assign(cluster, { list, serves: async () => true })
  await installDefinitions(
    { client: client as never, clock: new ManualClock(), logger: silentLogger },
    new AbortController().signal,
  )
  return cluster.get<CustomResourceDefinition>(definitions, key)
}

/** The definition of SidecarSets with these versions, the last of which is stored, converted by kruise-manager. */
async function leave(cluster: MemoryCluster, names: readonly string[]): Promise<void> {
  const [ours] = customResourceDefinitions()
  if (ours === undefined) throw new Error('there is a definition of SidecarSets')
  const service = { namespace: 'kruise-system', name: 'kruise-webhook-service', path: '/convert' }
  await cluster.create<CustomResourceDefinition>(definitions, {
    ...ours,
    spec: {
      ...ours.spec,
      versions: names.map((name) => ({ name, served: true, storage: name === names.at(-1) })),
      conversion: {
        strategy: 'Webhook',
        webhook: { clientConfig: { service }, conversionReviewVersions: ['v1'] },
      },
    },
  })
}

it('takes the conversion by somebody else away, which would be asked before we can answer', async () => {
  const cluster = new MemoryCluster()
  await leave(cluster, ['v1alpha1', 'v1beta1'])
  const { spec } = await install(cluster)
  expect(spec.conversion).toEqual({ strategy: 'None' })
  expect(spec.versions.map(({ name, storage }) => [name, storage])).toEqual([
    ['v1alpha1', false],
    ['v1beta1', true],
  ])
})

it('goes on storing v1alpha1 where that is all there was, and writes nothing the second time', async () => {
  const cluster = new MemoryCluster()
  await leave(cluster, ['v1alpha1'])
  const { spec } = await install(cluster)
  expect(spec.versions.map(({ name, storage }) => [name, storage])).toEqual([
    ['v1alpha1', true],
    ['v1beta1', false],
  ])
  const before = cluster.writes.length
  await install(cluster)
  expect(cluster.writes.length).toBe(before)
})
