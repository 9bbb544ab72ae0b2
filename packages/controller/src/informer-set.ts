import type { Reader } from '@outrigger/client'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import type { KubeObject, ResourceRef } from '@outrigger/kube'
import type { Informer } from './informer.ts'
import { createInformer, type InformerOptions, type RunnableInformer } from './list-watch-informer.ts'
import { sharedAbortController } from './shared-abort-controller.ts'
import { waitForSync } from './wait-for-sync.ts'

export interface InformerSetOptions {
  readonly client: Reader
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** What one use of an informer asks for; two that ask for the same share one. Indexes add up. */
export type InformerSelection<T extends KubeObject> = Pick<
  InformerOptions<T>,
  | 'namespace'
  | 'labelSelector'
  | 'fieldSelector'
  | 'trim'
  | 'indexes'
  | 'silence'
  | 'watchList'
  | 'backoff'
  | 'pageSize'
  | 'audit'
>

/** All informers of a process, each resource and selection watched once however many use it. */
export interface InformerSet extends Runnable {
  /**
   * The informer for this resource and selection. It starts with the set, or at once when the set is
   * running. Only namespace, selectors and `trim` tell informers apart; of the other settings those
   * of the first caller count. @throws RangeError when an index name is taken by another function.
   */
  for<T extends KubeObject>(resource: ResourceRef, selection?: InformerSelection<T>): RunnableInformer<T>
  /** Waits until every informer asked for so far has synced. Resolves with false when `signal` aborts first. */
  waitForSync(signal: AbortSignal): Promise<boolean>
  /** Whether every informer asked for so far has synced. */
  readonly hasSynced: boolean
  /** Every informer asked for so far, for metrics. */
  readonly all: readonly Pick<RunnableInformer<KubeObject>, 'name' | 'resource' | 'counters' | 'hasSynced'>[]
}

/** An empty set. */
export function createInformers(options: InformerSetOptions): InformerSet {
  return new SharedInformers(options)
}

interface Shared {
  readonly selector: string
  readonly trim: unknown
  readonly informer: RunnableInformer<KubeObject>
}

class SharedInformers implements InformerSet {
  readonly name = 'informers'
  readonly #options: InformerSetOptions
  readonly #shared: Shared[] = []
  #start: ((informer: Runnable) => void) | undefined

  constructor({ client, clock, random, logger }: InformerSetOptions) {
    // Picked one by one: whoever hands in settings of its own, a namespace say, must not narrow every watch.
    this.#options = { client, clock, random, logger }
  }

  get hasSynced(): boolean {
    return this.#shared.every(({ informer }) => informer.hasSynced)
  }

  get all(): readonly RunnableInformer<KubeObject>[] {
    return this.#shared.map(({ informer }) => informer)
  }

  for<T extends KubeObject>(
    resource: ResourceRef,
    selection: InformerSelection<T> = {},
  ): RunnableInformer<T> {
    const selector = JSON.stringify([
      resource.group,
      resource.version,
      resource.resource,
      selection.namespace ?? '',
      selection.labelSelector ?? '',
      selection.fieldSelector ?? '',
    ])
    const known = this.#shared.find((one) => one.selector === selector && one.trim === selection.trim)
    // One informer serves one resource, whose objects are all of the kind the caller names as T.
    if (known !== undefined) {
      const informer = known.informer as unknown as RunnableInformer<T>
      for (const [name, valuesOf] of Object.entries(selection.indexes ?? {}))
        informer.addIndex(name, valuesOf)
      return informer
    }
    const informer = createInformer<T>({ ...this.#options, ...selection, resource })
    this.#shared.push({
      selector,
      trim: selection.trim,
      informer: informer as unknown as RunnableInformer<KubeObject>,
    })
    this.#start?.(informer)
    return informer
  }

  async waitForSync(signal: AbortSignal): Promise<boolean> {
    const informers: readonly Informer<KubeObject>[] = this.all
    return waitForSync(informers, signal)
  }

  async run(signal: AbortSignal): Promise<void> {
    const running = new Set<Promise<void>>()
    let failure: { readonly error: unknown } | undefined
    const controller = sharedAbortController()
    const onAbort = () => controller.abort(signal.reason)
    if (signal.aborted) return
    signal.addEventListener('abort', onAbort, { once: true })
    this.#start = (informer) => {
      const ended = informer
        .run(controller.signal)
        .catch((error: unknown) => {
          failure ??= { error }
          controller.abort(error)
        })
        .finally(() => running.delete(ended))
      running.add(ended)
    }
    for (const { informer } of this.#shared) this.#start(informer)
    await new Promise<void>((resolve) => {
      if (controller.signal.aborted) return resolve()
      controller.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    this.#start = undefined
    signal.removeEventListener('abort', onAbort)
    await Promise.all(running)
    if (failure !== undefined) throw failure.error
  }
}
