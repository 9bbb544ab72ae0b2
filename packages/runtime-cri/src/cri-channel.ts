import { setMaxListeners } from 'node:events'
import type { Client as GrpcClient, ServiceError } from '@grpc/grpc-js'
import type { Clock } from '@outrigger/foundation'
import type { Root } from 'protobufjs'
import { criDescriptor } from './generated/cri-descriptor.ts'
import type { CriMethods } from './generated/cri-messages.ts'

type Method = keyof CriMethods

export interface CriChannelOptions {
  /** `unix:///run/containerd/containerd.sock`. */
  readonly endpoint: string
  readonly clock: Clock
}

export interface CallOptions {
  readonly signal: AbortSignal
  /** Milliseconds until the call is given up. Defaults to 120,000. */
  readonly timeout?: number
  /** Milliseconds to wait for a connection while there is none. Defaults to 10,000. */
  readonly connectTimeout?: number
}

/** A call that did not succeed, with the gRPC status as the server gave it. */
export class GrpcFailure extends Error {
  override readonly name = 'GrpcFailure'
  /** Number of the gRPC status: 5 is NotFound. */
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export const grpcCode = {
  cancelled: 1,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  unimplemented: 12,
  unavailable: 14,
} as const

/** The libraries, loaded on the first call so that a program that never calls never pays for them. */
interface Wire {
  readonly grpc: typeof import('@grpc/grpc-js')
  readonly client: GrpcClient
  readonly root: Root
  readonly codecs: Map<Method, Codec>
}

interface Codec {
  readonly path: string
  readonly encode: (value: object) => Buffer
  readonly decode: (bytes: Buffer) => object
}

/**
 * The connection to one container runtime.
 *
 * Guarantees: every call ends by its deadline or when its signal aborts, and rejects with `GrpcFailure` or
 * the signal's reason. A lost connection is made anew, at first within 0.1 s and at worst every second.
 */
export class CriChannel {
  readonly #options: CriChannelOptions
  #wire: Promise<Wire> | undefined
  #closed = false

  constructor(options: CriChannelOptions) {
    this.#options = options
  }

  async call<M extends Method>(
    method: M,
    request: CriMethods[M]['request'],
    options: CallOptions,
  ): Promise<CriMethods[M]['response']> {
    const wire = await this.#open()
    const codec = codecOf(wire, method)
    await this.#connected(wire, options)
    options.signal.throwIfAborted()
    // Many calls may share one signal; that is no leak, as each takes its listener away.
    setMaxListeners(0, options.signal)
    const timeout = options.timeout ?? 120_000
    return new Promise((resolve, reject) => {
      let stop = () => {}
      let isLate = false
      const metadata = new wire.grpc.Metadata()
      const call = wire.client.makeUnaryRequest(
        codec.path,
        codec.encode,
        codec.decode,
        request as object,
        metadata,
        (error: ServiceError | null, answer?: object) => {
          stop()
          if (error === null) return resolve(answer as CriMethods[M]['response'])
          if (options.signal.aborted) return reject(options.signal.reason)
          if (isLate) return reject(lateFailure(method, timeout))
          reject(new GrpcFailure(error.code, error.details))
        },
      )
      const onAbort = () => call.cancel()
      options.signal.addEventListener('abort', onAbort, { once: true })
      const cancelTimer = this.#options.clock.after(timeout, () => {
        isLate = true
        call.cancel()
      })
      stop = () => {
        cancelTimer()
        options.signal.removeEventListener('abort', onAbort)
      }
    })
  }

  /** Follows a method that streams. Ends when the server ends it or the signal aborts. @throws GrpcFailure */
  async *stream<M extends Method>(
    method: M,
    request: CriMethods[M]['request'],
    options: CallOptions & { readonly metadata?: Readonly<Record<string, string>> },
  ): AsyncGenerator<CriMethods[M]['response']> {
    const wire = await this.#open()
    const codec = codecOf(wire, method)
    await this.#connected(wire, options)
    if (options.signal.aborted) return
    const metadata = new wire.grpc.Metadata()
    for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value)
    const call = wire.client.makeServerStreamRequest(
      codec.path,
      codec.encode,
      codec.decode,
      request as object,
      metadata,
    )
    const onAbort = () => call.cancel()
    options.signal.addEventListener('abort', onAbort, { once: true })
    try {
      for await (const message of call) yield message as CriMethods[M]['response']
    } catch (error) {
      if (options.signal.aborted) return
      throw asFailure(error)
    } finally {
      options.signal.removeEventListener('abort', onAbort)
      call.cancel()
    }
  }

  /** Decodes a message that came inside another one. */
  async decode<T extends object>(type: string, bytes: Uint8Array): Promise<T> {
    const { root } = await this.#open()
    const message = root.lookupType(type)
    return message.toObject(message.decode(bytes), { longs: Number, enums: String }) as T
  }

  /** Ends the connection; calls in flight fail. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#wire !== undefined) (await this.#wire).client.close()
  }

  #open(): Promise<Wire> {
    if (this.#closed)
      return Promise.reject(new GrpcFailure(grpcCode.unavailable, 'the connection was closed'))
    this.#wire ??= openWire(this.#options.endpoint)
    return this.#wire
  }

  /** Waits for a connection while there is none, so that a restart of the runtime fails nothing. */
  #connected(wire: Wire, options: CallOptions): Promise<void> {
    const { connectivityState } = wire.grpc
    if (wire.client.getChannel().getConnectivityState(true) === connectivityState.READY) {
      return Promise.resolve()
    }
    const deadline =
      this.#options.clock.now() + Math.min(options.connectTimeout ?? 10_000, options.timeout ?? 120_000)
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(options.signal.reason)
      if (options.signal.aborted) return onAbort()
      options.signal.addEventListener('abort', onAbort, { once: true })
      wire.client.waitForReady(deadline, (error) => {
        options.signal.removeEventListener('abort', onAbort)
        if (error === undefined || error === null) return resolve()
        reject(new GrpcFailure(grpcCode.unavailable, `no connection to ${this.#options.endpoint}`))
      })
    })
  }
}

