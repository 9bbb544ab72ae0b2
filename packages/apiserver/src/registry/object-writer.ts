import { type Clock, formatTime, type Random } from '@outrigger/foundation'
import { deepEqual, invalid, type KubeObject, sameOwnership } from '@outrigger/kube'
import type { AdmissionChain } from '../admission/admission-chain.ts'
import type { AdmissionAttributes, Operation } from '../admission/plugin.ts'
import { type Entry, type Store, WriteConflict } from '../storage/store.ts'
import { kindSubjectOf, subjectOf } from './api-request.ts'
import { collectionFor, fromStorage, isStorageVersion, show, toStorage } from './conversion.ts'
import { recordOwnership } from './field-ownership.ts'
import {
  dedupOwnerReferences,
  inWireOrder,
  keepSystemMetadata,
  validateMetadata,
  validateMetadataUpdate,
} from './object-metadata.ts'
import type { Strategy, WriteContext } from './resource.ts'
import { alreadyExists, conflict, invalidObject, notFound, StatusError } from './status-error.ts'
import type { Proposal, Writer, WriteTarget, Written } from './write-request.ts'

export interface ObjectWriterOptions {
  readonly store: Store
  readonly admission: AdmissionChain
  readonly clock: Clock
  readonly random: Random
  isEnabled(gate: string): boolean
}

const staleMessage =
  'the object has been modified; please apply your changes to the latest version and try again'
const maxAttempts = 30
const maxGeneratedNames = 8
/** The part of a generated name that is kept of its prefix. */
const longestPrefix = 58

/** Creates and updates objects: admission, rules of the kind, managed fields, storage. */
export class ObjectWriter {
  readonly #options: ObjectWriterOptions

  constructor(options: ObjectWriterOptions) {
    this.#options = options
  }

