import { type Clock, type Logger, silentLogger } from '@outrigger/foundation'
import type { Draft, Info, KubeList, KubeObject, ObjectKey, ResourceRef, WatchEvent } from '@outrigger/kube'
import { ApiError, ConnectionError } from './api-error.ts'
import { streamBody } from './body.ts'
import type {
  CallOptions,
  Client,
  DeleteCallOptions,
  ListOptions,
  Patch,
  RawAnswer,
  RawRequest,
  SubresourceOption,
  WatchOptions,
  WriteOptions,
} from './client.ts'
import type { ConnectionConfig } from './connection-config.ts'
import { Connector } from './connector.ts'
import { CredentialSource, type Identity } from './credential-source.ts'
import { Discovery } from './discovery.ts'
import { type Call, HttpCaller } from './http-caller.ts'
import { NegotiatingTransport } from './negotiating-transport.ts'
import { type ExecOptions, type ExecResult, execInPod } from './pod-exec.ts'
import { type LogOptions, logPath } from './pod-log.ts'
import { objectPath, query, resourcePath } from './resource-path.ts'
import { apiErrorFromAnswer, htmlPage } from './status-body.ts'
import type { Transport } from './transport.ts'
import { readWatch } from './watch-stream.ts'

export interface ClientOptions {
  readonly config: ConnectionConfig
  readonly clock: Clock
  /** Hears of retries and of the API server's warnings. Defaults to silence. */
  readonly logger?: Logger
  /** Defaults to `outrigger`. */
  readonly userAgent?: string
}

/** A client that can also look into pods. */
export interface ClusterClient extends Client {
  /** What the server says of itself at `/version`. */
  version(options?: CallOptions): Promise<Info>
  /** A container's log, as bytes. Ends with the log, or with the container when following. */
  followLog(pod: ObjectKey, options: LogOptions): AsyncIterable<Uint8Array>
  /** Runs a command in a container. @throws ApiError, ConnectionError or the signal's reason. */
  exec(pod: ObjectKey, options: ExecOptions): Promise<ExecResult>
}

/**
 * A client of one API server. Connects on the first call and keeps its connections: HTTP/2 over TLS,
 * or HTTP/1.1 where the server speaks nothing else.
 *
 * Guarantees: reads are repeated when the server is briefly unavailable or the connection breaks,
 * writes only when they certainly had no effect; every call ends within its timeout; an aborted call
 * ends at once and frees its stream. Answers are not checked against a schema: `T` is what the caller
 * says the resource is.
 */
export function createClient(options: ClientOptions): ClusterClient {
  return new ApiClient(options)
}

const patchTypes: Readonly<Record<Patch['type'], string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  // JSON is YAML, and servers older than 1.32 know apply only by this name.
  apply: 'application/apply-patch+yaml',
}

class ApiClient implements ClusterClient {
  readonly #config: ConnectionConfig
  readonly #connector: Connector
  readonly #transport: Transport
  readonly #credentials: CredentialSource
  readonly #caller: HttpCaller
  readonly #discovery: Discovery
  readonly #clock: Clock

