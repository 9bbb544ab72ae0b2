import { createSigningKey, type SigningKey } from '@outrigger/certificates'
import { aborted, type Clock, deferred, type Logger, type Random } from '@outrigger/foundation'
import { type AdmissionChain, createAdmissionChain } from './admission/admission-chain.ts'
import type { AdmissionPlugin } from './admission/plugin.ts'
import { type Access, createAccess } from './auth/access.ts'
import type { StaticToken } from './auth/static-tokens.ts'
import { ensureDefaultNamespaces } from './default-namespaces.ts'
import { DiscoveryDocuments } from './discovery/discovery-documents.ts'
import { listen } from './http/https-server.ts'
import { ServerMetrics } from './http/metrics.ts'
import { Router } from './http/router.ts'
import { builtInResources } from './kinds/built-in-resources.ts'
import { OpenApiDocuments } from './openapi/openapi-documents.ts'
import { collectionFor } from './registry/conversion.ts'
import type { ConnectHandler } from './registry/connect.ts'
import type { Objects } from './registry/objects.ts'
import { ResourceHandler } from './registry/resource-handler.ts'
import { ResourceRegistry } from './registry/resource-registry.ts'
import { createObjects } from './registry/stored-objects.ts'
import { openLmdbStore } from './storage/lmdb-store.ts'
import { createMemoryStore } from './storage/mvcc-store.ts'
import type { Store } from './storage/store.ts'

export interface ApiServerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Where objects are kept. Without it nothing survives the process. One server at a time can use it. */
  readonly dataDirectory?: string
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls: {
    /** PEM, with the intermediates. */
    readonly certificate: string
    /** PEM. */
    readonly key: string
    /** PEM of the authorities whose client certificates name users. */
    readonly clientAuthorities?: string
  }
  /** Users who are known by a fixed token. */
  readonly tokens?: readonly StaticToken[]
  /** Defaults to `rbac`; `always-allow` is for tests. */
  readonly authorization?: 'rbac' | 'always-allow'
  /** Signs service account tokens; must stay the same over restarts. Defaults to a new one. */
  readonly serviceAccountKey?: SigningKey
  /** Issuer of service account tokens. Defaults to the name Kubernetes itself uses. */
  readonly serviceAccountIssuer?: string
  readonly featureGates?: Readonly<Record<string, boolean>>
  /** IPv4 range of cluster IPs. */
  readonly serviceCidr?: string
  /** Further admission steps, behind the built-in ones. */
  readonly admission?: readonly AdmissionPlugin[]
  /** Host name or address under which clients reach the server. Defaults to the listening host. */
  readonly advertisedHost?: string
}

/** Where a ready server is found. */
export interface ServerAddress {
  readonly url: string
  readonly port: number
}

/** An embedded Kubernetes API server. */
export interface ApiServer {
  readonly name: string
  /**
   * Serves until `signal` aborts; resolves when every connection, watch and file is closed. Once only.
   *
   * @throws UserError when the port is taken or the data directory cannot be used.
   */
  run(signal: AbortSignal): Promise<void>
  /** Resolves when requests are served; rejects when `run` fails before. */
  readonly ready: Promise<ServerAddress>
}

const gitVersion = 'v1.36.2'
const version = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion,
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'none',
  platform: 'linux/amd64',
} as const

/** The parts of a server that is being put together. */
interface Parts {
  readonly options: ApiServerOptions
  readonly store: Store
  readonly objects: Objects
  readonly registry: ResourceRegistry
  readonly access: Access
  readonly handler: ResourceHandler
  readonly connect: ConnectHandler | undefined
}

