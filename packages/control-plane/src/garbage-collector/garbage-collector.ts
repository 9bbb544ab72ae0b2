import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  createInformer,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  type Clock,
  deferred,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import type { KubeObject, OwnerReference, ResourceRef } from '@outrigger/kube'
import type { Discovery } from '../discovery.ts'
import { type GraphNode, graphNode, OwnerGraph } from './owner-graph.ts'

export interface GarbageCollectorOptions {
  readonly client: Client
  readonly discovery: Discovery
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Informers that run anyway and serve the collector too, by `resource.group`. */
  readonly shared: ReadonlyMap<string, Informer<KubeObject>>
  /** Milliseconds between looks at which resources there are. Defaults to 5,000. */
  readonly discoverEvery?: number
  /** Milliseconds before the first look, so that its many watches do not compete with what starts. Defaults to 1,000. */
  readonly startAfter?: number
}

/** The watch of one resource. */
interface Watch {
  readonly synced: Promise<void>
  readonly stop: () => void
  readonly ended: Promise<void>
}

const foreground = 'foregroundDeletion'
const orphan = 'orphan'

/** Written often, owning and owned by nothing worth collecting. */
const ignored = new Set(['events.', 'events.events.k8s.io'])

/** A resource that cannot be listed must not keep all others from being collected. */
const longestSync = 30_000
const rememberedAbsentees = 1_000

/**
 * Deletes objects whose owners are gone and carries out foreground and orphan deletion.
 * Source: kubernetes/pkg/controller/garbagecollector.
 *
 * Guarantees: an object is deleted only after the API itself said that none of its owners exists with
 * the uid its reference names; the local graph alone can only spare an object, never condemn it. Nothing
 * is collected before every resource has been listed once.
 */
export function createGarbageCollector(options: GarbageCollectorOptions): Runnable {
  return new GarbageCollector(options)
}

class GarbageCollector implements Runnable {
  readonly name = 'garbage-collector'
  readonly #options: GarbageCollectorOptions
  readonly #graph = new OwnerGraph()
  readonly #kinds = new Map<string, ResourceRef>()
  /** Owners the API said do not exist. A uid never comes back, so a thousand dependents ask once. */
  readonly #absent = new Set<string>()
  readonly #watching = deferred()
  #isWatching = false
  #enqueue: (uid: string, after?: number) => void = () => {}

