import type { Clock, Random } from '@outrigger/foundation'
import type { KubeObject, ObjectKey } from '@outrigger/kube'
import type { AdmissionChain } from '../admission/admission-chain.ts'
import type { Store } from '../storage/store.ts'
import { type ApiRequest, type Reply, subjectOf } from './api-request.ts'
import type { ConnectRequest } from './connect.ts'
import { collectionFor, fromStorage, show } from './conversion.ts'
import { checkNameInBody, decodeBody, decodeDeleteOptions } from './decode-body.ts'
import { listObjects } from './list-objects.ts'
import { negotiate } from './media-types.ts'
import { ObjectDeleter } from './object-deleter.ts'
import { createPatch } from './object-patch.ts'
import { attributesOf, ObjectWriter } from './object-writer.ts'
import { projectionResource, proposeProjected } from './projection.ts'
import { parseIncludedObject, reply, replyWithList, replyWithObject } from './rendering.ts'
import {
  type DeleteOptions,
  parseDeleteOptions,
  parseListOptions,
  parseWriteOptions,
} from './request-options.ts'
import { decodeAgain, deleterOf, targetOf, viewOf, writerOf } from './request-parts.ts'
import type { Resource, Subresource } from './resource.ts'
import { createSelection } from './selection.ts'
import { badRequest, methodNotAllowed, notFound } from './status-error.ts'
import { type EventSink, watchObjects } from './watch-objects.ts'
import type { Writer, WriteTarget, Written } from './write-request.ts'

export interface ResourceHandlerOptions {
  readonly store: Store
  readonly admission: AdmissionChain
  readonly clock: Clock
  readonly random: Random
  isEnabled(gate: string): boolean
}

/** A watch that was accepted: `run` writes its events. */
export interface WatchReply {
  readonly contentType: string
  run(sink: EventSink, signal: AbortSignal): Promise<void>
}

/** The one handler behind all resources. */
export class ResourceHandler {
  readonly #options: ResourceHandlerOptions
  readonly #writer: ObjectWriter
  readonly #deleter: ObjectDeleter

  constructor(options: ResourceHandlerOptions) {
    this.#options = options
    this.#writer = new ObjectWriter(options)
    this.#deleter = new ObjectDeleter(options)
  }

  /**
   * Answers everything but watches and connected streams. `mayCreate` is asked when an update or apply is
   * about to create the object; it throws when the user may not.
   *
   * @throws StatusError
   */
  async handle(request: ApiRequest, mayCreate: () => Promise<void> | void): Promise<Reply> {
    const { resource, subresource } = request
    if (resource.deprecationWarning !== undefined) request.warnings.add(resource.deprecationWarning)
    if (resource.virtual !== undefined) return this.#handleVirtual(request)
    if (subresource !== undefined)
      return this.#handleSubresource(request, subresource.name, subresource.rules)
    if (!resource.verbs.includes(request.verb)) throw methodNotAllowed()
    switch (request.verb) {
      case 'get':
        return this.#get(request)
      case 'list':
        return this.#list(request)
      case 'create':
        return this.#create(request)
      case 'update':
        return this.#update(request, targetOf(request, resource.strategy), mayCreate)
      case 'patch':
        return this.#patch(request, targetOf(request, resource.strategy), mayCreate)
      case 'delete':
        return this.#delete(request)
      case 'deletecollection':
        return this.#deleteCollection(request)
      default:
        throw methodNotAllowed()
    }
  }

  /** Accepts a watch. @throws StatusError */
  watch(request: ApiRequest): WatchReply {
    const { resource, query } = request
    if (!resource.verbs.includes('watch')) throw methodNotAllowed()
    if (resource.deprecationWarning !== undefined) request.warnings.add(resource.deprecationWarning)
    const options = parseListOptions(request)
    const representation = { ...negotiate(request.accept), format: 'json' as const }
    const watch = {
      resource,
      selection: createSelection(resource, request.key, options),
      options,
      representation,
      included: parseIncludedObject(query),
    }
    return {
      contentType: 'application/json',
      run: (sink, signal) => watchObjects(this.#options, watch, sink, signal),
    }
  }

  async #get(request: ApiRequest): Promise<Reply> {
    const { resource, signal } = request
    const view = viewOf(request)
    const entry = this.#find(resource, request.key)
    const [shown = entry] = await fromStorage(resource, [entry], signal)
    return replyWithObject(200, resource, shown, view)
  }

