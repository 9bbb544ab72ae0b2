import { setMaxListeners } from 'node:events'
import { createSigningKey, type SigningKey } from '@outrigger/certificates'
import {
  aborted,
  type Clock,
  deferred,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import { type CustomResourceDefinition, discoveryTable, newestRelease, type Release } from '@outrigger/kube'
import { type AdmissionChain, createAdmissionChain } from './admission/admission-chain.ts'
import { builtInAdmission } from './admission/builtin/built-in-admission.ts'
import type { AdmissionPlugin } from './admission/plugin.ts'
import { createWebhookAdmission } from './admission/webhook/webhook-admission.ts'
import {
  createWebhookClient,
  type ServiceResolver,
  type WebhookClient,
} from './admission/webhook/webhook-client.ts'
import { type Access, createAccess } from './auth/access.ts'
import { createRoleAggregation } from './auth/role-aggregation.ts'
import type { StaticToken } from './auth/static-tokens.ts'
import { type CustomResources, createCustomResources } from './custom/custom-resources.ts'
import { createDefinitionResource } from './custom/definition-resource.ts'
import { ensureDefaultNamespaces } from './default-namespaces.ts'
import { DiscoveryDocuments } from './discovery/discovery-documents.ts'
import { resourceOfRelease } from './emulation/emulated-resource.ts'
import { habitsOf } from './emulation/release-habits.ts'
import { createEventExpiry } from './event-expiry.ts'
import { listen } from './http/https-server.ts'
import { ServerMetrics } from './http/metrics.ts'
import { Router } from './http/router.ts'
import { builtInResources } from './kinds/built-in-resources.ts'
import { createKubernetesService } from './kubernetes-service.ts'
import { OpenApiDocuments } from './openapi/openapi-documents.ts'
import type { ConnectHandler } from './registry/connect.ts'
import { collectionFor } from './registry/conversion.ts'
import type { Objects } from './registry/objects.ts'
import type { Resource } from './registry/resource.ts'
import { ResourceHandler } from './registry/resource-handler.ts'
import { ResourceRegistry } from './registry/resource-registry.ts'
import { createObjects } from './registry/stored-objects.ts'
import { resolveService } from './service-resolver.ts'
import { openLmdbStore } from './storage/lmdb-store.ts'
import { createMemoryStore } from './storage/mvcc-store.ts'
import type { Store } from './storage/store.ts'
import { createKubeletProxy, type KubeletProxyOptions } from './streaming/kubelet-proxy.ts'

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
  /** How kubelets are dialed for logs, exec and the like; without it they are not. */
  readonly kubelet?: KubeletProxyOptions['kubelet']
  /** Users who are known by a fixed token. */
  readonly tokens?: readonly StaticToken[]
  /** Defaults to `rbac`; `always-allow` is for tests. */
  readonly authorization?: 'rbac' | 'always-allow'
  /** Signs service account tokens; must stay the same over restarts. Defaults to a new one. */
  readonly serviceAccountKey?: SigningKey
  /** Issuer of service account tokens. Defaults to the name Kubernetes itself uses. */
  readonly serviceAccountIssuer?: string
  readonly featureGates?: Readonly<Record<string, boolean>>
  /**
   * The release of Kubernetes to look like: built-in kinds, fields, parts and ways of listing and describing that came
   * later are missing; what is there behaves as in the newest release. Defaults to `newestRelease`.
   */
  readonly emulatedRelease?: Release
  /** IPv4 range of cluster IPs. */
  readonly serviceCidr?: string
  /** Where webhooks named by a Service are reached. Defaults to a ready endpoint of the Service. */
  readonly resolveService?: ServiceResolver
  /** Further admission steps, between the built-in ones and webhooks. */
  readonly admission?: readonly AdmissionPlugin[]
  /**
   * Host name or address under which clients reach the server. Defaults to the listening host, and to the loopback
   * address for a server that listens everywhere.
   */
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

/** The parts of a server that is being put together. */
interface Parts {
  readonly options: ApiServerOptions
  readonly store: Store
  readonly objects: Objects
  readonly registry: ResourceRegistry
  readonly access: Access
  readonly handler: ResourceHandler
  readonly connect: ConnectHandler | undefined
  readonly customResources: CustomResources
  /** What goes on beside the requests. */
  readonly background: readonly Runnable[]
  readonly webhookClient: WebhookClient
}

/** An API server that looks like kube-apiserver. Nothing happens before `run`. */
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
    const background = new AbortController()
    const running = Promise.all(
      parts.background.map((part) => runSafely(part, options.logger, background.signal)),
    )
    try {
      await listenUntil(parts, signal, onReady)
    } finally {
      background.abort()
      await running
      parts.webhookClient.close()
    }
  } finally {
    await store.close()
  }
}

/** Work beside the requests must not take the server down; it says what went wrong. */
async function runSafely(part: Runnable, logger: Logger, signal: AbortSignal): Promise<void> {
  try {
    await part.run(signal)
  } catch (error) {
    logger.error('A part of the server ended unexpectedly.', { part: part.name, error: messageOf(error) })
  }
}

