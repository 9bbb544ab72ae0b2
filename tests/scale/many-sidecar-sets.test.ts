import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
import {
  type ControllerRevision,
  type Pod,
  resources,
  type ServiceAccount,
  type ValidatingWebhookConfiguration,
} from '@outrigger/kube'
import { aPod, aSidecarSet, eventually, startTestApiServer, type TestApiServer } from '@outrigger/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'
import { heapOf, withInspector } from './heap-of.ts'

/** Ten thousand are `OUTRIGGER_SIDECARSETS=10000 npx vitest run --project system tests/scale/many-sidecar-sets.test.ts`. */
const count = Number(process.env['OUTRIGGER_SIDECARSETS'] ?? 2_000)
/** Ample at the slowest: 30 ms each. */
const patience = 60_000 + count * 30
const { sidecarSets } = outriggerResources

let server: TestApiServer
let admin: ClusterClient
let manager: OutriggerProcess
let folder: string

beforeAll(async () => {
  server = await startTestApiServer()
  admin = await server.client()
  folder = await mkdtemp(join(tmpdir(), 'outrigger-many-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig(), { mode: 0o600 })
  manager = startOutrigger(
    ['manager', '--kubeconfig', kubeconfig, '--webhook-port=0', '--enable-leader-election=false'],
    { PATH: process.env['PATH'], ...withInspector },
  )
  await manager.saw(/The manager is ready/)
  const account = { namespace: 'default', name: 'default' }
  await admin.create(resources.serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: account,
  } as ServiceAccount)
}, 60_000)

afterAll(async () => {
  await manager?.stop()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

const report = (text: string) => process.stdout.write(`${text}\n`)

it(
  `${count} SidecarSets are accepted, recorded and counted`,
  async () => {
    const empty = await heapOf(manager)
    const began = server.clock.monotonic()
    await inParallel(count, 16, (index) => admin.create<SidecarSet>(sidecarSets, oneOfMany(index)))
    const accepted = server.clock.monotonic()
    await eventually('a revision of each', async () => (await countRevisions()) === count, {
      ...server,
      timeout: patience,
      every: 500,
    })
    await eventually(
      'a status of each',
      async () => {
        const { items } = await admin.list<SidecarSet>(sidecarSets)
        return items.length === count && items.every(({ status }) => status?.observedGeneration === 1)
      },
      { ...server, timeout: patience, every: 2_000 },
    )
    const done = server.clock.monotonic()
    const heap = await heapOf(manager)
    report(
      `${count} SidecarSets: accepted in ${seconds(accepted - began)} s, all recorded and counted after ${seconds(done - began)} s; heap of the manager ${mebibytes(empty)} MiB before, ${mebibytes(heap)} MiB with them, ${Math.round((heap - empty) / count)} bytes each`,
    )
    // What a cache keeps of one, which is a few kilobytes of JSON.
    expect((heap - empty) / count).toBeLessThan(64 * 1_024)
  },
  patience * 3,
)

it('a pod gets the three that select it, and no other', async () => {
  expect(sidecarsOf(await createPod('first'))).toEqual(['agent-0', 'agent-1', 'agent-2'])
})

it('the webhook configurations stay small', async () => {
  const { webhooks = [], ...rest } = await admin.get<ValidatingWebhookConfiguration>(
    resources.validatingWebhookConfigurations,
    { namespace: '', name: 'kruise-validating-webhook-configuration' },
  )
  // One entry for all, once there are more than a hundred.
  expect(webhooks.filter(({ name }) => name.includes('required')).map(({ name }) => name)).toEqual([
    'required.vpod.kb.io',
  ])
  expect(JSON.stringify([webhooks, rest]).length).toBeLessThan(100_000)
})

it(
  'a change of one reaches its pods, and a removal too',
  async () => {
    const key = { namespace: '', name: 'many-1' }
    const before = await admin.get<SidecarSet>(sidecarSets, key)
    await admin.update<SidecarSet>(sidecarSets, {
      ...before,
      spec: { ...before.spec, containers: [{ name: 'agent-1', image: 'agent:2' }] },
    })
    await eventually(
      'the new image in new pods',
      async () => {
        const { spec } = await createPod(`changed-${server.random.uuid()}`)
        return spec.containers.some(({ name, image }) => name === 'agent-1' && image === 'agent:2')
      },
      { ...server, timeout: patience },
    )
    await admin.delete(sidecarSets, key)
    await eventually(
      'pods without it',
      async () => sidecarsOf(await createPod(`left-${server.random.uuid()}`)).join() === 'agent-0,agent-2',
      { ...server, timeout: patience },
    )
  },
  patience * 3,
)

/** The first three select the pods of this test; the others each pods of their own. */
function oneOfMany(index: number) {
  const app = index < 3 ? 'web' : `app-${index}`
  return aSidecarSet({
    name: `many-${index}`,
    spec: {
      selector: { matchLabels: { app } },
      containers: [{ name: `agent-${index < 3 ? index : 0}`, image: 'agent:1' }],
    },
  })
}

function createPod(name: string): Promise<Pod> {
  return admin.create<Pod>(resources.pods, aPod({ name, labels: { app: 'web' } }))
}

const sidecarsOf = ({ spec }: Pod) =>
  spec.containers
    .map(({ name }) => name)
    .filter((name) => name.startsWith('agent-'))
    .sort()

/** Asks for one and how many there are besides. */
async function countRevisions(): Promise<number> {
  const { items, metadata } = await admin.list<ControllerRevision>(resources.controllerRevisions, {
    namespace: 'kruise-system',
    limit: 1,
  })
  return items.length + (metadata?.remainingItemCount ?? 0)
}

async function inParallel(total: number, workers: number, work: (index: number) => Promise<unknown>) {
  let next = 0
  const one = async () => {
    while (next < total) await work(next++)
  }
  await Promise.all(Array.from({ length: workers }, one))
}

const seconds = (milliseconds: number) => (milliseconds / 1_000).toFixed(1)
const mebibytes = (bytes: number) => (bytes / 1_024 / 1_024).toFixed(1)