/** An API server that looks like kube-apiserver 1.36. Nothing happens before `run`. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  const ready = deferred<ServerAddress>()
  // Who does not wait for readiness hears of the failure from `run`.
  ready.promise.catch(() => {})
  return {
    name: 'apiserver',
    ready: ready.promise,
    async run(signal) {
      try {
        await serve(options, signal, ready.resolve)
      } catch (error) {
        ready.reject(error)
        throw error
      }
    },
  }
}

async function serve(
  options: ApiServerOptions,
  signal: AbortSignal,
  onReady: (address: ServerAddress) => void,
): Promise<void> {
  const store = await openStore(options)
  try {
    const signingKey = options.serviceAccountKey ?? (await createSigningKey())
    const parts = assemble(options, store, signingKey)
    await bootstrap(parts)
    await listenUntil(parts, signal, onReady)
  } finally {
    await store.close()
  }
}

function openStore({ clock, dataDirectory }: ApiServerOptions): Promise<Store> | Store {
  const monotonic = () => clock.monotonic()
  return dataDirectory === undefined
    ? createMemoryStore({ monotonic })
    : openLmdbStore({ directory: dataDirectory, monotonic })
}

/** The wiring: what the server is made of, in the order it depends on each other. */
function assemble(options: ApiServerOptions, store: Store, signingKey: SigningKey): Parts {
  const { clock, random } = options
  const isEnabled = (gate: string) => options.featureGates?.[gate] ?? false
  const objects = createObjects(store, clock, random)
  const registry = new ResourceRegistry()
  const access = createAccess({
    objects,
    clock,
    random,
    signingKey,
    ...(options.serviceAccountIssuer === undefined ? {} : { issuer: options.serviceAccountIssuer }),
    staticTokens: options.tokens ?? [],
    mode: options.authorization ?? 'rbac',
  })
  const environment = {
    objects,
    clock,
    random,
    isEnabled,
    tokenRequest: access.tokenRequest,
    deletePod: deletePodThrough(() => handler, registry, clock),
    ...(options.serviceCidr === undefined ? {} : { serviceCidr: options.serviceCidr }),
  }
  registry.add(...builtInResources(environment), ...access.reviewResources)
  for (const resource of registry.all) addIndexes(store, resource)
  const admission: AdmissionChain = createAdmissionChain([
    ...(options.admission ?? []),
    access.escalationCheck,
  ])
  const handler = new ResourceHandler({ store, admission, clock, random, isEnabled })
  return { options, store, objects, registry, access, handler, connect: undefined }
}

/** Lists by these fields are what every kubelet asks for; they must not walk all pods. */
const indexedFields: Readonly<Record<string, readonly string[]>> = { pods: ['spec.nodeName'] }

function addIndexes(store: Store, resource: Parameters<typeof collectionFor>[0]): void {
  const collection = collectionFor(resource)
  for (const field of indexedFields[collection] ?? [])
    store.addIndex(collection, field, (object) => resource.selectableFields(object)[field] ?? '')
}

/** Evictions end in a deletion, which the handler knows how to do; the handler is made later. */
function deletePodThrough(handler: () => ResourceHandler, registry: ResourceRegistry, clock: Clock) {
  return async (
    key: { readonly namespace: string; readonly name: string },
    body: Readonly<Record<string, unknown>>,
    isDryRun: boolean,
  ): Promise<void> => {
    const pods = registry.find('', 'v1', 'pods')
    if (pods === undefined) return
    const writer = {
      user: { name: 'system:apiserver', groups: ['system:masters'] },
      now: clock.now(),
      signal: new AbortController().signal,
    }
    await handler().deleteObject(pods, key, writer, body, isDryRun)
  }
}

/** What every cluster has from the start. */
async function bootstrap({ objects, access, store }: Parts): Promise<void> {
  await ensureDefaultNamespaces(objects)
  await access.bootstrap()
  // Nobody can have seen a state between these writes.
  store.compact()
}

async function listenUntil(
  parts: Parts,
  signal: AbortSignal,
  onReady: (address: ServerAddress) => void,
): Promise<void> {
  const { options, registry, store, handler, access, connect } = parts
  const { clock, logger } = options
  const host = options.advertisedHost ?? options.listen.host
  let url = ''
  let isStopping = false
  const stopping = new AbortController()
  const router = new Router({
    registry,
    handler,
    access,
    store,
    connect,
    clock,
    logger,
    version,
    discovery: new DiscoveryDocuments(registry),
    openApi: new OpenApiDocuments(registry),
    metrics: new ServerMetrics(),
    checks: [
      { name: 'ping', isHealthy: () => true },
      { name: 'etcd', isHealthy: () => store.isHealthy },
    ],
    readiness: [{ name: 'shutdown', isHealthy: () => !isStopping }],
    url: () => url,
    stopping: stopping.signal,
  })
  const server = await listen(
    {
      ...options.listen,
      certificate: options.tls.certificate,
      key: options.tls.key,
      ...(options.tls.clientAuthorities === undefined
        ? {}
        : { clientAuthorities: options.tls.clientAuthorities }),
      clock,
      logger,
    },
    router,
  )
  url = `https://${host.includes(':') ? `[${host}]` : host}:${server.port}`
  onReady({ url, port: server.port })
  await aborted(signal)
  isStopping = true
  stopping.abort(new Error('the server stops'))
  await server.close()
}