  constructor(options: GarbageCollectorOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options
    const collector = this
    const controller = createController({
      name: this.name,
      clock,
      random,
      logger,
      concurrency: 8,
      informers: [
        {
          get hasSynced() {
            return collector.#isWatching
          },
          synced: this.#watching.promise,
        },
      ],
      sources: [
        (enqueue) => {
          this.#enqueue = enqueue
        },
      ],
      reconcile: (uid, stop) => this.#collect(uid, stop),
    })
    await Promise.all([controller.run(signal), this.#watchEverything(signal)])
  }

  /** Keeps one metadata watch per deletable resource, following what the server serves. */
  async #watchEverything(signal: AbortSignal): Promise<void> {
    const { clock, discovery, logger } = this.#options
    const watches = new Map<string, Watch>()
    const ending = new Set<Promise<void>>()
    await clock.sleep(this.#options.startAfter ?? 1_000, signal).catch(() => {})
    while (!signal.aborted) {
      try {
        const served = await this.#collectable(discovery, signal)
        for (const [id, watch] of watches) {
          if (served.has(id)) continue
          watches.delete(id)
          watch.stop()
          const ended = watch.ended.finally(() => ending.delete(ended))
          ending.add(ended)
        }
        for (const [id, ref] of served) if (!watches.has(id)) watches.set(id, this.#watch(id, ref))
        if (!this.#isWatching) await this.#firstSync(watches, signal)
      } catch (error) {
        if (!signal.aborted)
          logger.warn('garbage collector could not learn what the server serves', { error: messageOf(error) })
      }
      await clock.sleep(this.#options.discoverEvery ?? 5_000, signal).catch(() => {})
    }
    for (const watch of watches.values()) watch.stop()
    await Promise.all([...[...watches.values()].map((watch) => watch.ended), ...ending])
  }

  /** Lets collecting begin when everything has been listed once: before, every owner looks absent. */
  async #firstSync(watches: ReadonlyMap<string, Watch>, signal: AbortSignal): Promise<void> {
    const timeout = new AbortController()
    const onAbort = () => timeout.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    await Promise.race([
      Promise.all([...watches.values()].map((watch) => watch.synced)),
      this.#options.clock.sleep(longestSync, timeout.signal).catch(() => {}),
    ])
    timeout.abort()
    signal.removeEventListener('abort', onAbort)
    if (signal.aborted) return
    this.#isWatching = true
    this.#watching.resolve()
  }

  async #collectable(discovery: Discovery, signal: AbortSignal): Promise<Map<string, ResourceRef>> {
    const served = new Map<string, ResourceRef>()
    for (const { ref, verbs } of await discovery.resources(signal)) {
      const id = `${ref.resource}.${ref.group}`
      if (!ignored.has(id) && ['delete', 'list', 'watch'].every((verb) => verbs.has(verb)))
        served.set(id, ref)
      this.#kinds.set(`${ref.group}/${ref.kind}`, ref)
    }
    return served
  }

  #watch(id: string, ref: ResourceRef): Watch {
    const { client, clock, random, logger } = this.#options
    const shared = this.#options.shared.get(id)
    if (shared !== undefined) {
      const stop = this.#follow(ref, shared)
      return { synced: shared.synced, stop, ended: Promise.resolve() }
    }
    const stopping = new AbortController()
    const informer = createInformer<KubeObject>({
      client,
      resource: ref,
      clock,
      random,
      logger,
      trim: metadataOnly,
    })
    this.#follow(ref, informer)
    const ended = informer.run(stopping.signal)
    const stop = () => {
      stopping.abort()
      // A resource that is no longer served has no objects any more.
      for (const object of informer.store.list()) this.#lost(object)
    }
    return { synced: informer.synced, stop, ended }
  }

  #follow(ref: ResourceRef, informer: Informer<KubeObject>): () => void {
    return informer.onChange({
      onAdd: (object) => this.#saw(ref, object),
      onUpdate: (object) => this.#saw(ref, object),
      onDelete: (object) => this.#lost(object),
    })
  }

  #saw(ref: ResourceRef, object: KubeObject): void {
    const node = graphNode(ref, object)
    this.#graph.set(node)
    if (node.isDeleting && (node.finalizers.includes(foreground) || node.finalizers.includes(orphan)))
      this.#enqueue(node.uid)
    else if (node.owners.some((owner) => this.#isSuspect(owner))) this.#enqueue(node.uid)
    if (node.isDeleting)
      for (const dependent of this.#graph.dependentsOf(node.uid)) this.#enqueue(dependent.uid)
  }

  #lost(object: KubeObject): void {
    const uid = object.metadata.uid ?? ''
    const node = this.#graph.get(uid)
    this.#graph.delete(uid)
    for (const dependent of this.#graph.dependentsOf(uid)) this.#enqueue(dependent.uid)
    for (const owner of node?.owners ?? []) {
      const parent = this.#graph.get(owner.uid)
      if (parent?.isDeleting && parent.finalizers.includes(foreground)) this.#enqueue(parent.uid)
    }
  }

  /** An owner we have not seen may merely not have been listed yet; the check asks the API. */
  #isSuspect(owner: OwnerReference): boolean {
    const node = this.#graph.get(owner.uid)
    return node === undefined || (node.isDeleting && node.finalizers.includes(foreground))
  }

  async #collect(uid: string, signal: AbortSignal): Promise<Outcome> {
    const node = this.#graph.get(uid)
    if (node === undefined) return waitForChange
    if (node.isDeleting && node.finalizers.includes(orphan)) return this.#orphanDependents(node, signal)
    if (node.isDeleting && node.finalizers.includes(foreground)) return this.#deleteDependents(node, signal)
    if (node.isDeleting || node.owners.length === 0) return waitForChange
    return this.#judge(node, signal)
  }

  /** Deletes the object if no owner of it exists; drops references to missing owners if another does. */
  async #judge(node: GraphNode, signal: AbortSignal): Promise<Outcome> {
    const verdicts = await Promise.all(
      node.owners.map(async (owner) => ({ owner, verdict: await this.#ownerState(node, owner, signal) })),
    )
    if (verdicts.some(({ verdict }) => verdict === 'unknown')) return lookAgain(30_000)
    const solid = verdicts.filter(({ verdict }) => verdict === 'solid')
    const gone = verdicts.filter(({ verdict }) => verdict !== 'solid')
    if (gone.length === 0) return waitForChange
    if (solid.length > 0) {
      await this.#dropOwners(
        node,
        gone.map(({ owner }) => owner.uid),
        signal,
      )
      return waitForChange
    }
    const isWaitedFor = verdicts.some(({ verdict }) => verdict === 'waiting')
    const propagationPolicy =
      isWaitedFor && this.#graph.dependentsOf(node.uid).length > 0 ? 'Foreground' : policyOf(node)
    await this.#options.client
      .delete(
        node.ref,
        { namespace: node.namespace, name: node.name },
        { propagationPolicy, preconditions: { uid: node.uid }, signal },
      )
      .catch(ignoreRace)
    return waitForChange
  }

  async #ownerState(
    node: GraphNode,
    owner: OwnerReference,
    signal: AbortSignal,
  ): Promise<'solid' | 'waiting' | 'absent' | 'unknown'> {
    const known = this.#graph.get(owner.uid)
    if (known !== undefined && !known.isDeleting) return 'solid'
    if (this.#absent.has(owner.uid)) return 'absent'
    const slash = owner.apiVersion.indexOf('/')
    const group = slash < 0 ? '' : owner.apiVersion.slice(0, slash)
    const ref = this.#kinds.get(`${group}/${owner.kind}`)
    if (ref === undefined) return 'unknown'
    const key = { namespace: ref.namespaced ? node.namespace : '', name: owner.name }
    if (ref.namespaced && node.namespace === '') return 'unknown'
    try {
      const found = await this.#options.client.get<KubeObject>(ref, key, { signal })
      if (found.metadata.uid !== owner.uid) return this.#rememberAbsent(owner.uid)
      const isWaiting =
        found.metadata.deletionTimestamp !== undefined &&
        found.metadata.finalizers?.includes(foreground) === true
      return isWaiting ? 'waiting' : 'solid'
    } catch (error) {
      if (isNotFound(error)) return this.#rememberAbsent(owner.uid)
      throw error
    }
  }

  #rememberAbsent(uid: string): 'absent' {
    const [oldest] = this.#absent
    if (this.#absent.size >= rememberedAbsentees && oldest !== undefined) this.#absent.delete(oldest)
    this.#absent.add(uid)
    return 'absent'
  }

  async #dropOwners(node: GraphNode, uids: readonly string[], signal: AbortSignal): Promise<void> {
    const ownerReferences = node.owners.filter((owner) => !uids.includes(owner.uid))
    await this.#patchMetadata(node, { ownerReferences }, signal)
  }

  async #orphanDependents(node: GraphNode, signal: AbortSignal): Promise<Outcome> {
    for (const dependent of this.#graph.dependentsOf(node.uid))
      await this.#dropOwners(dependent, [node.uid], signal)
    await this.#dropFinalizer(node, orphan, signal)
    return waitForChange
  }

  async #deleteDependents(node: GraphNode, signal: AbortSignal): Promise<Outcome> {
    const blocking = this.#graph
      .dependentsOf(node.uid)
      .filter((dependent) =>
        dependent.owners.some((owner) => owner.uid === node.uid && owner.blockOwnerDeletion === true),
      )
    if (blocking.length === 0) {
      await this.#dropFinalizer(node, foreground, signal)
      return waitForChange
    }
    for (const dependent of blocking) this.#enqueue(dependent.uid)
    return lookAgain(5_000)
  }

