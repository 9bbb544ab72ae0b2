import type { EndpointSlice, Pod, Service } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { endpointFacts } from './endpoint-facts.ts'
import { endpointSubsets } from './endpoints-plan.ts'
import { planSlices } from './slice-plan.ts'

describe('slices', () => {
  test('hold a hundred endpoints each, and an empty one stands for none', () => {
    const sizes = plan(Array.from({ length: 230 }, (_, at) => aPod(at))).create.map(
      ({ endpoints }) => endpoints?.length,
    )
    expect(sizes).toEqual([100, 100, 30])
    expect(plan([]).create.map(({ endpoints, ports }) => [endpoints, ports])).toEqual([[[], []]])
  })

  test('stay as they are when nothing changes, and only the one concerned is written when something does', () => {
    const pods = Array.from({ length: 130 }, (_, at) => aPod(at))
    const slices = stored(plan(pods).create)
    expect(plan(pods, slices)).toEqual({ create: [], update: [], remove: [] })
    const { create, update, remove } = plan([...pods.slice(1), aPod(500)], slices)
    expect([create.length, remove.length]).toEqual([0, 0])
    expect(update.map(({ metadata, endpoints }) => [metadata.name, endpoints?.length])).toEqual([['s0', 100]])
  })

  test('are apart for pods whose named port has another number', () => {
    const ports = plan([aPod(1), aPod(2, { port: 9090 })]).create.map((slice) => slice.ports?.[0]?.port)
    expect(ports).toEqual([8080, 9090])
  })
})

describe('an endpoint', () => {
  const conditions = (pod: Pod, service = aService()) =>
    plan([pod], [], service).create[0]?.endpoints?.[0]?.conditions

  test('that is going serves on and gets nothing new', () => {
    const going = aPod(1)
    going.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
    expect(conditions(going)).toEqual({ ready: false, serving: true, terminating: true })
    expect(endpointSubsets(aService(), endpointFacts(aService(), going, undefined))).toEqual([])
  })

  test('that is not ready is published when the service says so', () => {
    const service = aService()
    service.spec.publishNotReadyAddresses = true
    expect(conditions(aPod(1, { ready: false }))).toEqual({
      ready: false,
      serving: false,
      terminating: false,
    })
    expect(conditions(aPod(1, { ready: false }), service)?.ready).toBe(true)
  })

  test('is none for a pod that has ended or has no address', () => {
    const ended = aPod(1)
    const unborn = aPod(2)
    ended.status = { ...ended.status, phase: 'Succeeded' }
    unborn.status = { phase: 'Pending' }
    expect([ended, unborn].flatMap((pod) => endpointFacts(aService(), pod, undefined))).toEqual([])
  })
})

function plan(pods: readonly Pod[], slices: readonly EndpointSlice[] = [], service = aService()) {
  return planSlices(
    service,
    pods.flatMap((pod) => endpointFacts(service, pod, undefined)),
    slices,
  )
}

/** As the server would keep them. */
function stored(drafts: ReturnType<typeof plan>['create']): EndpointSlice[] {
  return drafts.map((draft, at) => ({ ...draft, metadata: { ...draft.metadata, name: `s${at}` } }))
}

function aService(): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', uid: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
  }
}

function aPod(at: number, facts: { port?: number; ready?: boolean } = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${at}`, namespace: 'default', uid: `web-${at}` },
    spec: {
      nodeName: 'one',
      containers: [{ name: 'main', ports: [{ name: 'http', containerPort: facts.port ?? 8080 }] }],
    },
    status: {
      phase: 'Running',
      podIPs: [{ ip: `10.0.${Math.floor(at / 250)}.${at % 250}` }],
      conditions: [{ type: 'Ready', status: facts.ready === false ? 'False' : 'True' }],
    },
  }
}
