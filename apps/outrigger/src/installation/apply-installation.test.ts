import { ApiError } from '@outrigger/client'
import { ManualClock } from '@outrigger/foundation/testing'
import type { KubeObject, ResourceRef } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { applyInstallation } from './apply-installation.ts'
import { installation } from './manager-workload.ts'
import { remainingKruise } from './service-switch.ts'

const objects = installation({ namespace: 'kruise-system', image: 'outrigger:1', replicas: 2 }).filter(
  ({ kind }) => kind !== 'CustomResourceDefinition',
)
const service = 'service/kruise-webhook-service'
const manager = 'deployment.apps/outrigger-manager'

describe('an installation', () => {
  it('comes in the order it is given in where nobody stands behind the Service', async () => {
    const { apply, lines } = aCluster()
    await apply()
    expect(lines.filter((line) => line.startsWith(service) || line.startsWith(manager))).toEqual([
      `${service} created`,
      `${manager} created`,
    ])
  })

  it('switches a Service that leads to no pod at once', async () => {
    const { apply, lines } = aCluster({ selector: { 'control-plane': 'controller-manager' } })
    await apply()
    expect(lines).toContain(`${service} configured`)
    expect(lines.some((line) => line.includes('waiting'))).toBe(false)
  })

  it('does not wait where the Service is its own already', async () => {
    const { apply, lines } = aCluster({ selector: ownSelector, isAnswering: true })
    await apply()
    expect(lines.some((line) => line.includes('waiting'))).toBe(false)
  })

  it('switches a Service whose pods answer once a replica of the manager is available', async () => {
    const cluster = aCluster({ selector: { 'control-plane': 'controller-manager' }, isAnswering: true })
    const applied = cluster.apply()
    await cluster.clock.advance(5_000)
    expect(cluster.lines.at(-1)).toBe(
      `${service} leads to pods that answer: waiting for ${manager} before it is switched`,
    )
    cluster.available = 1
    await cluster.clock.advance(1_000)
    await applied
    expect(cluster.lines.at(-1)).toBe(`${service} configured`)
  })

  it('leaves the Service alone where no replica becomes available, and says so', async () => {
    const cluster = aCluster({ selector: { 'control-plane': 'controller-manager' }, isAnswering: true })
    const applied = cluster.apply().catch((error: Error) => error.message)
    for (let seconds = 0; seconds <= 300; seconds++) await cluster.clock.advance(1_000)
    expect(await applied).toContain(
      `${manager} has no available replica after 300 s; ${service} leads where it led`,
    )
    expect(cluster.lines).not.toContain(`${service} configured`)
  })
})

it.each([
  [undefined, undefined],
  [0, undefined],
  [2, 'kubectl -n kruise-system scale deployment kruise-controller-manager --replicas=0'],
])('with %s replicas of kruise-manager left, %s is what remains to be done', async (replicas, remedy) => {
  const { client } = aCluster({ kruiseReplicas: replicas })
  const { signal } = new AbortController()
  const left = await remainingKruise('kruise-system', { client, signal })
  if (remedy === undefined) expect(left).toBeUndefined()
  else expect(left).toContain(remedy)
})

const ownSelector = { 'app.kubernetes.io/name': 'outrigger', 'app.kubernetes.io/component': 'manager' }

interface World {
  /** Of the Service that is there. */
  readonly selector?: Record<string, string>
  readonly isAnswering?: boolean
  readonly kruiseReplicas?: number | undefined
}

/** A cluster that remembers what it was told, with what another installation left in it. */
function aCluster({ selector, isAnswering = false, kruiseReplicas }: World = {}) {
  const clock = new ManualClock()
  const lines: string[] = []
  const stored = new Map<string, unknown>()
  const service = { metadata: { resourceVersion: '1' }, spec: { selector } }
  if (selector !== undefined) stored.set('Service/kruise-webhook-service', service)
  if (kruiseReplicas !== undefined)
    stored.set('Deployment/kruise-controller-manager', { metadata: {}, spec: { replicas: kruiseReplicas } })
  const world = { available: 0 }
  let version = 1
  const client = {
    get: async ({ kind }: ResourceRef, { name }: { name: string }) => {
      const found = stored.get(`${kind}/${name}`)
      if (found === undefined) throw new ApiError(404, { message: 'not found', reason: 'NotFound' })
      return found as never
    },
    list: async () =>
      ({ items: [{ endpoints: isAnswering ? [{ conditions: { ready: true } }] : [] }] }) as never,
    patch: async (_: unknown, { name }: { name: string }, { body }: { body: unknown }) => {
      const object = body as KubeObject
      const status = () => ({ observedGeneration: 1, availableReplicas: world.available })
      const made = {
        ...object,
        metadata: { ...object.metadata, generation: 1, resourceVersion: String(++version) },
        get status() {
          return status()
        },
      }
      stored.set(`${object.kind}/${name}`, made)
      return made as never
    },
  }
  const { signal } = new AbortController()
  const report = (line: string) => void lines.push(line)
  return Object.assign(world, {
    clock,
    lines,
    client: client as never,
    apply: () => applyInstallation(objects, { client: client as never, clock, report, signal }),
  })
}