  async #dropFinalizer(node: GraphNode, finalizer: string, signal: AbortSignal): Promise<void> {
    await this.#patchMetadata(
      node,
      { finalizers: node.finalizers.filter((name) => name !== finalizer) },
      signal,
    )
  }

  /** A merge patch bound to uid and version: nobody else's change in between is overwritten. */
  async #patchMetadata(
    node: GraphNode,
    metadata: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<void> {
    const key = { namespace: node.namespace, name: node.name }
    try {
      const live = await this.#options.client.get<KubeObject>(node.ref, key, { signal })
      if (live.metadata.uid !== node.uid) return
      const fresh = graphNode(node.ref, live)
      const body = {
        metadata: {
          uid: node.uid,
          resourceVersion: live.metadata.resourceVersion,
          ...('finalizers' in metadata && {
            finalizers: fresh.finalizers.filter((name) =>
              (metadata['finalizers'] as string[]).includes(name),
            ),
          }),
          ...('ownerReferences' in metadata && {
            ownerReferences: fresh.owners.filter((owner) =>
              (metadata['ownerReferences'] as OwnerReference[]).some((kept) => kept.uid === owner.uid),
            ),
          }),
        },
      }
      await this.#options.client.patch(node.ref, key, { type: 'merge', body }, { signal })
    } catch (error) {
      if (isNotFound(error)) return
      if (isConflict(error))
        throw new Error(`${node.ref.resource} ${node.namespace}/${node.name} changed meanwhile`, {
          cause: error,
        })
      throw error
    }
  }
}

function policyOf(node: GraphNode): 'Orphan' | 'Foreground' | 'Background' {
  if (node.finalizers.includes(orphan)) return 'Orphan'
  if (node.finalizers.includes(foreground)) return 'Foreground'
  return 'Background'
}

function metadataOnly(object: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, finalizers, ownerReferences } =
    object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
      ...(finalizers !== undefined && { finalizers }),
      ...(ownerReferences !== undefined && { ownerReferences }),
    },
  }
}

function ignoreRace(error: unknown): void {
  if (!isNotFound(error) && !isConflict(error)) throw error
}
