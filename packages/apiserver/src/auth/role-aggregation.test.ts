import { SystemRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import type { ClusterRole, KubeObject } from '@outrigger/kube'
import { expect, it } from 'vitest'
import { createObjects } from '../registry/stored-objects.ts'
import { createMemoryStore } from '../storage/mvcc-store.ts'
import { createRoleAggregation } from './role-aggregation.ts'

const resource = { group: 'rbac.authorization.k8s.io', resource: 'clusterroles' }
const collection = 'clusterroles.rbac.authorization.k8s.io'

it('writes the rules of an aggregated role down as soon as a role with its label comes or goes', async () => {
  const clock = new ManualClock()
  const store = createMemoryStore({ monotonic: () => clock.monotonic() })
  const objects = createObjects(store, clock, new SystemRandom())
  const put = (name: string, more: object) => {
    const object = { kind: 'ClusterRole', apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name } }
    return objects.write(resource, { namespace: '', name }, () => ({ ...object, ...more }) as KubeObject)
  }
  const written = () => objects.get<ClusterRole>(resource, { namespace: '', name: 'sum' })?.rules
  const settled = async () => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
  await put('sum', { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: 'sum' } }] }, rules: [] })
  const stop = new AbortController()
  const running = createRoleAggregation(objects, store, silentLogger).run(stop.signal)

  const rules = [{ apiGroups: ['x'], resources: ['y'], verbs: ['get'] }]
  await put('part', { metadata: { name: 'part', labels: { to: 'sum' } }, rules })
  await settled()
  expect(written()).toEqual(rules)

  const key = { namespace: '', name: 'part' }
  const expected = store.get(collection, key)?.revision ?? 0
  await store.write({ collection, key, expected, object: undefined })
  await settled()
  expect(written()).toEqual([])
  stop.abort()
  await running
})
