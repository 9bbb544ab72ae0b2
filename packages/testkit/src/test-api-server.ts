import { createApiServer } from '@outrigger/apiserver'
import { createAuthority, issueCertificate, type KeyPair } from '@outrigger/certificates'
import { type ClusterClient, type ConnectionConfig, createClient } from '@outrigger/client'
import {
  type Clock,
  type Logger,
  type Random,
  SystemClock,
  SystemRandom,
  silentLogger,
} from '@outrigger/foundation'
import { formatYaml, type Release } from '@outrigger/kube'

export interface TestApiServerOptions {
  /** Feature gates of the server. Defaults to `SidecarSetServerlessPod=true`. */
  readonly featureGates?: Readonly<Record<string, boolean>>
  /** The release of Kubernetes 1 to look like, for example 24. Defaults to the newest. */
  readonly emulatedRelease?: Release
  /** Keeps objects on disk; without it they live as long as the server. */
  readonly dataDirectory?: string
  /** Defaults to `rbac`. */
  readonly authorization?: 'rbac' | 'always-allow'
  readonly clock?: Clock
  readonly random?: Random
  /** Defaults to one that says nothing. */
  readonly logger?: Logger
}

/** Who is asking: the administrator, or somebody with a certificate of the test's own authority. */
export type TestUser = 'admin' | { readonly name: string; readonly groups?: readonly string[] }

/** A Kubernetes API server in this process, with TLS and RBAC: what envtest is to Go. */
export interface TestApiServer {
  readonly url: string
  /** PEM. */
  readonly certificateAuthority: string
  /** Bearer token of the administrator. */
  readonly token: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** A client of its own for each call; all are closed by `stop`. */
  client(user?: TestUser): Promise<ClusterClient>
  /** For kubectl and other programs. */
  kubeconfig(): string
  /** A certificate signed by the test's authority. */
  issue(request: Omit<Parameters<typeof issueCertificate>[1], 'now'>): Promise<KeyPair>
  /** Ends the server and closes all its clients. Repeatable. */
  stop(): Promise<void>
}

/** Starts one on a free port of the loopback; resolves when it serves. */
export async function startTestApiServer(options: TestApiServerOptions = {}): Promise<TestApiServer> {
  const clock = options.clock ?? new SystemClock()
  const random = options.random ?? new SystemRandom()
  const logger = options.logger ?? silentLogger
  const authority = await createAuthority({ commonName: 'testkit', now: clock.now() })
  const issue: TestApiServer['issue'] = (request) =>
    issueCertificate(authority, { ...request, now: clock.now() })
  const loopback = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] }
  const serving = await issue({ commonName: 'kube-apiserver', ...loopback, usages: ['server'] })
  const kubelet = await issue({
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['system:masters'],
    usages: ['client'],
  })
  const token = Buffer.from(random.bytes(24)).toString('base64url')
  const server = createApiServer({
    clock,
    random,
    logger,
    listen: { host: '127.0.0.1', port: 0 },
    tls: {
      certificate: serving.certificate,
      key: serving.privateKey,
      clientAuthorities: authority.certificate,
    },
    tokens: [{ token, user: { name: 'admin', groups: ['system:masters'] } }],
    featureGates: options.featureGates ?? { SidecarSetServerlessPod: true },
    kubelet: { ca: authority.certificate, certificate: kubelet.certificate, key: kubelet.privateKey },
    ...(options.emulatedRelease !== undefined && { emulatedRelease: options.emulatedRelease }),
    ...(options.dataDirectory !== undefined && { dataDirectory: options.dataDirectory }),
    ...(options.authorization !== undefined && { authorization: options.authorization }),
  })
  const stopping = new AbortController()
  const ended = server.run(stopping.signal)
  const { url } = await server.ready
  const clients: ClusterClient[] = []

  return {
    url,
    certificateAuthority: authority.certificate,
    token,
    clock,
    random,
    logger,
    issue,
    async client(user = 'admin') {
      const config: ConnectionConfig = {
        server: url,
        certificateAuthority: authority.certificate,
        credentials: await credentialsOf(user, token, issue),
      }
      const client = createClient({ config, clock, logger })
      clients.push(client)
      return client
    },
    kubeconfig: () => kubeconfigText(url, authority.certificate, token),
    async stop() {
      await Promise.all(clients.splice(0).map((client) => client.close()))
      stopping.abort(new Error('the test is over'))
      await ended
    },
  }
}

async function credentialsOf(user: TestUser, token: string, issue: TestApiServer['issue']) {
  if (user === 'admin') return { token }
  const { certificate, privateKey } = await issue({
    commonName: user.name,
    organizations: user.groups ?? [],
    usages: ['client'],
  })
  return { clientCertificate: { certificate, key: privateKey } }
}

function kubeconfigText(server: string, certificateAuthority: string, token: string): string {
  return formatYaml({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'testkit',
    clusters: [
      {
        name: 'testkit',
        cluster: {
          server,
          'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64'),
        },
      },
    ],
    contexts: [{ name: 'testkit', context: { cluster: 'testkit', user: 'admin' } }],
    users: [{ name: 'admin', user: { token } }],
  })
}