async function openWire(endpoint: string): Promise<Wire> {
  const [grpc, protobuf] = await Promise.all([
    import('@grpc/grpc-js').then(commonJs),
    import('protobufjs/light.js').then(commonJs),
  ])
  const client = new grpc.Client(endpoint, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  })
  return { grpc, client, root: protobuf.Root.fromJSON(criDescriptor), codecs: new Map() }
}

/** A CommonJS library loaded on demand: Node shows its names beside `default`, a bundle in `default` only. */
function commonJs<T extends object>(module: T): T {
  return 'default' in module ? (module.default as T) : module
}

const serviceOfMethod = new Map<string, string>()

function codecOf(wire: Wire, method: Method): Codec {
  const known = wire.codecs.get(method)
  if (known !== undefined) return known
  if (serviceOfMethod.size === 0) indexServices(criDescriptor, '')
  const service = wire.root.lookupService(serviceOfMethod.get(method)!)
  const declared = service.methods[method]!
  declared.resolve()
  const [request, response] = [declared.resolvedRequestType!, declared.resolvedResponseType!]
  const codec: Codec = {
    path: `/${service.fullName.slice(1)}/${method}`,
    encode: (value) => Buffer.from(request.encode(request.fromObject(value)).finish()),
    decode: (bytes) => response.toObject(response.decode(bytes), { longs: Number, enums: String }),
  }
  wire.codecs.set(method, codec)
  return codec
}

interface DescriptorNode {
  readonly methods?: object
  readonly nested?: object
}

function indexServices(node: DescriptorNode, path: string): void {
  for (const method of Object.keys(node.methods ?? {})) serviceOfMethod.set(method, path)
  for (const [name, child] of Object.entries(node.nested ?? {})) {
    indexServices(child as DescriptorNode, path === '' ? name : `${path}.${name}`)
  }
}

function lateFailure(method: string, timeout: number): GrpcFailure {
  return new GrpcFailure(grpcCode.deadlineExceeded, `${method} did not finish within ${timeout} ms`)
}

function asFailure(error: unknown): GrpcFailure {
  const { code, details } = error as Partial<ServiceError>
  return new GrpcFailure(code ?? 2, details ?? String(error))
}
