import { formatTime, parseTime } from '@outrigger/foundation'
import { deepCopy, type KubeObject, type ObjectKey } from '@outrigger/kube'
import type { AdmissionChain } from '../admission/admission-chain.ts'
import { type Entry, type Store, WriteConflict } from '../storage/store.ts'
import { subjectOf } from './api-request.ts'
import { collectionFor, fromStorage, type Shown, show } from './conversion.ts'
import { attributesOf } from './object-writer.ts'
import type { DeleteOptions } from './request-options.ts'
import type { Strategy, WriteContext } from './resource.ts'
import { conflict, notFound } from './status-error.ts'
import type { Writer, WriteTarget } from './write-request.ts'

export interface ObjectDeleterOptions {
  readonly store: Store
  readonly admission: AdmissionChain
  isEnabled(gate: string): boolean
}

/** What came of a deletion. */
export interface Deletion {
  /** The last state: of the object that is gone, or of the one that is only marked. */
  readonly shown: Shown
  readonly isGone: boolean
}

const maxAttempts = 30
const orphanFinalizer = 'orphan'
const foregroundFinalizer = 'foregroundDeletion'

/** Deletes objects, or marks them where a grace period or finalizers stand in the way. */
export class ObjectDeleter {
  readonly #options: ObjectDeleterOptions

  constructor(options: ObjectDeleterOptions) {
    this.#options = options
  }

  /** @throws StatusError 404, 409 for a failed precondition, whatever admission refuses with. */
  async delete(target: WriteTarget, writer: Writer, options: DeleteOptions): Promise<Deletion> {
    const collection = collectionFor(target.resource)
    for (let attempt = 1; ; attempt++) {
      writer.signal.throwIfAborted()
      const entry = this.#options.store.latest(collection, target.key)
      if (entry === undefined) throw notFound(subjectOf(target.resource), target.key.name)
      checkPreconditions(target, entry, options)
      const [old = entry] = await fromStorage(target.resource, [entry], writer.signal)
      const attributes = attributesOf(target, writer, 'DELETE', undefined, old.object)
      await this.#options.admission.mutate(attributes, writer.signal)
      await this.#options.admission.validate(attributes, writer.signal)
      try {
        const deletion = await this.#deleteOnce(target, writer, entry, options)
        const [shown = deletion.shown] = await fromStorage(target.resource, [deletion.shown], writer.signal)
        return { shown, isGone: deletion.isGone }
      } catch (error) {
        if (!(error instanceof WriteConflict)) throw error
        if (attempt === maxAttempts)
          throw conflict(subjectOf(target.resource), target.key.name, 'the object has been modified')
      }
    }
  }

  async #deleteOnce(
    target: WriteTarget,
    writer: Writer,
    entry: Entry,
    options: DeleteOptions,
  ): Promise<Deletion> {
    const { strategy, resource, key } = target
    const { store } = this.#options
    const context: WriteContext = {
      user: writer.user,
      now: writer.now,
      namespace: key.namespace,
      isEnabled: this.#options.isEnabled,
    }
    const marked = markDeleted(strategy, entry.object, options, context)
    const next = marked ?? entry.object
    const goesNow = isFree(strategy, next)
    const isGraceful = strategy.gracePeriod !== undefined
    if (writer.isDryRun) return { shown: show(next), isGone: goesNow }
    const collection = collectionFor(resource)
    let current = entry
    // An ordinary object that waits for nothing goes without a trace of having been marked.
    if (marked !== undefined && (isGraceful || !goesNow))
      current = await store.write({ collection, key, expected: entry.revision, object: marked })
    if (!goesNow) {
      if (current !== entry) strategy.afterWrite?.({ type: 'updated', object: current.object })
      return { shown: current, isGone: false }
    }
    const last = await store.write({ collection, key, expected: current.revision, object: undefined })
    strategy.afterWrite?.({ type: 'deleted', object: last.object })
    return { shown: last, isGone: true }
  }
}

