import { once } from 'node:events'
import { createServer } from 'node:net'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { formatTime, SystemClock, SystemRandom } from '@outrigger/foundation'
import { MemoryLogger } from '@outrigger/foundation/testing'
import {
  type EndpointSlice,
  type Lease,
  type MutatingWebhookConfiguration,
  type Namespace,
  type Pod,
  resources,
  type Secret,
} from '@outrigger/kube'
import { createManager } from '@outrigger/operator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { kruiseCertificates } from './kruise-certificates.ts'
import { kruiseSidecarSetDefinition, kruiseWebhooks, webhookService } from './kruise-definitions.ts'
import { define, kruiseLease, leaveInstallation, leaveSets } from './kruise-leftovers.ts'
import { agentHashes } from './kruise-literals.ts'
import { injectedAgent } from './kruise-pods.ts'
import { type SmallCluster, startSmallCluster } from './small-cluster.ts'

/**
 * Outrigger's replicas behind the Service of OpenKruise, while kruise-manager still leads and after it has gone: between the
 * first and the last step there is no moment in which a pod is refused or goes without its sidecars.
 */

const patience = 60_000
const clock = new SystemClock()
const random = new SystemRandom()
const logger = new MemoryLogger()
const configuration = { namespace: '', name: 'kruise-mutating-webhook-configuration' }
const leaseKey = { namespace: webhookService.namespace, name: 'kruise-manager' }
const bundle = Buffer.from(kruiseCertificates['ca-cert.pem'] ?? '').toString('base64')
let cluster: SmallCluster
let stopManager: () => Promise<void>
let secret: Secret
let hooks: MutatingWebhookConfiguration
let pods = 0

beforeAll(async () => {
  cluster = await startSmallCluster([])
  const { client } = cluster
  await client.create<Namespace>(resources.namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kruise-system', labels: { 'control-plane': 'openkruise' } },
    spec: {},
  })
  await cluster.until(resources.serviceAccounts, 'default/default', () => true, patience)
  await define(cluster, kruiseSidecarSetDefinition('1.9', bundle))
  await leaveSets(client, '1.9', ['agents'])
  await leaveInstallation(client, kruiseCertificates)
  for (const [index, hook] of kruiseWebhooks('1.9', bundle).entries())
    await client.create(
      index === 0 ? resources.mutatingWebhookConfigurations : resources.validatingWebhookConfigurations,
      hook,
    )
  secret = await client.get<Secret>(resources.secrets, { ...leaseKey, name: 'kruise-webhook-certs' })
  hooks = await client.get<MutatingWebhookConfiguration>(
    resources.mutatingWebhookConfigurations,
    configuration,
  )
  await client.patch<Lease>(resources.leases, leaseKey, {
    type: 'merge',
    body: { spec: kruiseLease(formatTime(clock.now()), 5).spec },
  })
}, 120_000)

afterAll(async () => {
  await stopManager?.()
  await cluster?.stop()
})

it('stands in behind the Service while kruise-manager leads, with its certificate and by its configuration', async () => {
  const leading = leadAsKruise()
  stopManager = await startManager()

  const pod = await createPod()
  expect(pod.spec.containers[0]).toMatchObject(injectedAgent('1.0'))
  expect(pod.metadata.annotations?.['kruise.io/sidecarset-hash']).toContain(agentHashes['1.0']?.hash)
  expect(
    await cluster.client.get<MutatingWebhookConfiguration>(
      resources.mutatingWebhookConfigurations,
      configuration,
    ),
  ).toEqual(hooks)
  const { spec } = await cluster.client.get<Lease>(resources.leases, leaseKey)
  expect(spec.holderIdentity).toMatch(/^kruise-controller-manager-/)
  expect(logger.lines).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      message: expect.stringContaining('kruise-manager holds the lease'),
    }),
  )
  // The one that leads counts; nobody else writes what it has counted.
  const { status } = await readAgents()
  expect(status).toMatchObject({ matchedPods: 5, updatedPods: 5, readyPods: 4, updatedReadyPods: 4 })
  await leading.stop()
})

