import { SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { type EndpointSlice, type Endpoints, resources, type Service } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { advertisedAddress, createKubernetesService } from './kubernetes-service.ts'
import { createObjects } from './registry/stored-objects.ts'
import { createMemoryStore } from './storage/mvcc-store.ts'

const key = { namespace: 'default', name: 'kubernetes' }

describe('the Service default/kubernetes', () => {
  test('has the first address of the range and leads to the server', async () => {
    const { objects, keeper } = aServer('192.0.2.7')
    await keeper.ensure()

    expect(objects.get<Service>(resources.services, key)?.spec).toMatchObject({
      clusterIP: '10.96.0.1',
      ports: [{ name: 'https', port: 443, targetPort: 6443 }],
    })
    expect(objects.get<Endpoints>(resources.endpoints, key)?.subsets).toEqual([
      { addresses: [{ ip: '192.0.2.7' }], ports: [{ name: 'https', port: 6443, protocol: 'TCP' }] },
    ])
    expect(objects.get<EndpointSlice>(resources.endpointSlices, key)).toMatchObject({
      metadata: { labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      endpoints: [{ addresses: ['192.0.2.7'], conditions: { ready: true } }],
      ports: [{ name: 'https', port: 6443 }],
    })
  })

  test('is written once, and again when somebody has emptied its endpoints', async () => {
    const { clock, objects, keeper } = aServer('192.0.2.7')
    await keeper.ensure()
    const writes = () => objects.changes(resources.services) + objects.changes(resources.endpointSlices)
    const before = writes()
    await keeper.ensure()
    expect(writes()).toBe(before)

    const stop = new AbortController()
    const running = keeper.run(stop.signal)
    await objects.write<EndpointSlice>(resources.endpointSlices, key, (slice) => ({
      ...slice!,
      endpoints: [],
    }))
    await clock.advance(10_000)
    stop.abort()
    await running
    expect(objects.get<EndpointSlice>(resources.endpointSlices, key)?.endpoints).toHaveLength(1)
  })

  test('has no endpoint where only its own machine reaches the server', async () => {
    const { objects, keeper } = aServer('127.0.0.1')
    await keeper.ensure()

    expect(objects.get<EndpointSlice>(resources.endpointSlices, key)?.endpoints).toEqual([])
    expect(objects.get<Endpoints>(resources.endpoints, key)?.subsets).toBeUndefined()
  })
})

test('a server that listens everywhere is found under the first outward address', () => {
  const addresses = [
    { address: '127.0.0.1', family: 'IPv4', internal: true },
    { address: 'fe80::1', family: 'IPv6', internal: false },
    { address: '192.0.2.7', family: 'IPv4', internal: false },
  ]

  expect(advertisedAddress('0.0.0.0', () => addresses)).toBe('192.0.2.7')
  expect(advertisedAddress('0.0.0.0', () => [])).toBeUndefined()
  expect(advertisedAddress('api.example', () => addresses)).toBeUndefined()
  expect(advertisedAddress('2001:db8::1', () => addresses)).toBe('2001:db8::1')
})

function aServer(host: string) {
  const clock = new ManualClock(Date.parse('2026-03-01T00:00:00Z'))
  const store = createMemoryStore({ monotonic: () => clock.monotonic() })
  const objects = createObjects(store, clock, new SeededRandom(1))
  const keeper = createKubernetesService({ objects, clock, logger: silentLogger, host, port: 6443 })
  return { clock, objects, keeper }
}
