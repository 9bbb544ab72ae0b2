import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  type Clock,
  formatTime,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import type { KubeObject, Namespace, NamespaceCondition, ResourceRef } from '@outrigger/kube'
import { keyOf, resources } from '@outrigger/kube'
import type { Discovery } from '../discovery.ts'

export interface NamespaceControllerOptions {
  readonly client: Client
  readonly namespaces: Informer<Namespace>
  readonly discovery: Discovery
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** What an attempt to empty a namespace met. */
interface Sweep {
  /** Objects left, by `resource.group`. */
  readonly remaining: ReadonlyMap<string, number>
  /** Finalizers that hold them, with how many objects each. */
  readonly finalizers: ReadonlyMap<string, number>
  readonly failures: readonly string[]
}

/**
 * Empties namespaces that are being deleted and lets them go once nothing is left in them.
 * Source: kubernetes/pkg/controller/namespace.
 */
export function createNamespaceController(options: NamespaceControllerOptions): Runnable {
  const { namespaces, clock, random, logger } = options
  return createController({
    name: 'namespace',
    clock,
    random,
    logger,
    concurrency: 4,
    informers: [namespaces],
    sources: [
      (enqueue) => {
        const look = (namespace: Namespace) => {
          if (namespace.metadata.deletionTimestamp !== undefined) enqueue(keyOf(namespace))
        }
        return namespaces.onChange({ onAdd: look, onUpdate: look })
      },
    ],
    reconcile: (key, signal) => reconcileNamespace(options, key, signal),
  })
}

async function reconcileNamespace(
  options: NamespaceControllerOptions,
  name: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const namespace = options.namespaces.store.get(name)
  if (namespace?.metadata.deletionTimestamp === undefined) return waitForChange
  if (!(namespace.spec.finalizers ?? []).includes('kubernetes')) return waitForChange
  const sweep = await emptyNamespace(options, name, signal)
  const left = [...sweep.remaining.values()].reduce((sum, count) => sum + count, 0)
  if (left > 0 || sweep.failures.length > 0) {
    await reportSweep(options, namespace, sweep)
    return lookAgain(left > 0 ? 500 : 5_000)
  }
  const finalizers = (namespace.spec.finalizers ?? []).filter((finalizer) => finalizer !== 'kubernetes')
  try {
    await options.client.update<Namespace>(
      resources.namespaces,
      { ...namespace, spec: { ...namespace.spec, finalizers } },
      { subresource: 'finalize', signal },
    )
  } catch (error) {
    if (isConflict(error)) return lookAgain(100)
    if (!isNotFound(error)) throw error
  }
  return waitForChange
}

async function emptyNamespace(
  options: NamespaceControllerOptions,
  namespace: string,
  signal: AbortSignal,
): Promise<Sweep> {
  const remaining = new Map<string, number>()
  const finalizers = new Map<string, number>()
  const failures: string[] = []
  const listed = (await options.discovery.resources(signal)).filter(
    (resource) => resource.ref.namespaced && resource.verbs.has('list') && resource.verbs.has('delete'),
  )
  for (const { ref, verbs } of listed) {
    try {
      const before = await options.client.list<KubeObject>(ref, { namespace, limit: 500, signal })
      if (before.items.length === 0) continue
      if (verbs.has('deletecollection'))
        await options.client.deleteCollection(ref, { namespace, propagationPolicy: 'Background', signal })
      else await deleteOneByOne(options.client, ref, before.items, signal)
      const after = await options.client.list<KubeObject>(ref, { namespace, limit: 500, signal })
      if (after.items.length > 0)
        remaining.set(ref.group === '' ? ref.resource : `${ref.resource}.${ref.group}`, after.items.length)
      for (const item of after.items) {
        for (const finalizer of item.metadata.finalizers ?? [])
          finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1)
      }
    } catch (error) {
      if (!isNotFound(error)) failures.push(`${ref.resource}: ${messageOf(error)}`)
    }
  }
  return { remaining, finalizers, failures }
}

async function deleteOneByOne(
  client: Client,
  ref: ResourceRef,
  items: readonly KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  for (const item of items) {
    await client
      .delete(
        ref,
        { namespace: item.metadata.namespace ?? '', name: item.metadata.name },
        { propagationPolicy: 'Background', signal },
      )
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
  }
}

async function reportSweep(
  options: NamespaceControllerOptions,
  namespace: Namespace,
  sweep: Sweep,
): Promise<void> {
  const counted = (counts: ReadonlyMap<string, number>, phrase: (name: string, count: number) => string) =>
    [...counts]
      .sort()
      .map(([name, count]) => phrase(name, count))
      .join(', ')
  const wanted: readonly [string, boolean, string, string, string, string][] = [
    [
      'NamespaceDeletionDiscoveryFailure',
      false,
      'ResourcesDiscovered',
      'All resources successfully discovered',
      '',
      '',
    ],
    [
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
      '',
      '',
    ],
    [
      'NamespaceDeletionContentFailure',
      sweep.failures.length > 0,
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
      'ContentDeletionFailed',
      `Failed to delete all resource types, ${sweep.failures.length} remaining: ${sweep.failures.join('; ')}`,
    ],
    [
      'NamespaceContentRemaining',
      sweep.remaining.size > 0,
      'ContentRemoved',
      'All content successfully removed',
      'SomeResourcesRemain',
      `Some resources are remaining: ${counted(sweep.remaining, (name, count) => `${name} has ${count} resource instances`)}`,
    ],
    [
      'NamespaceFinalizersRemaining',
      sweep.finalizers.size > 0,
      'ContentHasNoFinalizers',
      'All content-preserving finalizers finished',
      'SomeFinalizersRemain',
      `Some content in the namespace has finalizers remaining: ${counted(sweep.finalizers, (name, count) => `${name} in ${count} resource instances`)}`,
    ],
  ]
  const before = namespace.status?.conditions ?? []
  const conditions = wanted.map(
    ([type, holds, goodReason, goodMessage, badReason, badMessage]): NamespaceCondition => {
      const known = before.find((condition) => condition.type === type)
      const status = holds ? 'True' : 'False'
      const message = holds ? badMessage : goodMessage
      if (known?.status === status && known.message === message) return known
      return {
        type,
        status,
        reason: holds ? badReason : goodReason,
        message,
        lastTransitionTime: formatTime(options.clock.now()),
      }
    },
  )
  if (conditions.length === before.length && conditions.every((condition) => before.includes(condition)))
    return
  await options.client
    .update<Namespace>(
      resources.namespaces,
      { ...namespace, status: { ...namespace.status, conditions } },
      { subresource: 'status' },
    )
    .catch((error: unknown) => {
      if (!isConflict(error) && !isNotFound(error)) throw error
    })
}