function openStore({ clock, dataDirectory, logger }: ApiServerOptions): Promise<Store> | Store {
  const monotonic = () => clock.monotonic()
  return dataDirectory === undefined
    ? createMemoryStore({ monotonic })
    : openLmdbStore({
        directory: dataDirectory,
        monotonic,
        onSpace(problem) {
          if (problem === undefined) logger.info('There is room again: writes are accepted.')
          else logger.error('Writes are refused.', { error: problem.message })
        },
      })
}

/** The wiring: what the server is made of, in the order it depends on each other. */
function assemble(options: ApiServerOptions, store: Store, signingKey: SigningKey): Parts {
  const { clock, random, logger } = options
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
  registry.add(
    ...inDiscoveryOrder([
      ...builtInResources(environment),
      ...access.reviewResources,
      createDefinitionResource(),
    ]).flatMap((resource) => resourceOfRelease(resource, releaseOf(options)) ?? []),
  )
  for (const resource of registry.all) addIndexes(store, resource)
  const webhookClient = createWebhookClient(
    options.resolveService ?? ((namespace, name, port) => resolveService(objects, namespace, name, port)),
    clock,
  )
  const webhooks = createWebhookAdmission({
    objects,
    client: webhookClient,
    clock,
    random,
    logger,
    equivalents: (resource) => [...registry.all].filter((other) => isSameStorage(resource, other)),
  })
  const own = builtInAdmission(environment)
  const admission: AdmissionChain = createAdmissionChain([
    ...own.slice(0, -1),
    ...(options.admission ?? []),
    ...webhooks,
    access.escalationCheck,
    // Quota books what all others have let through.
    ...own.slice(-1),
  ])
  const handler = new ResourceHandler({ store, admission, clock, random, isEnabled })
  const connect = createKubeletProxy({
    objects,
    clock,
    admit: (request) => handler.admitConnect(request),
    ...(options.kubelet === undefined ? {} : { kubelet: options.kubelet }),
  })
  const customResources = createCustomResources({
    store,
    objects,
    registry,
    client: webhookClient,
    clock,
    random,
    logger,
  })
  return {
    options,
    store,
    objects,
    registry,
    access,
    handler,
    connect,
    customResources,
    background: [
      customResources,
      createEventExpiry(store, clock, logger),
      createRoleAggregation(objects, store, logger),
    ],
    webhookClient,
  }
}

const releaseOf = ({ emulatedRelease }: ApiServerOptions): Release => emulatedRelease ?? newestRelease

const isSameStorage = (one: Resource, other: Resource) =>
  one.storage.group === other.storage.group && one.storage.resource === other.storage.resource

/** Groups in the order kube-apiserver lists them. */
function inDiscoveryOrder(resources: readonly Resource[]): readonly Resource[] {
  const order = ['', ...discoveryTable.groups.items.map((item) => item.metadata.name ?? '')]
  return [...resources].sort((one, other) => order.indexOf(one.group) - order.indexOf(other.group))
}

function writtenSchema(objects: Objects, { group, plural, version: name }: Resource) {
  const definition = objects.get<CustomResourceDefinition>(
    { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' },
    { namespace: '', name: `${plural}.${group}` },
  )
  const served = definition?.spec.versions.find((one) => one.name === name)
  return served?.schema?.openAPIV3Schema as Readonly<Record<string, unknown>> | undefined
}

/** Lists by these fields are what every kubelet asks for; they must not walk all pods. */
const indexedFields: Readonly<Record<string, readonly string[]>> = { pods: ['spec.nodeName'] }

function addIndexes(store: Store, resource: Resource): void {
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
async function bootstrap({ objects, access, store, customResources }: Parts): Promise<void> {
  await ensureDefaultNamespaces(objects)
  await access.bootstrap()
  await customResources.load()
  // Nobody can have seen a state between these writes.
  store.compact()
}

async function listenUntil(
  parts: Parts,
  signal: AbortSignal,
  onReady: (address: ServerAddress) => void,
): Promise<void> {
  const { options, objects, registry, store, handler, access, connect } = parts
  const { clock, logger } = options
  const host = options.advertisedHost ?? options.listen.host
  let url = ''
  let isStopping = false
  const stopping = new AbortController()
  // Every request and watch listens for the end of the server.
  setMaxListeners(0, stopping.signal)
  const router = new Router({
    registry,
    handler,
    access,
    store,
    connect,
    clock,
    logger,
    habits: habitsOf(releaseOf(options)),
    discovery: new DiscoveryDocuments(registry),
    openApi: new OpenApiDocuments(registry, (resource) => writtenSchema(objects, resource)),
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
  url = urlOf(host, server.port)
  const own = createKubernetesService({
    objects,
    clock,
    logger,
    host,
    port: server.port,
    ...(options.serviceCidr === undefined ? {} : { serviceCidr: options.serviceCidr }),
  })
  try {
    await own.ensure()
    onReady({ url, port: server.port })
    await Promise.all([aborted(signal), runSafely(own, logger, signal)])
  } finally {
    isStopping = true
    stopping.abort(new Error('the server stops'))
    await server.close()
  }
}

/** Nobody can connect to all addresses of a machine at once; its own users reach it under the loopback one. */
function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `https://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