  constructor(options: ClientOptions) {
    const { config, clock, logger = silentLogger } = options
    this.#config = config
    this.#clock = clock
    this.#credentials = new CredentialSource({
      config,
      clock,
      logger,
      onNewCertificate: () => this.#transport.refresh(),
    })
    this.#connector = new Connector(config, clock, this.#credentials)
    this.#transport = new NegotiatingTransport(config, this.#connector, clock)
    this.#caller = new HttpCaller({
      transport: this.#transport,
      credentials: this.#credentials,
      clock,
      logger,
      userAgent: options.userAgent ?? 'outrigger',
      server: config.server,
    })
    this.#discovery = new Discovery((path, call) => this.#json({ method: 'GET', path, ...call }), clock)
  }

  get<T extends KubeObject>(resource: ResourceRef, key: ObjectKey, options?: CallOptions): Promise<T> {
    return this.#json({ method: 'GET', path: objectPath(resource, key), ...options })
  }

  list<T extends KubeObject>(resource: ResourceRef, options: ListOptions = {}): Promise<KubeList<T>> {
    const path = resourcePath(resource, options.namespace) + query(listQuery(options))
    return this.#json({ method: 'GET', path, ...callOptions(options) })
  }

  async *watch<T extends KubeObject>(
    resource: ResourceRef,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const parameters = query({
      ...listQuery(options),
      watch: 'true',
      allowWatchBookmarks: options.allowBookmarks,
      sendInitialEvents: options.sendInitialEvents,
      timeoutSeconds: options.timeoutSeconds,
    })
    const path = resourcePath(resource, options.namespace) + parameters
    const answer = await this.#caller.open({ method: 'GET', path, signal: options.signal })
    yield* readWatch<T>(answer.body, options.signal)
  }

  create<T extends KubeObject>(
    resource: ResourceRef,
    object: Draft<T>,
    options: WriteOptions = {},
  ): Promise<T> {
    const namespace = object.metadata.namespace ?? this.#config.namespace ?? 'default'
    const path = resourcePath(resource, namespace) + query(writeQuery(options))
    return this.#write('POST', path, object, options)
  }

  update<T extends KubeObject>(
    resource: ResourceRef,
    object: T,
    options: WriteOptions & SubresourceOption = {},
  ): Promise<T> {
    const { namespace = '', name } = object.metadata
    const path = objectPath(resource, { namespace, name }, options.subresource) + query(writeQuery(options))
    return this.#write('PUT', path, object, options)
  }

  patch<T extends KubeObject>(
    resource: ResourceRef,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions & SubresourceOption = {},
  ): Promise<T> {
    const path = objectPath(resource, key, options.subresource) + query(writeQuery(options))
    return this.#write('PATCH', path, patch.body, options, patchTypes[patch.type])
  }

  delete(resource: ResourceRef, key: ObjectKey, options: DeleteCallOptions = {}): Promise<unknown> {
    return this.#write('DELETE', objectPath(resource, key), deleteOptions(options), options)
  }

  deleteCollection(resource: ResourceRef, options: DeleteCallOptions & ListOptions = {}): Promise<unknown> {
    const path = resourcePath(resource, options.namespace) + query(listQuery(options))
    return this.#write('DELETE', path, deleteOptions(options), options)
  }

  createSubresource<T>(
    resource: ResourceRef,
    key: ObjectKey,
    subresource: string,
    body: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const path = objectPath(resource, key, subresource) + query(writeQuery(options))
    return this.#write('POST', path, body, options)
  }

  async raw(request: RawRequest): Promise<RawAnswer> {
    return this.#caller.call(request)
  }

  serves(resource: ResourceRef, signal?: AbortSignal): Promise<boolean> {
    return this.#discovery.serves(resource, signal)
  }

  version(options?: CallOptions): Promise<Info> {
    return this.#json({ method: 'GET', path: '/version', ...options })
  }

  async *followLog(pod: ObjectKey, options: LogOptions): AsyncGenerator<Uint8Array> {
    // Left early, the generator must free the stream also when the caller has no signal.
    const left = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal
    try {
      const answer = await this.#caller.open({
        method: 'GET',
        path: logPath(pod, options),
        headers: { accept: '*/*' },
        signal,
      })
      yield* streamBody(answer.body)
    } catch (error) {
      throw options.signal?.aborted ? options.signal.reason : error
    } finally {
      left.abort()
    }
  }

  async exec(pod: ObjectKey, options: ExecOptions): Promise<ExecResult> {
    const identity = await this.#credentials.identity()
    try {
      return await this.#execAs(identity, pod, options)
    } catch (error) {
      // Turned away before it began, so nothing has run and no input was read.
      if (!(error instanceof ApiError) || error.code !== 401 || !(await this.#credentials.reject(identity)))
        throw error
    }
    return this.#execAs(await this.#credentials.identity(), pod, options)
  }

  #execAs({ headers }: Identity, pod: ObjectKey, options: ExecOptions): Promise<ExecResult> {
    const connection = {
      config: this.#config,
      connector: this.#connector,
      identity: headers,
      clock: this.#clock,
    }
    return execInPod(connection, pod, options)
  }

  close(): Promise<void> {
    return this.#transport.close()
  }

  #write<T>(
    method: string,
    path: string,
    body: unknown,
    options: CallOptions,
    contentType = 'application/json',
  ): Promise<T> {
    return this.#json({
      method,
      path,
      headers: { 'content-type': contentType },
      body: JSON.stringify(body),
      ...callOptions(options),
    })
  }

  async #json<T>(call: Call): Promise<T> {
    const answer = await this.#caller.call(call)
    if (answer.status < 200 || answer.status >= 300)
      throw apiErrorFromAnswer(answer.status, answer.headers, answer.body)
    return parseAnswer(answer.body, call)
  }
}

function parseAnswer<T extends object>(body: Buffer, call: Call): T {
  const what = `the answer to ${call.method}`
  const text = body.toString('utf8')
  let parsed: T | string | number | boolean | null
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    const page = htmlPage(text)
    const message = page === undefined ? `${what} is not JSON` : `${what} is ${page}, not the API server's`
    throw new ConnectionError(message, { cause: error, phase: 'final' })
  }
  if (typeof parsed === 'object' && parsed !== null) return parsed
  throw new ConnectionError(`${what} is not an object`, { phase: 'final' })
}

function callOptions(options: CallOptions): CallOptions {
  return {
    ...(options.signal && { signal: options.signal }),
    ...(options.timeout !== undefined && { timeout: options.timeout }),
  }
}

function listQuery(options: Omit<ListOptions, keyof CallOptions>) {
  return {
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    limit: options.limit,
    continue: options.continue,
    // A continue token names its own version.
    resourceVersion: options.continue === undefined ? options.resourceVersion : undefined,
    resourceVersionMatch: options.continue === undefined ? options.resourceVersionMatch : undefined,
  }
}

function writeQuery(options: WriteOptions) {
  return {
    fieldManager: options.fieldManager,
    dryRun: options.dryRun ? 'All' : undefined,
    fieldValidation: options.fieldValidation,
    force: options.force,
  }
}

function deleteOptions(options: DeleteCallOptions): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: options.gracePeriodSeconds,
    propagationPolicy: options.propagationPolicy,
    preconditions: options.preconditions,
    dryRun: options.dryRun ? ['All'] : undefined,
  }
}
