import { createHash, X509Certificate } from 'node:crypto'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { createAuthority, issueCertificate, type KeyPair } from '@outrigger/certificates'
import type { ClusterClient } from '@outrigger/client'
import {
  type MutatingWebhookConfiguration,
  type Namespace,
  type Pod,
  resources,
  type Secret,
} from '@outrigger/kube'
import { createManager } from '@outrigger/operator'
import {
  aNamespace,
  aPod,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import {
  type CertificateStore,
  createSharedCertificates,
  createWebhookServer,
  type StoredCertificates,
} from '@outrigger/webhook'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { HurriedClock } from './hurried-clock.ts'
import { sendReviews } from './review-load.ts'

let cluster: TestCluster
const stops: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  cluster = await startTestCluster({ hasManager: false, nodes: [] })
})

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

afterAll(() => cluster.stop())

const day = 86_400_000
const names = ['kruise-webhook-service.kruise-system.svc', 'localhost']

/** An authority and a pair made so many days ago, for ten years each. */
async function aged(days: number): Promise<StoredCertificates> {
  const now = cluster.clock.now() - days * day
  const authority = await createAuthority({ commonName: `made ${days} days ago`, now })
  const server = await issueCertificate(authority, {
    commonName: names[0] ?? '',
    dnsNames: names,
    usages: ['server'],
    validDays: 3650,
    now,
  })
  return { authority, server, bundle: authority.certificate }
}

const fingerprint = ({ certificate }: KeyPair) => new X509Certificate(certificate).fingerprint256

/** What two replicas share, each with its own connection to it. */
class MemoryStore implements CertificateStore {
  #certificates: StoredCertificates | undefined
  #version = 0

  constructor(certificates: StoredCertificates) {
    this.#certificates = certificates
  }