  #find(resource: Resource, key: ObjectKey) {
    const entry = this.#options.store.get(collectionFor(resource), key)
    if (entry === undefined) throw notFound(subjectOf(resource), key.name)
    return entry
  }

  /** CONNECT admission. @throws StatusError */
  async admitConnect(request: ConnectRequest): Promise<void> {
    const { resource, key, subresource, user, signal, object } = request
    const target = { resource, key, subresource, strategy: resource.strategy }
    const writer: Writer = {
      user,
      manager: '',
      now: this.#options.clock.now(),
      isDryRun: false,
      options: {},
      warnings: new Set(),
      signal,
    }
    const attributes = attributesOf(target, writer, 'CONNECT', undefined, object)
    await this.#options.admission.mutate(attributes, signal)
    await this.#options.admission.validate(attributes, signal)
  }

  /** What a stream is about, frozen. @throws StatusError 404 */
  find(resource: Resource, key: ObjectKey): KubeObject {
    return this.#find(resource, key).object
  }

  async #list(request: ApiRequest): Promise<Reply> {
    const { resource, signal } = request
    const options = parseListOptions(request)
    const view = viewOf(request)
    const selection = createSelection(resource, request.key, options)
    const { items, metadata } = await listObjects(
      this.#options.store,
      { resource, selection, options },
      signal,
    )
    return replyWithList(resource, items, metadata, view)
  }

  async #create(request: ApiRequest): Promise<Reply> {
    const { resource } = request
    const view = viewOf(request)
    const options = parseWriteOptions('CreateOptions', request.query)
    const object = decodeBody(request, resource, options)
    resource.strategy.applyDefaults(object)
    const target = targetOf(request, resource.strategy)
    const written = await this.#writer.create(target, writerOf(request, options), object)
    return replyWithObject(201, resource, written, view)
  }

  async #update(
    request: ApiRequest,
    target: WriteTarget,
    mayCreate: () => Promise<void> | void,
  ): Promise<Reply> {
    const { resource, key } = request
    const view = viewOf(request)
    const options = parseWriteOptions('UpdateOptions', request.query)
    let body: KubeObject | undefined = decodeBody(request, resource, options)
    const creates = target.strategy.createsOnUpdate && target.subresource === ''
    checkNameInBody(body, key)
    target.strategy.applyDefaults(body)
    const written = await this.#writer.update(
      target,
      writerOf(request, options),
      (current) => {
        if (current === undefined && !creates) return undefined
        const object = body ?? decodeAgain(request, resource, options, target.strategy)
        body = undefined
        return { object, ownsFieldsBy: 'update' }
      },
      async () => mayCreate(),
    )
    return replyWithObject(written.wasCreated ? 201 : 200, resource, written, view)
  }

  async #patch(
    request: ApiRequest,
    target: WriteTarget,
    mayCreate: () => Promise<void> | void,
  ): Promise<Reply> {
    const { resource } = request
    const view = viewOf(request)
    const written = await this.#applyPatch(request, target, mayCreate)
    return replyWithObject(written.wasCreated ? 201 : 200, resource, written, view)
  }

  async #applyPatch(
    request: ApiRequest,
    target: WriteTarget,
    mayCreate: () => Promise<void> | void,
  ): Promise<Written> {
    const options = parseWriteOptions('PatchOptions', request.query)
    const patch = createPatch(request, target, options)
    return this.#writer.update(
      target,
      writerOf(request, options),
      (current) => patch.apply(current),
      async () => mayCreate(),
    )
  }

  async #delete(request: ApiRequest): Promise<Reply> {
    const { resource, key } = request
    const view = viewOf(request)
    const options = parseDeleteOptions(request.query, decodeDeleteOptions(request))
    const target = targetOf(request, resource.strategy)
    const { shown, isGone } = await this.#deleter.delete(target, deleterOf(request, options), options)
    if (!isGone || resource.strategy.returnsDeleted === true)
      return replyWithObject(200, resource, shown, view)
    const { uid } = shown.object.metadata
    return reply(
      200,
      {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: {
          name: key.name,
          ...(resource.group === '' ? {} : { group: resource.group }),
          kind: resource.plural,
          uid,
        },
      },
      view.representation,
    )
  }

  async #deleteCollection(request: ApiRequest): Promise<Reply> {
    const { resource, signal } = request
    const view = viewOf(request)
    const listOptions = parseListOptions(request)
    const options = parseDeleteOptions(request.query, decodeDeleteOptions(request))
    const selection = createSelection(resource, request.key, listOptions)
    const { items, metadata } = await listObjects(
      this.#options.store,
      { resource, selection, options: listOptions },
      signal,
    )
    const writer = deleterOf(request, options)
    const work = items.map((item) => item.object.metadata)
    const workers = Array.from({ length: Math.min(8, work.length) }, async () => {
      for (let next = work.shift(); next !== undefined; next = work.shift()) {
        const key = { namespace: next.namespace ?? '', name: next.name }
        await this.#deleteIfThere({ ...targetOf(request, resource.strategy), key }, writer, options)
      }
    })
    await Promise.all(workers)
    return replyWithList(resource, items, metadata, view)
  }

  async #deleteIfThere(target: WriteTarget, writer: Writer, options: DeleteOptions): Promise<void> {
    try {
      await this.#deleter.delete(target, writer, options)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 404) throw error
    }
  }

  /** Deletes as DELETE would, for evictions and the like. @throws StatusError */
  async deleteObject(
    resource: Resource,
    key: ObjectKey,
    writer: Omit<Writer, 'options' | 'isDryRun' | 'manager' | 'warnings'>,
    body: Readonly<Record<string, unknown>>,
    isDryRun: boolean,
  ): Promise<void> {
    const options = parseDeleteOptions(new URLSearchParams(), body)
    const target = { resource, key, subresource: '', strategy: resource.strategy }
    const whole: Writer = {
      ...writer,
      manager: '',
      warnings: new Set(),
      options: options.asObject,
      isDryRun: isDryRun || options.isDryRun,
    }
    await this.#deleter.delete(target, whole, options)
  }

  async #handleVirtual(request: ApiRequest): Promise<Reply> {
    const { resource, verb, key, user, signal } = request
    const view = viewOf(request)
    const { virtual } = resource
    const context = { user, now: request.now, namespace: key.namespace, isEnabled: this.#options.isEnabled }
    if (verb === 'get' && virtual?.get !== undefined) {
      const object = await virtual.get({ key, user, isDryRun: false, context, signal })
      return replyWithObject(200, resource, show(object), view)
    }
    if (verb === 'list' && virtual?.list !== undefined) {
      const objects = await virtual.list({ key, user, isDryRun: false, context, signal })
      const metadata = { resourceVersion: String(this.#options.store.revision) }
      return replyWithList(resource, objects.map(show), metadata, view)
    }
    if (verb !== 'create' || virtual?.create === undefined) throw methodNotAllowed()
    const options = parseWriteOptions('CreateOptions', request.query)
    const body = decodeBody(request, resource, options)
    resource.strategy.applyDefaults(body)
    const writer = writerOf(request, options)
    const attributes = attributesOf(targetOf(request, resource.strategy), writer, 'CREATE', body, undefined)
    await this.#options.admission.mutate(attributes, signal)
    await this.#options.admission.validate(attributes, signal)
    const answer = await virtual.create({
      key,
      body: attributes.object ?? body,
      user,
      isDryRun: options.isDryRun,
      context,
      signal,
    })
    return reply(answer.code, answer.object, view.representation)
  }

  async #handleSubresource(request: ApiRequest, name: string, rules: Subresource): Promise<Reply> {
    const { resource } = request
    switch (rules.type) {
      case 'view':
        return this.#handleView(request, name, rules)
      case 'projection':
        return this.#handleProjection(request, name, rules)
      case 'action':
        if (request.verb !== 'create') throw methodNotAllowed()
        return this.#handleAction(request, name, rules)
      case 'connect':
        throw badRequest(`${resource.plural}/${name} is a stream`)
    }
  }

  #handleView(
    request: ApiRequest,
    name: string,
    rules: Extract<Subresource, { type: 'view' }>,
  ): Promise<Reply> {
    const { verb } = request
    const target = { ...targetOf(request, rules.strategy), subresource: name }
    if (!rules.verbs.some((known) => known === verb)) throw methodNotAllowed()
    if (verb === 'get') return this.#get(request)
    const refuse = () => {}
    return verb === 'update' ? this.#update(request, target, refuse) : this.#patch(request, target, refuse)
  }

  async #handleProjection(
    request: ApiRequest,
    name: string,
    rules: Extract<Subresource, { type: 'projection' }>,
  ): Promise<Reply> {
    const { resource, key, verb, signal } = request
    if (!rules.verbs.some((known) => known === verb)) throw methodNotAllowed()
    const view = viewOf(request)
    const projected = projectionResource(resource, rules)
    if (verb === 'get') {
      const entry = this.#find(resource, key)
      const [shown = entry] = await fromStorage(resource, [entry], signal)
      return replyWithObject(200, projected, show(rules.read(shown.object)), view)
    }
    const options = parseWriteOptions(verb === 'update' ? 'UpdateOptions' : 'PatchOptions', request.query)
    const propose = proposeProjected({ ...request, resource: projected }, rules, name, options)
    const target = { ...targetOf(request, resource.strategy), subresource: name }
    const written = await this.#writer.update(target, writerOf(request, options), propose)
    return replyWithObject(200, projected, show(rules.read(written.object)), view)
  }

  async #handleAction(
    request: ApiRequest,
    name: string,
    rules: Extract<Subresource, { type: 'action' }>,
  ): Promise<Reply> {
    const { resource, key, user, signal } = request
    const view = viewOf(request)
    const options = parseWriteOptions('CreateOptions', request.query)
    const body = decodeBody(request, projectionResource(resource, rules), options, {
      acceptsOtherVersions: true,
    })
    body.metadata.name ||= key.name
    if (resource.namespaced) body.metadata.namespace ||= key.namespace
    checkNameInBody(body, key)
    const target = { ...targetOf(request, resource.strategy), subresource: name }
    const writer = writerOf(request, options)
    const attributes = attributesOf(target, writer, 'CREATE', body, undefined)
    await this.#options.admission.mutate(attributes, signal)
    await this.#options.admission.validate(attributes, signal)
    const context = this.#writer.contextOf(target, writer)
    const answer = await rules.perform({
      key,
      body: attributes.object ?? body,
      user,
      isDryRun: options.isDryRun,
      context,
      signal,
    })
    return reply(answer.code, answer.object, view.representation)
  }
}