function checkPreconditions(
  { resource, key }: { readonly resource: WriteTarget['resource']; readonly key: ObjectKey },
  entry: Entry,
  options: DeleteOptions,
): void {
  const { uid, resourceVersion } = entry.object.metadata
  const fail = (field: string, wanted: string, found: string | undefined) =>
    conflict(
      subjectOf(resource),
      key.name,
      `the ${field} in the precondition (${wanted}) does not match the ${field} in record (${found ?? ''}). The object might have been deleted and then recreated`,
    )
  if (options.uid !== undefined && options.uid !== uid) throw fail('UID', options.uid, uid)
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion)
    throw fail('ResourceVersion', options.resourceVersion, resourceVersion)
}

/** The object with what the deletion changes, or undefined when it changes nothing. */
function markDeleted(
  strategy: Strategy,
  object: KubeObject,
  options: DeleteOptions,
  context: WriteContext,
): KubeObject | undefined {
  const next = deepCopy(object)
  const { metadata } = next
  const finalizers = finalizersFor(strategy, object, options)
  let isChanged = finalizers !== undefined
  if (finalizers !== undefined) metadata.finalizers = finalizers
  if (metadata.finalizers?.length === 0) delete metadata.finalizers
  const requested =
    options.gracePeriodSeconds === undefined
      ? undefined
      : options.gracePeriodSeconds < 0
        ? 1
        : options.gracePeriodSeconds
  const grace = strategy.gracePeriod?.(object, requested) ?? 0
  if (metadata.deletionTimestamp === undefined) {
    metadata.deletionTimestamp = formatTime(context.now + grace * 1000)
    metadata.deletionGracePeriodSeconds = grace
    if ((metadata.generation ?? 0) > 0) metadata.generation = (metadata.generation ?? 0) + 1
    strategy.prepareForDelete?.(next, context)
    isChanged = true
  } else if (shortens(strategy, metadata.deletionGracePeriodSeconds, requested, grace)) {
    // Counted from when the deletion was asked for first.
    const askedAt = parseTime(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1000
    metadata.deletionTimestamp = formatTime(Math.max(context.now, askedAt + grace * 1000))
    metadata.deletionGracePeriodSeconds = grace
    isChanged = true
  }
  return isChanged ? next : undefined
}

/** A second deletion can only make the wait shorter, and only when it says so. */
function shortens(
  strategy: Strategy,
  current: number | undefined,
  requested: number | undefined,
  grace: number,
): boolean {
  return strategy.gracePeriod !== undefined && requested !== undefined && grace < (current ?? 0)
}

/** The finalizers that express what is to happen to dependents, or undefined when they stay as they are. */
function finalizersFor(strategy: Strategy, object: KubeObject, options: DeleteOptions): string[] | undefined {
  const before = object.metadata.finalizers ?? []
  const has = (finalizer: string) => before.includes(finalizer)
  const wanted =
    options.propagation ??
    (has(orphanFinalizer)
      ? 'Orphan'
      : has(foregroundFinalizer)
        ? 'Foreground'
        : strategy.defaultPropagation === 'orphan'
          ? 'Orphan'
          : 'Background')
  const kept = before.filter(
    (finalizer) => finalizer !== orphanFinalizer && finalizer !== foregroundFinalizer,
  )
  if (wanted === 'Orphan') kept.push(orphanFinalizer)
  if (wanted === 'Foreground') kept.push(foregroundFinalizer)
  const isSame = kept.length === before.length && kept.every((finalizer) => has(finalizer))
  return isSame ? undefined : kept
}

function isFree(strategy: Strategy, object: KubeObject): boolean {
  const { finalizers, deletionGracePeriodSeconds } = object.metadata
  if ((finalizers?.length ?? 0) > 0 || (deletionGracePeriodSeconds ?? 0) !== 0) return false
  return strategy.holdsDeletion?.(object) !== true
}