  /**
   * Stores a new object. `draft` is private, decoded and defaulted.
   *
   * @throws StatusError 409 when it exists, 422 when it is invalid, whatever admission refuses with.
   */
  async create(target: WriteTarget, writer: Writer, draft: KubeObject): Promise<Written> {
    const generates = !draft.metadata.name && Boolean(draft.metadata.generateName)
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#createOnce(target, writer, { object: draft, ownsFieldsBy: 'update' })
      } catch (error) {
        const isTaken = error instanceof StatusError && error.status.reason === 'AlreadyExists'
        if (!generates || !isTaken || attempt === maxGeneratedNames) throw error
        delete (draft.metadata as { name?: string }).name
      }
    }
  }

  async #createOnce(target: WriteTarget, writer: Writer, proposal: Proposal): Promise<Written> {
    const { resource, strategy } = target
    const { now } = writer
    const context = this.contextOf(target, writer)
    let { object } = proposal
    if (object.metadata.resourceVersion)
      throw new StatusError({
        code: 500,
        message: 'resourceVersion should not be set on objects to be created',
      })
    delete object.metadata.resourceVersion
    for (const text of dedupOwnerReferences(object)) writer.warnings.add(text)
    if (proposal.ownsFieldsBy === 'update') recordOwnership({ target, writer, old: undefined, object })
    const attributes = attributesOf(target, writer, 'CREATE', object, undefined)
    if (await this.#options.admission.mutate(attributes, writer.signal)) {
      object = attributes.object as KubeObject
      dedupOwnerReferences(object)
      strategy.applyDefaults(object)
    }
    const { metadata } = object
    delete metadata.deletionTimestamp
    delete metadata.deletionGracePeriodSeconds
    delete metadata.selfLink
    metadata.uid = this.#options.random.uuid()
    metadata.creationTimestamp = formatTime(now)
    if (!metadata.name && metadata.generateName)
      metadata.name = metadata.generateName.slice(0, longestPrefix) + this.#options.random.suffix(5)
    if (strategy.tracksGeneration) metadata.generation = 1
    strategy.prepareForCreate(object, context)
    const errors = [...validateMetadata(resource, object), ...strategy.validateCreate(object, context)]
    if (errors.length > 0) throw invalidObject(kindSubjectOf(resource), metadata.name ?? '', errors)
    for (const text of strategy.warnings(object, undefined)) writer.warnings.add(text)
    const settled = attributesOf(named(target, metadata.name), writer, 'CREATE', object, undefined)
    await this.#options.admission.validate(settled, writer.signal)
    return this.#storeNew(target, writer, object)
  }

  async #storeNew(target: WriteTarget, writer: Writer, object: KubeObject): Promise<Written> {
    const { resource, strategy } = target
    const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
    const collection = collectionFor(resource)
    if (this.#options.store.latest(collection, key) !== undefined)
      throw alreadyExists(subjectOf(resource), key.name)
    if (writer.isDryRun) return written(show(object), true)
    // The store fills the revision in; its place is not the end.
    object.metadata = inWireOrder({ ...object.metadata, resourceVersion: '' })
    const stored = await toStorage(resource, object, writer.signal)
    try {
      const entry = await this.#options.store.write({ collection, key, expected: 0, object: stored })
      strategy.afterWrite?.({ type: 'created', object: entry.object })
      return written(await this.#shown(target, entry, writer), true)
    } catch (error) {
      if (error instanceof WriteConflict) throw alreadyExists(subjectOf(resource), key.name)
      throw error
    }
  }

  /**
   * Changes an object. `propose` gets the current one, frozen, in the version of the resource, and may be
   * called again after a lost race. It gets undefined when there is none; what it proposes then is created
   * (after `mayCreate`), and proposing nothing is a 404.
   *
   * @throws StatusError 404, 409 or 422, whatever admission refuses with.
   */
  async update(
    target: WriteTarget,
    writer: Writer,
    propose: (current: KubeObject | undefined) => Promise<Proposal | undefined> | Proposal | undefined,
    mayCreate?: () => Promise<void>,
  ): Promise<Written> {
    const collection = collectionFor(target.resource)
    for (let attempt = 1; ; attempt++) {
      writer.signal.throwIfAborted()
      const entry = this.#options.store.latest(collection, target.key)
      try {
        if (entry === undefined) return await this.#createByUpdate(target, writer, propose, mayCreate)
        return await this.#updateOnce(target, writer, entry, propose)
      } catch (error) {
        if (!(error instanceof WriteConflict)) throw error
        if (attempt === maxAttempts) throw conflict(subjectOf(target.resource), target.key.name, staleMessage)
      }
    }
  }

  async #createByUpdate(
    target: WriteTarget,
    writer: Writer,
    propose: (current: undefined) => Promise<Proposal | undefined> | Proposal | undefined,
    mayCreate: (() => Promise<void>) | undefined,
  ): Promise<Written> {
    const proposal = await propose(undefined)
    if (proposal === undefined) throw notFound(subjectOf(target.resource), target.key.name)
    await mayCreate?.()
    const { object } = proposal
    const { uid } = object.metadata
    if (uid) {
      throw conflict(
        subjectOf(target.resource),
        target.key.name,
        `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
      )
    }
    delete object.metadata.resourceVersion
    return this.#createOnce(target, writer, proposal)
  }

  async #updateOnce(
    target: WriteTarget,
    writer: Writer,
    entry: Entry,
    propose: (current: KubeObject) => Promise<Proposal | undefined> | Proposal | undefined,
  ): Promise<Written> {
    const { resource, strategy } = target
    const { admission } = this.#options
    const old = isStorageVersion(resource)
      ? entry.object
      : ((await fromStorage(resource, [entry], writer.signal))[0]?.object ?? entry.object)
    const proposal = await propose(old)
    if (proposal === undefined) throw notFound(subjectOf(resource), target.key.name)
    let { object } = proposal
    for (const text of dedupOwnerReferences(object)) writer.warnings.add(text)
    keepSystemMetadata(object, old)
    if (proposal.ownsFieldsBy === 'update') recordOwnership({ target, writer, old, object })
    const attributes = attributesOf(target, writer, 'UPDATE', object, old)
    if (await admission.mutate(attributes, writer.signal)) {
      object = attributes.object as KubeObject
      dedupOwnerReferences(object)
      strategy.applyDefaults(object)
    }
    this.#checkVersion(target, object, old)
    const context = this.contextOf(target, writer)
    strategy.prepareForUpdate(object, old, context)
    settleGeneration(strategy, object, old)
    const ofMetadata = validateMetadataUpdate(object, old)
    // kube-apiserver checks metadata once for all kinds and once more in each, and reports both.
    const errors = [...ofMetadata, ...ofMetadata, ...strategy.validateUpdate(object, old, context)]
    if (errors.length > 0) throw invalidObject(kindSubjectOf(resource), target.key.name, errors)
    for (const text of strategy.warnings(object, old)) writer.warnings.add(text)
    await admission.validate(attributesOf(target, writer, 'UPDATE', object, old), writer.signal)
    return this.#storeChanged(target, writer, entry, { object, old })
  }

  /** Compares what the client knew with what is there. */
  #checkVersion({ resource, strategy, key }: WriteTarget, object: KubeObject, old: KubeObject): void {
    const { metadata } = object
    if (!metadata.resourceVersion) {
      if (!strategy.updatesUnconditionally)
        throw invalidObject(subjectOf(resource), key.name, [
          invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
        ])
    } else if (metadata.resourceVersion !== old.metadata.resourceVersion) {
      throw conflict(subjectOf(resource), key.name, staleMessage)
    }
    if (metadata.uid !== old.metadata.uid) {
      throw conflict(
        subjectOf(resource),
        key.name,
        `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`,
      )
    }
    metadata.resourceVersion = old.metadata.resourceVersion
  }

  async #storeChanged(
    target: WriteTarget,
    writer: Writer,
    entry: Entry,
    { object, old }: { readonly object: KubeObject; readonly old: KubeObject },
  ): Promise<Written> {
    const { resource, strategy } = target
    const { store } = this.#options
    const isGone = isDeletedByUpdate(strategy, object)
    if (!isGone && isUnchanged(object, old)) return written(await this.#shown(target, entry, writer), false)
    if (writer.isDryRun) return written(show(object), false)
    const collection = collectionFor(resource)
    if (isGone) {
      // The last change is never stored: it goes with the object.
      const last = await store.write({
        collection,
        key: target.key,
        expected: entry.revision,
        object: undefined,
      })
      strategy.afterWrite?.({ type: 'deleted', object: last.object })
      return written(show(object), false)
    }
    const stored = await toStorage(resource, object, writer.signal)
    const changed = await store.write({
      collection,
      key: target.key,
      expected: entry.revision,
      object: stored,
    })
    strategy.afterWrite?.({ type: 'updated', object: changed.object })
    return written(await this.#shown(target, changed, writer), false)
  }

  async #shown(target: WriteTarget, entry: Entry, writer: Writer) {
    if (isStorageVersion(target.resource)) return entry
    return (await fromStorage(target.resource, [entry], writer.signal))[0] ?? entry
  }

  /** What the functions of a strategy are told. */
  contextOf(target: WriteTarget, writer: Pick<Writer, 'user' | 'now'>): WriteContext {
    return {
      user: writer.user,
      now: writer.now,
      namespace: target.key.namespace,
      isEnabled: this.#options.isEnabled,
    }
  }
}

const written = (
  shown: { readonly object: KubeObject; encoded(): Buffer },
  wasCreated: boolean,
): Written => ({
  object: shown.object,
  wasCreated,
  encoded: () => shown.encoded(),
})

const named = (target: WriteTarget, name: string): WriteTarget => ({
  ...target,
  key: { namespace: target.key.namespace, name },
})

/** One request as admission sees it. */
export function attributesOf(
  target: WriteTarget,
  writer: Writer,
  operation: Operation,
  object: KubeObject | undefined,
  oldObject: KubeObject | undefined,
): AdmissionAttributes {
  return {
    operation,
    resource: target.resource,
    subresource: target.subresource,
    namespace: target.key.namespace,
    name: target.key.name || (object?.metadata.name ?? ''),
    object,
    oldObject,
    options: writer.options,
    isDryRun: writer.isDryRun,
    user: writer.user,
    warn: (text) => void writer.warnings.add(text),
  }
}

/**
 * Whether a write leaves an object as it was. That a manager wrote at another time is no change: a field that
 * a client leaves to its default differs from what is stored until it is defaulted, and whoever applies the
 * same manifest again and again must not wake every watcher each time.
 */
function isUnchanged(object: KubeObject, old: KubeObject): boolean {
  const { managedFields, ...metadata } = object.metadata
  const { managedFields: oldManagers, ...oldMetadata } = old.metadata
  return (
    sameOwnership(managedFields, oldManagers) &&
    deepEqual({ ...object, metadata }, { ...old, metadata: oldMetadata })
  )
}

/** One more than before when something that counts changed; never what the client says. */
function settleGeneration(strategy: Strategy, object: KubeObject, old: KubeObject): void {
  const before = old.metadata.generation
  if (!strategy.tracksGeneration) {
    if (before !== undefined) object.metadata.generation = before
    return
  }
  const one = object as unknown as Record<string, unknown>
  const other = old as unknown as Record<string, unknown>
  const fields =
    strategy.generationFields.length > 0
      ? strategy.generationFields
      : [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((field) => !isBookkeeping(field))
  const isChanged = fields.some((field) => !deepEqual(one[field], other[field]))
  object.metadata.generation = isChanged ? (before ?? 0) + 1 : (before ?? 1)
}

const isBookkeeping = (field: string) =>
  field === 'metadata' || field === 'status' || field === 'apiVersion' || field === 'kind'

/** An object that waits for nothing any more goes with the update that took the last obstacle away. */
function isDeletedByUpdate(strategy: Strategy, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata
  if (deletionTimestamp === undefined) return false
  if ((finalizers?.length ?? 0) > 0 || (deletionGracePeriodSeconds ?? 0) !== 0) return false
  return strategy.holdsDeletion?.(object) !== true
}
