import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { type ClusterClient, createClient, loadKubeconfig } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import { type Lease, type Node, type Pod, resources } from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'
import { aPod, aSidecarSet, eventually } from '@outrigger/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { untilInjected } from '../journey/until-injected.ts'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'
import { type OverloadedGateway, startOverloadedGateway } from './overloaded-gateway.ts'

/** A longer one is `OUTRIGGER_OVERLOAD_SECONDS=300 npx vitest run --project system tests/fault/overload`. */
const seconds = Number(process.env['OUTRIGGER_OVERLOAD_SECONDS'] ?? 50)
const clock = new SystemClock()
const { sidecarSets } = outriggerResources
const folder = mkdtempSync(join(tmpdir(), 'outrigger-overload-'))
const kubeconfig = join(folder, 'kubeconfig')
const throughGateway = join(folder, 'through-gateway')
const nodeName = 'busy-node'
const pods = 12
let cluster: OutriggerProcess
let node: OutriggerProcess
let manager: OutriggerProcess
let gateway: OverloadedGateway
/** Past the gateway. */
let client: ClusterClient

beforeAll(async () => {
  cluster = startOutrigger(
    [
      ...[
        'up',
        '--runtime',
        'sim',
        '--ephemeral',
        '--without',
        'manager',
        '--without',
        'nodes',
        '--port',
        '0',
      ],
      ...['--data-dir', join(folder, 'data'), '--kubeconfig', kubeconfig],
    ],
    process.env,
  )
  await cluster.saw(/Outrigger is up/)
  const config = loadKubeconfig({ path: kubeconfig, environment: {} })
  client = createClient({ config, clock })
  gateway = await startOverloadedGateway(config.server, config.certificateAuthority ?? '')
  writeFileSync(throughGateway, readFileSync(kubeconfig, 'utf8').replace(config.server, gateway.url), {
    mode: 0o600,
  })
  node = startOutrigger(
    [
      ...['node', '--regular', '--runtime', 'sim', '--name', nodeName, '--port', '0'],
      ...['--kubeconfig', throughGateway, '--data-dir', join(folder, 'node')],
    ],
    process.env,
  )
  manager = startOutrigger(['manager', '--kubeconfig', throughGateway, '--webhook-port=0'], process.env)
  await manager.saw(/The manager is ready/)
  await node.saw(/is registered/)
  await client.create<SidecarSet>(sidecarSets, released(1))
  await untilInjected(client, 'agent', { namespace: 'default', labels: { app: 'web' } })
}, 120_000)

afterAll(async () => {
  await manager?.stop()
  await node?.stop()
  await client?.close()
  await gateway?.close()
  await cluster?.stop()
  rmSync(folder, { recursive: true, force: true })
})

it(
  'an API server that turns most requests away loses no node, no leader and no change',
  async () => {
    await untilPods(() => true, { from: 0, to: pods / 2 })
    const leaseBefore = await managerLease()
    const seen = watchNode()
    gateway.isOverloaded = true
    const begin = clock.monotonic()

    await client.patch<SidecarSet>(
      sidecarSets,
      { namespace: '', name: 'agent' },
      { type: 'merge', body: { spec: released(2).spec } },
    )
    await untilPods((pod) => imageOf(pod) === 'agent:2', { from: pods / 2, to: pods })
    await client.delete(resources.pods, { namespace: 'default', name: 'web-0' })
    await clock.sleep(Math.max(0, seconds * 1_000 - (clock.monotonic() - begin)))
    const turnedAway = gateway.counts.turnedAway
    gateway.isOverloaded = false

    expect(turnedAway).toBeGreaterThan(20)
    expect(await seen.states()).toEqual(['True'])
    const leaseAfter = await managerLease()
    expect(leaseAfter.spec?.holderIdentity).toBe(leaseBefore.spec?.holderIdentity)
    expect(leaseAfter.spec?.leaseTransitions).toBe(leaseBefore.spec?.leaseTransitions)
    await eventually(
      'a status that counts what is there',
      async () => {
        const { status } = await client.get<SidecarSet>(sidecarSets, { namespace: '', name: 'agent' })
        return status?.matchedPods === pods - 1 && status.updatedReadyPods === pods - 1
      },
      { clock, timeout: 60_000, every: 200 },
    )
    // Those there were before got the new sidecar in place, and nobody got it twice.
    const found = (await allPods()).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    const restarts = (name: string) =>
      Object.fromEntries(
        found.map(({ metadata, status }) => [
          metadata.name,
          status?.containerStatuses?.find((container) => container.name === name)?.restartCount,
        ]),
      )
    expect(Object.values(restarts('main'))).toEqual(found.map(() => 0))
    expect(restarts('agent')).toMatchObject({ 'web-1': 1, 'web-2': 1, 'web-3': 1, 'web-4': 1, 'web-5': 1 })
    expect(Math.max(...Object.values(restarts('agent')).map((count) => count ?? 0))).toBe(1)
  },
  seconds * 1_000 + 300_000,
)

function released(version: number) {
  return aSidecarSet({
    spec: {
      containers: [{ name: 'agent', image: `agent:${version}` }],
      updateStrategy: { type: 'RollingUpdate', maxUnavailable: '50%' },
    },
  })
}

/** Creates pods and waits for all there are to run on the node, with their sidecar and as `isRight` wants them. */
async function untilPods(
  isRight: (pod: Pod) => boolean,
  { from, to }: { from: number; to: number },
): Promise<void> {
  for (let i = from; i < to; i++)
    await client.create<Pod>(resources.pods, aPod({ name: `web-${i}`, labels: { app: 'web' } }))
  await eventually(
    `${to} pods`,
    async () => {
      const found = await allPods()
      return found.length === to && found.every((pod) => isReady(pod) && imageOf(pod) && isRight(pod))
    },
    { clock, timeout: 120_000, every: 200 },
  )
}

/** By the number in their name. */
async function allPods(): Promise<Pod[]> {
  const { items } = await client.list<Pod>(resources.pods, { namespace: 'default' })
  const numberOf = ({ metadata }: Pod) => Number(metadata.name.slice('web-'.length))
  return [...items].sort((one, other) => numberOf(one) - numberOf(other))
}

function managerLease(): Promise<Lease> {
  return client.get<Lease>(resources.leases, { namespace: defaultNames.namespace, name: defaultNames.lease })
}

/** Notes every state of the node's Ready condition from now on. */
function watchNode(): { states(): Promise<string[]> } {
  const stop = new AbortController()
  const states = new Set<string>()
  const note = ({ status }: Node) =>
    states.add(status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'none')
  const watching = (async () => {
    while (!stop.signal.aborted) {
      note(await client.get<Node>(resources.nodes, { namespace: '', name: nodeName }))
      await clock.sleep(250, stop.signal).catch(() => {})
    }
  })()
  return {
    async states() {
      stop.abort()
      await watching
      return [...states]
    },
  }
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
}

function imageOf({ spec }: Pod): string | undefined {
  return spec.containers.find(({ name }) => name === 'agent')?.image
}
