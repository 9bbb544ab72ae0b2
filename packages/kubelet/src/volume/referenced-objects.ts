import type { Reader } from '@outrigger/client'
import { createInformer, type RunnableInformer } from '@outrigger/controller'
import { type Clock, DeadlineExceeded, type Logger, type Random, withDeadline } from '@outrigger/foundation'
import { type ConfigMap, keyOf, resources, type Secret } from '@outrigger/kube'

export interface ObjectName {
  readonly kind: 'ConfigMap' | 'Secret'
  readonly namespace: string
  readonly name: string
}

export interface ReferencedObjectsOptions {
  readonly client: Reader
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Told the uids of pods that use an object which has changed. */
  readonly onChange: (podUids: ReadonlySet<string>) => void
}

interface Watched {
  readonly informer: RunnableInformer<ConfigMap | Secret>
  readonly users: Set<string>
  readonly stop: AbortController
  readonly ended: Promise<void>
}

const firstReadDeadline = 5_000

/**
 * ConfigMaps and Secrets that pods of this node name, each watched by itself while some pod uses it: a node
 * may be allowed to read exactly these and no others.
 */
export class ReferencedObjects {
  readonly #options: ReferencedObjectsOptions
  readonly #watched = new Map<string, Watched>()
  readonly #byPod = new Map<string, Set<string>>()

  constructor(options: ReferencedObjectsOptions) {
    this.#options = options
  }

  /**
   * The object as it is now, undefined if there is none. The pod counts as its user until `release`.
   * @throws Error when it cannot be read in time
   */
  async read(podUid: string, object: ObjectName): Promise<ConfigMap | Secret | undefined> {
    const watched = this.#use(podUid, object)
    const { informer } = watched
    if (!informer.hasSynced) {
      try {
        await withDeadline(this.#options.clock, firstReadDeadline, 'reading an object', () =>
          synced(informer),
        )
      } catch (error) {
        if (!(error instanceof DeadlineExceeded)) throw error
        const kind = object.kind.toLowerCase()
        throw new Error(`failed to sync ${kind} cache: timed out waiting for the condition`)
      }
    }
    return informer.store.get(`${object.namespace}/${object.name}`)
  }

  /** Forgets a pod; objects that nobody uses any more are no longer watched. */
  async release(podUid: string): Promise<void> {
    const keys = this.#byPod.get(podUid)
    this.#byPod.delete(podUid)
    const ended: Promise<void>[] = []
    for (const key of keys ?? []) {
      const watched = this.#watched.get(key)
      if (watched === undefined) continue
      watched.users.delete(podUid)
      if (watched.users.size > 0) continue
      this.#watched.delete(key)
      watched.stop.abort()
      ended.push(watched.ended)
    }
    await Promise.all(ended)
  }

  async close(): Promise<void> {
    const all = [...this.#watched.values()]
    this.#watched.clear()
    this.#byPod.clear()
    for (const watched of all) watched.stop.abort()
    await Promise.all(all.map((watched) => watched.ended))
  }

  /** How many objects are watched. */
  get size(): number {
    return this.#watched.size
  }

  #use(podUid: string, object: ObjectName): Watched {
    const key = `${object.kind}/${object.namespace}/${object.name}`
    let watched = this.#watched.get(key)
    if (watched === undefined) {
      watched = this.#watch(object)
      this.#watched.set(key, watched)
    }
    watched.users.add(podUid)
    const known = this.#byPod.get(podUid)
    if (known === undefined) this.#byPod.set(podUid, new Set([key]))
    else known.add(key)
    return watched
  }

  #watch(object: ObjectName): Watched {
    const { client, clock, random, logger, onChange } = this.#options
    const informer = createInformer<ConfigMap | Secret>({
      client,
      clock,
      random,
      logger,
      resource: object.kind === 'ConfigMap' ? resources.configMaps : resources.secrets,
      namespace: object.namespace,
      fieldSelector: `metadata.name=${object.name}`,
    })
    const users = new Set<string>()
    const key = `${object.namespace}/${object.name}`
    const tell = (changed: ConfigMap | Secret) => {
      if (keyOf(changed) === key) onChange(users)
    }
    informer.onChange({ onAdd: tell, onUpdate: tell, onDelete: tell })
    const stop = new AbortController()
    return { informer, users, stop, ended: informer.run(stop.signal) }
  }
}

/** Resolves once the informer has its first list. */
async function synced(informer: RunnableInformer<ConfigMap | Secret>): Promise<void> {
  await informer.synced
}