  async read() {
    return { certificates: this.#certificates, version: String(this.#version) }
  }

  async write(certificates: StoredCertificates, version: string | undefined) {
    if (version !== String(this.#version)) return false
    this.#certificates = certificates
    this.#version++
    return true
  }
}

const review = JSON.stringify({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'u',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    operation: 'CREATE',
    namespace: 'default',
    userInfo: { username: 'anna' },
    object: aPod({ name: 'web' }),
  },
})

describe('two replicas whose authority grows old', () => {
  it('change authority and pair under load without one failed review or one dropped connection', async () => {
    const old = await aged(3000)
    const store = new MemoryStore(old)
    const stopping = new AbortController()
    const replicas = [1, 2].map((index) => {
      const certificate = createSharedCertificates({
        store,
        dnsNames: names,
        clock: cluster.clock,
        logger: cluster.logger,
        // Replicas notice at different times, as they do when they were started at different times.
        interval: 150 * index,
        overlap: 1_500,
      })
      const server = createWebhookServer({
        clock: cluster.clock,
        logger: cluster.logger,
        listen: { host: '127.0.0.1', port: 0 },
        certificate,
        handlers: { '/mutate-pod': () => ({ allowed: true }) },
      })
      const ended = Promise.all([certificate.run(stopping.signal), server.run(stopping.signal)])
      stops.push(() => ended)
      return { certificate, server }
    })
    stops.push(async () => stopping.abort())
    await Promise.all(replicas.map(({ server }) => server.ready))

    // The caller knows what the leader wrote a while ago, like an API server's watch of webhook configurations.
    let published = replicas[0]!.certificate.authorities
    replicas[0]!.certificate.onChange(() => {
      const { authorities } = replicas[0]!.certificate
      cluster.clock.after(400, () => {
        published = authorities
      })
    })
    published = old.bundle
    cluster.clock.after(400, () => {
      published = replicas[0]!.certificate.authorities
    })

    const loading = new AbortController()
    const loads = replicas.flatMap(({ server }) =>
      [true, true, false, false].map((keepsConnection) => {
        const options = {
          port: server.address.port,
          keepsConnection,
          trusted: () => published,
          serverName: 'localhost',
          body: review,
        }
        return sendReviews(options, loading.signal).then((report) => ({ keepsConnection, ...report }))
      }),
    )
    const shown = async () =>
      Promise.all(replicas.map(async ({ certificate }) => fingerprint(await certificate.current())))
    expect(new Set(await shown())).toEqual(new Set([fingerprint(old.server)]))
    await eventually(
      'a pair of the new authority in both replicas',
      async () => {
        const [first, second] = await shown()
        return first === second && first !== fingerprint(old.server)
      },
      { clock: cluster.clock, timeout: 15_000 },
    )
    await cluster.clock.sleep(600)
    loading.abort()
    const reports = await Promise.all(loads)
    expect(reports.flatMap(({ failures }) => failures)).toEqual([])
    expect(reports.every(({ answered }) => answered > 20)).toBe(true)
    expect(
      reports.filter(({ keepsConnection }) => keepsConnection).map((report) => report.connections),
    ).toEqual([1, 1, 1, 1])
  }, 40_000)
})

describe('a manager', () => {
  const secretKey = { namespace: 'kruise-system', name: 'kruise-webhook-certs' }
  let admin: ClusterClient

  beforeAll(async () => {
    admin = cluster.admin
    await admin.create<Namespace>(resources.namespaces, aNamespace('kruise-system'))
    await eventually(
      'the service account',
      () =>
        admin
          .get(resources.serviceAccounts, { namespace: 'default', name: 'default' })
          .catch(() => undefined),
      cluster,
    )
  })

  const encoded = ({ authority, server, bundle }: StoredCertificates): Record<string, string> =>
    Object.fromEntries(
      Object.entries({
        'ca-key.pem': authority.privateKey,
        'ca-cert.pem': authority.certificate,
        'ca-bundle.pem': bundle,
        'tls.key': server.privateKey,
        'tls.crt': server.certificate,
      }).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
    )

  async function putSecret(data: Record<string, string>): Promise<void> {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: secretKey, type: 'Opaque', data } as Secret
    await admin.delete(resources.secrets, secretKey).catch(() => undefined)
    await admin.create<Secret>(resources.secrets, secret)
  }

  const readSecret = () => admin.get<Secret>(resources.secrets, secretKey).catch(() => undefined)

  /** Looks at its Secret every second. */
  async function startManager(identity: string): Promise<void> {
    const userName = 'outrigger-manager'
    const manager = createManager({
      clock: new HurriedClock(60),
      random: cluster.random,
      logger: cluster.logger,
      client: await cluster.client({ name: userName, groups: ['system:masters'] }),
      userName,
      identity,
      leaderElection: false,
      webhook: {
        listen: { host: '127.0.0.1', port: 0 },
        target: (port) => ({ url: `https://localhost:${port}` }),
      },
    })
    const stopping = new AbortController()
    const ended = manager.run(stopping.signal)
    stops.push(async () => {
      stopping.abort()
      await ended
    })
    await Promise.race([manager.ready, ended])
  }

  const caBundles = async () => {
    const { webhooks = [] } = await admin.get<MutatingWebhookConfiguration>(
      resources.mutatingWebhookConfigurations,
      { namespace: '', name: 'kruise-mutating-webhook-configuration' },
    )
    return [
      ...new Set(
        webhooks.map(({ clientConfig }) =>
          Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('utf8'),
        ),
      ),
    ]
  }

  const create = (name: string) =>
    admin.create<Pod>(
      resources.pods,
      aPod({ name, namespace: 'default', labels: { app: 'web', 'alibabacloud.com/eci': 'true' } }),
    )
  const hasSidecar = ({ spec }: Pod) => spec.containers.some(({ name }) => name === 'agent')

  /** Creates pods that may not start without an answer until the work is done. Resolves with what was refused. */
  async function createPodsDuring(prefix: string, work: () => Promise<void>): Promise<string[]> {
    const refused: string[] = []
    let isDone = false
    let count = 0
    const creating = (async () => {
      while (!isDone)
        await create(`${prefix}-${count++}`).then(
          (pod) => hasSidecar(pod) || refused.push(`${pod.metadata.name} has no sidecar`),
          (error: unknown) => refused.push(String(error)),
        )
    })()
    try {
      await work()
    } finally {
      isDone = true
      await creating
    }
    expect(count).toBeGreaterThan(10)
    return refused
  }

  it('replaces expired certificates at its start', async () => {
    const expired = await aged(4000)
    await putSecret(encoded(expired))
    await startManager('expired')
    await admin.create<SidecarSet>(outriggerResources.sidecarSets, aSidecarSet()).catch(() => undefined)
    await eventually(
      'injection',
      async () => hasSidecar(await create(`fresh-${cluster.random.uuid()}`)),
      cluster,
    )
    const bundles = await caBundles()
    expect(bundles).toHaveLength(1)
    expect(bundles[0]).not.toContain(expired.authority.certificate.trim())
  })

  it('writes a spoilt Secret anew, and nobody notices', async () => {
    await startManager('spoilt')
    await eventually(
      'injection',
      async () => hasSidecar(await create(`before-${cluster.random.uuid()}`)),
      cluster,
    )
    const before = (await readSecret())?.data ?? {}
    const refused = await createPodsDuring('spoilt', async () => {
      const spoils: Record<string, string>[] = [
        { 'tls.crt': btoa('garbage') },
        {},
        { ...before, 'tls.key': btoa('garbage') },
      ]
      for (const spoilt of spoils) {
        await putSecret(spoilt)
        await eventually(
          'the Secret as it was',
          async () => JSON.stringify((await readSecret())?.data) === JSON.stringify(before),
          { clock: cluster.clock, timeout: 15_000 },
        )
      }
    })
    expect(refused).toEqual([])
  }, 60_000)

  it('publishes the old and the new authority together when somebody puts an old one in', async () => {
    const old = await aged(3000)
    await putSecret(encoded(old))
    await startManager('overlap')
    const [bundle = ''] = await caBundles()
    expect(bundle.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    expect(bundle).toContain(old.authority.certificate.trim())
    const secret = await readSecret()
    expect(
      createHash('sha256')
        .update(secret?.data?.['tls.crt'] ?? '')
        .digest('hex'),
    ).toBe(
      createHash('sha256')
        .update(encoded(old)['tls.crt'] ?? '')
        .digest('hex'),
    )
    expect(hasSidecar(await create('overlap'))).toBe(true)
  })
})
