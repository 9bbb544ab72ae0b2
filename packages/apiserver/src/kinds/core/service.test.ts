import type { Service } from '@outrigger/kube'
import { expect, test } from 'vitest'
import { KindsUnderTest } from '../testing/kinds-under-test.ts'

test('gives every service an address and a port of its own', async () => {
  const kinds = new KindsUnderTest()
  const services = kinds.find('services')
  const ips = new Set<string>()
  const ports = new Set<number>()
  for (let index = 0; index < 200; index++) {
    const { object } = await kinds.create(services, aNodePort(`s${index}`))
    ips.add((object as Service).spec?.clusterIP ?? '')
    ports.add((object as Service).spec?.ports?.[0]?.nodePort ?? 0)
  }

  expect(ips.size).toBe(200)
  expect(ports.size).toBe(200)
})

test('keeps what was drawn when an update does not mention it', async () => {
  const kinds = new KindsUnderTest()
  const services = kinds.find('services')
  const before = (await kinds.create(services, aNodePort('s'))).object as Service

  const { object, errors } = await kinds.patch(services, 's', {
    spec: { clusterIP: null, clusterIPs: null, ports: [{ port: 80 }] },
  })

  expect(errors).toEqual([])
  expect((object as Service).spec?.clusterIP).toBe(before.spec?.clusterIP)
  expect((object as Service).spec?.ports?.[0]?.nodePort).toBe(before.spec?.ports?.[0]?.nodePort)
})

test('refuses another address later, and one that somebody has', async () => {
  const kinds = new KindsUnderTest()
  const services = kinds.find('services')
  const taken = (await kinds.create(services, aNodePort('s'))).object as Service
  const { clusterIP = '' } = taken.spec ?? {}

  const changed = await kinds.patch(services, 's', { spec: { clusterIP: '10.96.3.3' } })
  const stolen = await kinds.create(services, {
    metadata: { name: 't' },
    spec: { clusterIP, ports: [{ port: 1 }] },
  })

  expect(changed.errors).toMatchObject([{ field: 'spec.clusterIPs[0]', detail: 'may not change once set' }])
  expect(stolen.errors).toMatchObject([{ field: 'spec.clusterIPs' }])
})

test('gives node ports back when the type no longer has them', async () => {
  const kinds = new KindsUnderTest()
  const services = kinds.find('services')
  await kinds.create(services, aNodePort('s'))

  const { object, errors } = await kinds.patch(services, 's', {
    spec: { type: 'ClusterIP', externalTrafficPolicy: null },
  })

  expect(errors).toEqual([])
  expect((object as Service).spec?.ports?.[0]?.nodePort).toBeUndefined()
})

const aNodePort = (name: string) => ({
  metadata: { name },
  spec: { type: 'NodePort', ports: [{ port: 80 }] },
})
