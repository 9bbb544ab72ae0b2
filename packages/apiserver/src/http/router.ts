import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock, Logger } from '@outrigger/foundation'
import { messageOf } from '@outrigger/foundation'
import type { AuthorizationQuestion, PeerCertificate, UserInfo } from '../auth/identity.ts'
import { type ApiRequest, type Reply, subjectOf } from '../registry/api-request.ts'
import type { ConnectExchange, ConnectHandler } from '../registry/connect.ts'
import { reply } from '../registry/rendering.ts'
import type { Resource, Verb } from '../registry/resource.ts'
import type { ResourceHandler } from '../registry/resource-handler.ts'
import type { ResourceRegistry } from '../registry/resource-registry.ts'
import {
  internalError,
  methodNotAllowed,
  notFound,
  StatusError,
  unknownResource,
} from '../registry/status-error.ts'
import { StorageFull } from '../storage/store.ts'
import { parseProxiedName } from '../streaming/kubelet-proxy.ts'
import { type AnyRequest, type AnyResponse, readBody, send, sendHead, sinkOf } from './connection.ts'
import { PlainAnswers, type PlainAnswersOptions, pageNotFound } from './plain-answers.ts'
import { questionOf } from './request-question.ts'
import { parseTarget, type RequestTarget, type ResourcePath } from './request-target.ts'

export interface RouterOptions extends PlainAnswersOptions {
  readonly handler: ResourceHandler
  /** Serves exec, logs and the like; without it they are not found. */
  readonly connect: ConnectHandler | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Aborts when the server stops: watches and streams end then. */
  readonly stopping: AbortSignal
}

/** Milliseconds a request may take that is no watch and no stream. */
const requestDeadline = 60_000
/** Milliseconds a watch may wait for a receiver that does not read. */
const drainDeadline = 30_000
const mostInFlight = 400

/** A request on its way: what was asked for, and by whom. */
interface Asked {
  readonly request: AnyRequest
  readonly target: RequestTarget
  readonly path: string
  readonly query: URLSearchParams
  readonly user: UserInfo
  readonly question: AuthorizationQuestion
}

/** Leads each request through authentication, authorization and to whoever answers it. */
export class Router {
  readonly #options: RouterOptions
  readonly #plain: PlainAnswers
  readonly #running = new Set<Promise<void>>()
  #inFlight = 0

  constructor(options: RouterOptions) {
    this.#options = options
    this.#plain = new PlainAnswers(options)
  }