it('leads once the lease has run out, and no pod was refused meanwhile', async () => {
  const creating = keepCreatingPods()
  await cluster.until<MutatingWebhookConfiguration>(
    resources.mutatingWebhookConfigurations,
    configuration.name,
    ({ webhooks = [] }) => webhooks.some(({ name }) => name === 'labelled.mpod.kb.io'),
    patience,
  )
  const made = await creating.stop()
  made.push(await createPod())
  for (const { metadata, spec } of made) expect(spec.containers[0]?.name, metadata.name).toBe('agent')
  await cluster.until<SidecarSet>(
    outriggerResources.sidecarSets,
    'agents',
    ({ status }) => status?.matchedPods === pods,
    patience,
  )
  const { webhooks = [] } = await cluster.client.get<MutatingWebhookConfiguration>(
    resources.mutatingWebhookConfigurations,
    configuration,
  )
  for (const { clientConfig } of webhooks)
    expect(clientConfig).toMatchObject({ service: webhookService, caBundle: bundle })
})

it('goes on with the certificates of OpenKruise, and keeps its kruise-manager from leading again', async () => {
  expect(
    await cluster.client.get<Secret>(resources.secrets, { ...leaseKey, name: 'kruise-webhook-certs' }),
  ).toEqual(secret)
  const { spec } = await cluster.client.get<Lease>(resources.leases, leaseKey)
  expect(spec.holderIdentity).toBe('outrigger-of-this-test')
  await stopManager()
  const released = await cluster.client.get<Lease>(resources.leases, leaseKey)
  expect(released.spec.holderIdentity ?? '').toBe('')
})

/** A manager as in its Deployment: it listens where the Service leads, and keeps its certificates in the Secret. */
async function startManager(): Promise<() => Promise<void>> {
  const port = await freePort()
  await cluster.client.create<EndpointSlice>(resources.endpointSlices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: webhookService.namespace,
      name: 'this-test',
      labels: { 'kubernetes.io/service-name': webhookService.name },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    ports: [{ name: '', port, protocol: 'TCP' }],
  } as EndpointSlice)
  const manager = createManager({
    client: cluster.client,
    clock,
    random,
    logger,
    identity: 'outrigger-of-this-test',
    userName: 'admin',
    webhook: { listen: { host: '127.0.0.1', port } },
  })
  const stopping = new AbortController()
  const ended = manager.run(stopping.signal)
  await Promise.race([manager.ready, ended])
  return async () => {
    stopping.abort()
    await ended
  }
}

/** Renews the lease every half second, as a leader does, until it is stopped. */
function leadAsKruise(): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const renewing = (async () => {
    while (!stopping.signal.aborted) {
      const { spec } = kruiseLease(new Date(clock.now()).toISOString(), 5)
      await cluster.client.patch<Lease>(resources.leases, leaseKey, { type: 'merge', body: { spec } })
      await clock.sleep(500, stopping.signal).catch(() => {})
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await renewing
    },
  }
}

/** Ten pods a second at most, until it is stopped; rejects then if one was refused. */
function keepCreatingPods(): { stop(): Promise<Pod[]> } {
  const stopping = new AbortController()
  const creating = (async () => {
    const made: Pod[] = []
    while (!stopping.signal.aborted) {
      made.push(await createPod())
      await clock.sleep(100, stopping.signal).catch(() => {})
    }
    return made
  })()
  creating.catch(() => {})
  return {
    stop() {
      stopping.abort()
      return creating
    },
  }
}

async function createPod(): Promise<Pod> {
  const pod = await cluster.client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${pods}`, namespace: 'default', labels: { app: 'agents' } },
    spec: { containers: [{ name: 'web', image: 'web:1' }] },
  })
  pods++
  return pod
}

function readAgents(): Promise<SidecarSet> {
  return cluster.client.get<SidecarSet>(outriggerResources.sidecarSets, { namespace: '', name: 'agents' })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
