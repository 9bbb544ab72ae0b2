import { outriggerResources, type SidecarSet } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
import { type Namespace, type Pod, resources } from '@outrigger/kube'
import {
  aNamespace,
  aPod,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ManagerProcess, startManagerProcess } from './manager-process.ts'

let server: TestCluster
let admin: ClusterClient
let manager: ManagerProcess | undefined

beforeAll(async () => {
  // Nothing needs to run for what is tested here.
  server = await startTestCluster({ hasManager: false, nodes: [] })
  admin = server.admin
  await admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
  for (const namespace of ['default', 'kruise-system'])
    await eventually(
      'the service account',
      () => admin.get(resources.serviceAccounts, { namespace, name: 'default' }).catch(() => undefined),
      server,
    )
  manager = await startManagerProcess(server)
  await admin.create<SidecarSet>(
    outriggerResources.sidecarSets,
    aSidecarSet({ annotations: { 'outrigger.dev/failure-policy': 'Ignore' } }),
  )
})

afterEach(async () => {
  // Every test leaves a manager behind that answers.
  if (manager === undefined || manager.child.signalCode !== null) manager = await startManagerProcess(server)
})

afterAll(async () => {
  await manager?.stop()
  await server.stop()
})

/** A pod that must not start without its sidecars, or one that may. */
const pod = (name: string, isRequired: boolean, namespace = 'default') =>
  aPod({ name, namespace, labels: { app: 'web', ...(isRequired && { 'alibabacloud.com/eci': 'true' }) } })
const create = (name: string, isRequired: boolean, namespace?: string) =>
  admin.create<Pod>(resources.pods, pod(name, isRequired, namespace))
const hasSidecar = ({ spec }: Pod) => spec.containers.some(({ name }) => name === 'agent')

/** What a ReplicaSet does: tries again until it works. */
async function createAtLast(name: string): Promise<Pod> {
  return eventually(`creation of ${name}`, () => create(name, true).catch(() => undefined), {
    clock: server.clock,
    timeout: 15_000,
    every: 200,
  })
}

describe('a manager that is gone', () => {
  it('keeps required pods waiting and no others; nothing starts without its sidecars', async () => {
    await eventually(
      'injection',
      async () => hasSidecar(await create(`probe-${server.random.uuid()}`, true)),
      server,
    )
    await manager?.kill()
    const started = server.clock.monotonic()
    const others = await Promise.all(Array.from({ length: 150 }, (_, i) => create(`free-${i}`, false)))
    expect(others.some(hasSidecar)).toBe(false)
    expect(server.clock.monotonic() - started).toBeLessThan(8_000)
    await expect(create('required-first', true)).rejects.toThrow('failed calling webhook')
    const required = Promise.all(Array.from({ length: 150 }, (_, i) => createAtLast(`required-${i}`)))
    required.catch(() => {})
    manager = await startManagerProcess(server)
    expect((await required).every(hasSidecar)).toBe(true)
  })

  it('is not asked about its own namespace, and comes back without anybody removing its configuration', async () => {
    await manager?.kill()
    const own = await create('manager-0', true, 'kruise-system')
    expect(hasSidecar(own)).toBe(false)
    await expect(create('cold', true)).rejects.toThrow('failed calling webhook')
    manager = await startManagerProcess(server)
    expect(hasSidecar(await createAtLast('cold'))).toBe(true)
  })
})

describe('a manager that hangs', () => {
  it('leaves service, and what it says too late counts for nothing', async () => {
    const hung = manager
    expect(await hung?.probe('/readyz')).toBe(200)
    hung?.child.kill('SIGSTOP')
    try {
      const [required, free, readiness] = await Promise.all([
        create('hung-required', true).then(
          () => 'created',
          (error: unknown) => String(error),
        ),
        create('hung-free', false),
        hung?.probe('/readyz'),
      ])
      expect(readiness).toBeUndefined()
      expect(required).toContain('failed calling webhook')
      expect(hasSidecar(free)).toBe(false)
    } finally {
      hung?.child.kill('SIGCONT')
    }
    await eventually('readiness', async () => (await hung?.probe('/readyz')) === 200, server)
    const names = (await admin.list<Pod>(resources.pods, { namespace: 'default' })).items.map(
      ({ metadata }) => metadata.name,
    )
    expect(names).not.toContain('hung-required')
    expect(hasSidecar(await createAtLast('hung-required'))).toBe(true)
  })
})

describe('a manager that is asked to stop', () => {
  it('says not ready first, answers until then, and refuses nobody in between', async () => {
    await manager?.kill()
    manager = await startManagerProcess(server, ['--shutdown-delay=1'])
    const stopping = manager.stop()
    await eventually('not ready', async () => (await manager?.probe('/readyz')) === 503, server)
    expect(hasSidecar(await create('late', true))).toBe(true)
    expect(await manager.metrics()).toContain('outrigger_ready 0')
    expect(await stopping).toBe(0)
  })
})