  /** Answers an ordinary request. Never rejects. */
  serve(request: AnyRequest, response: AnyResponse, certificate: PeerCertificate | undefined): void {
    const work = this.#serve(request, response, certificate)
    this.#running.add(work)
    void work.finally(() => this.#running.delete(work))
  }

  /** Hands an upgraded connection on. Never rejects. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    certificate: PeerCertificate | undefined,
  ): void {
    const work = this.#upgrade(request, socket, head, certificate)
    this.#running.add(work)
    void work.finally(() => this.#running.delete(work))
  }

  /** Resolves when nothing is being worked on any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async #serve(
    request: AnyRequest,
    response: AnyResponse,
    certificate: PeerCertificate | undefined,
  ): Promise<void> {
    const { clock, metrics, stopping } = this.#options
    const startedAt = clock.monotonic()
    const warnings = new Set<string>()
    const gone = new AbortController()
    const onClose = () => gone.abort(new Error('the client went away'))
    response.once('close', onClose)
    const onStop = () => gone.abort(new Error('the server stops'))
    let asked: Asked | undefined
    let code = 0
    try {
      asked = await this.#ask(request, certificate)
      if (isLongRunning(asked)) {
        stopping.addEventListener('abort', onStop, { once: true })
        if (stopping.aborted) onStop()
        code = await this.#serveLong(asked, request, response, gone.signal, warnings)
      } else {
        const answer = await this.#answerInTime(asked, request, gone, warnings)
        code = answer.code
        send(response, answer, warnings)
      }
    } catch (error) {
      const answer = this.#answerForError(error, gone.signal)
      code = answer.code
      send(response, answer, warnings)
    } finally {
      response.removeListener('close', onClose)
      stopping.removeEventListener('abort', onStop)
      const { verb = 'unknown', resource = '' } = asked?.question ?? {}
      metrics.addRequest(verb, resource, code, (clock.monotonic() - startedAt) / 1000)
    }
  }

  async #answerInTime(
    asked: Asked,
    request: AnyRequest,
    gone: AbortController,
    warnings: Set<string>,
  ): Promise<Reply> {
    const { clock, metrics } = this.#options
    if (this.#inFlight >= mostInFlight) throw tooManyRequests()
    metrics.inFlight = ++this.#inFlight
    const cancel = clock.after(requestDeadline, () => gone.abort(timedOut()))
    try {
      const body = await readBody(request, gone.signal)
      return await this.#answer(asked, body, gone.signal, warnings)
    } finally {
      cancel()
      metrics.inFlight = --this.#inFlight
    }
  }

  /** Who asks for what, once they are known to be allowed to. @throws StatusError */
  async #ask(request: AnyRequest, certificate: PeerCertificate | undefined): Promise<Asked> {
    const { access, habits } = this.#options
    const url = request.url ?? '/'
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))
    const target = parseTarget(path)
    const question = questionOf(request.method ?? 'GET', target, path, query)
    const user = await access.resolveUser(request.headers, certificate, question)
    const whole = { ...question, user }
    access.authorize(whole)
    habits.adaptQuery(query)
    return { request, target, path, query, user, question: whole }
  }

  async #answer(asked: Asked, body: Buffer, signal: AbortSignal, warnings: Set<string>): Promise<Reply> {
    const { target } = asked
    switch (target.type) {
      case 'resource':
        return this.#answerResource(asked, target.path, body, signal, warnings)
      case 'discovery':
        return this.#plain.discovery(asked.request, target)
      case 'other':
        return this.#plain.other(asked.request, asked.path, asked.query)
    }
  }

  async #answerResource(
    asked: Asked,
    path: ResourcePath,
    body: Buffer,
    signal: AbortSignal,
    warnings: Set<string>,
  ): Promise<Reply> {
    const { registry, handler, access } = this.#options
    if (!registry.hasGroup(path.group)) return pageNotFound
    const request = this.#apiRequest(asked, path, body, signal, warnings)
    if (request === undefined) {
      if (path.group === '' || !isCustomGroup(registry, path.group)) throw unknownResource()
      const resource = registry.find(path.group, path.version, path.plural)
      if (resource === undefined || path.subresource === '') return pageNotFound
      throw notFound(subjectOf(resource), path.name)
    }
    return handler.handle(request, () => access.authorize({ ...asked.question, verb: 'create' }))
  }

  /** The request for a resource, or undefined when the path names none. */
  #apiRequest(
    asked: Asked,
    path: ResourcePath,
    body: Buffer,
    signal: AbortSignal,
    warnings: Set<string>,
  ): ApiRequest | undefined {
    const { registry, clock } = this.#options
    const resource = registry.find(path.group, path.version, path.plural)
    if (resource === undefined) return undefined
    if (!isKnownMethod(asked, path)) throw methodNotAllowed()
    if (!fits(resource, path, asked.question.verb)) return undefined
    const rules = subresourceOf(resource, path)
    if (path.subresource !== '' && rules === undefined) return undefined
    const { headers } = asked.request
    return {
      verb: asked.question.verb as Verb,
      resource,
      key: { namespace: resource.namespaced ? path.namespace : '', name: path.name },
      subresource: rules === undefined ? undefined : { name: path.subresource, rules },
      query: asked.query,
      accept: headers.accept ?? '',
      contentType: headers['content-type'] ?? '',
      userAgent: headers['user-agent'] ?? '',
      body,
      user: asked.user,
      now: clock.now(),
      signal,
      warnings,
    }
  }

  /** Watches, logs and proxied answers. Resolves with the code sent. */
  async #serveLong(
    asked: Asked,
    request: AnyRequest,
    response: AnyResponse,
    signal: AbortSignal,
    warnings: Set<string>,
  ): Promise<number> {
    const { registry, handler } = this.#options
    const path = (asked.target as Extract<RequestTarget, { type: 'resource' }>).path
    if (!registry.hasGroup(path.group)) {
      send(response, pageNotFound, warnings)
      return 404
    }
    const apiRequest = this.#apiRequest(asked, path, Buffer.alloc(0), signal, warnings)
    if (apiRequest === undefined) throw unknownResource()
    if (apiRequest.subresource?.rules.type === 'connect')
      return this.#connect(apiRequest, path, { type: 'response', request, response })
    if (apiRequest.verb === 'watch') {
      await this.#watch(handler, apiRequest, response)
      return 200
    }
    const answer = await handler.handle({ ...apiRequest, body: await readBody(request, signal) }, () => {})
    send(response, answer, warnings)
    return answer.code
  }

  async #watch(handler: ResourceHandler, apiRequest: ApiRequest, response: AnyResponse): Promise<void> {
    const { clock, metrics, registry } = this.#options
    const { resource, signal } = apiRequest
    const watch = handler.watch(apiRequest)
    const close = metrics.openWatch(resource.plural)
    const over = new AbortController()
    const end = () => over.abort(new Error('the watch is over'))
    signal.addEventListener('abort', end, { once: true })
    // A resource that is served no longer has no more events either.
    const stopListening = registry.onChange(() => {
      if (registry.find(resource.group, resource.version, resource.plural) === undefined) end()
    })
    try {
      sendHead(response, 200, { 'content-type': watch.contentType }, apiRequest.warnings)
      const sink = sinkOf(response, (action) => clock.after(drainDeadline, action))
      await watch.run(sink, signal.aborted ? signal : over.signal)
    } finally {
      signal.removeEventListener('abort', end)
      stopListening()
      close()
      response.end()
    }
  }

  async #connect(request: ApiRequest, path: ResourcePath, exchange: ConnectExchange): Promise<number> {
    const { connect, handler } = this.#options
    const rules = request.subresource?.rules
    if (rules?.type !== 'connect' || connect === undefined) throw unknownResource()
    if (!rules.verbs.some((verb) => verb === request.verb)) throw methodNotAllowed()
    // `https:name:port` is how a proxied port is named.
    const name = path.subresource === 'proxy' ? parseProxiedName(request.key.name).name : request.key.name
    const object = handler.find(request.resource, { ...request.key, name })
    await connect(
      {
        method: exchange.request.method ?? 'GET',
        verb: request.verb,
        resource: request.resource,
        key: request.key,
        subresource: path.subresource,
        path: path.rest,
        query: request.query,
        user: request.user,
        object,
        signal: request.signal,
      },
      exchange,
    )
    return exchange.type === 'response' ? exchange.response.statusCode : 101
  }

  async #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    certificate: PeerCertificate | undefined,
  ): Promise<void> {
    const { stopping } = this.#options
    const gone = new AbortController()
    const abort = () => gone.abort(new Error('the connection ended'))
    socket.once('close', abort)
    socket.on('error', abort)
    stopping.addEventListener('abort', abort, { once: true })
    try {
      const asked = await this.#ask(request, certificate)
      const { target } = asked
      if (target.type !== 'resource') throw unknownResource()
      const apiRequest = this.#apiRequest(asked, target.path, Buffer.alloc(0), gone.signal, new Set())
      if (apiRequest === undefined) throw unknownResource()
      await this.#connect(apiRequest, target.path, { type: 'upgrade', request, socket, head })
    } catch (error) {
      if (!socket.destroyed && socket.writable) {
        const answer = this.#answerForError(error, gone.signal)
        const body = String(answer.body)
        socket.end(
          `HTTP/1.1 ${answer.code} Refused\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
        )
      }
    } finally {
      stopping.removeEventListener('abort', abort)
      socket.removeListener('close', abort)
    }
  }

  #answerForError(error: unknown, signal: AbortSignal): Reply {
    const shown = error instanceof StatusError ? error : signal.aborted ? signal.reason : error
    if (shown instanceof StatusError) {
      const answer = reply(shown.code, shown.status)
      return { ...answer, headers: { ...answer.headers, ...shown.headers } }
    }
    // Told once, not with every request.
    const isKnown = error instanceof StorageFull
    if (!signal.aborted && !isKnown)
      this.#options.logger.error('A request failed unexpectedly.', {
        error: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
      })
    const hidden = internalError(messageOf(error))
    return reply(500, hidden.status)
  }
}

const tooManyRequests = () =>
  new StatusError(
    { code: 429, reason: 'TooManyRequests', message: 'Too many requests, please try again later.' },
    { 'retry-after': '1' },
  )

const timedOut = () =>
  new StatusError({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: request did not complete within ${requestDeadline / 1000}s`,
    details: {},
  })

function isLongRunning({ question, target }: Asked): boolean {
  if (target.type !== 'resource') return false
  return question.verb === 'watch' || streams.has(question.subresource)
}

const streams = new Set(['log', 'exec', 'attach', 'portforward', 'proxy'])

const methodsOnCollections = new Set(['GET', 'HEAD', 'POST', 'DELETE'])
const methodsOnObjects = new Set(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])

/** Whether the resource itself can be asked this way; subresources decide for themselves. */
function isKnownMethod({ request: { method = 'GET' } }: Asked, { name, subresource }: ResourcePath): boolean {
  if (subresource !== '') return true
  return (name === '' ? methodsOnCollections : methodsOnObjects).has(method)
}

/** Clients choose the name, so what every object inherits must not count. */
const subresourceOf = (resource: Resource, { subresource }: ResourcePath) =>
  Object.hasOwn(resource.subresources, subresource) ? resource.subresources[subresource] : undefined

/** Whether the path has the parts its resource needs. */
function fits(resource: Resource, path: ResourcePath, verb: string): boolean {
  if (path.rest !== '') {
    const rules = subresourceOf(resource, path)
    if (rules?.type !== 'connect' || rules.takesPath !== true) return false
  }
  if (!resource.namespaced) return path.namespace === '' || path.plural === 'namespaces'
  if (path.namespace !== '') return true
  return path.name === '' && (verb === 'list' || verb === 'watch' || verb === 'deletecollection')
}

function isCustomGroup(registry: ResourceRegistry, group: string): boolean {
  for (const resource of registry.all) if (resource.group === group) return resource.isCustom
  return false
}
