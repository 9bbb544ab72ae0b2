import {
  type Clock,
  formatTime,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import {
  type CustomResourceDefinition,
  type CustomResourceDefinitionNames,
  deepCopy,
  deepEqual,
} from '@outrigger/kube'
import type { WebhookClient } from '../admission/webhook/webhook-client.ts'
import type { Objects } from '../registry/objects.ts'
import type { ResourceRegistry } from '../registry/resource-registry.ts'
import { type Store, WriteConflict } from '../storage/store.ts'
import { createConverter } from './conversion-webhook.ts'
import { createCustomResources as createResources } from './custom-resource.ts'
import { cleanupFinalizer, definitionsGroup, withCondition } from './definition-resource.ts'
import { applySchemaDefaults } from './fill-in.ts'
import { createStructuralSchema } from './structural-schema.ts'

const definitions = { group: definitionsGroup, resource: 'customresourcedefinitions' } as const
const collection = 'customresourcedefinitions.apiextensions.k8s.io'
/** How often a definition that cannot go yet is looked at again, in milliseconds. */
const retryAfter = 1000

export interface CustomResourcesOptions {
  readonly store: Store
  readonly objects: Objects
  readonly registry: ResourceRegistry
  readonly client: WebhookClient
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Keeps the registry in step with the stored definitions. */
export interface CustomResources extends Runnable {
  /** Registers what is stored already, so that the first request finds it. Called once, before `run`. */
  load(): Promise<void>
}

/**
 * Turns definitions into served resources: accepts their names, sets their conditions, registers one resource for each
 * served version, and clears up after a definition that is deleted.
 */
export function createCustomResources(options: CustomResourcesOptions): CustomResources {
  const { store, objects, registry, clock, logger } = options
  /** By definition: what was registered, and from which spec. */
  const registered = new Map<
    string,
    {
      readonly uid: string
      readonly isEnding: boolean
      readonly spec: unknown
      readonly group: string
      readonly plural: string
    }
  >()

  async function reconcile(name: string): Promise<'done' | 'again'> {
    const definition = objects.get<CustomResourceDefinition>(definitions, { namespace: '', name })
    if (definition === undefined) {
      unregister(name)
      return 'done'
    }
    if (definition.metadata.deletionTimestamp !== undefined) return finish(definition)
    const conflict = nameConflict(definition, objects, registry)
    const isEstablished = hasCondition(definition, 'Established')
    if ((conflict === undefined || isEstablished) && register(definition)) await fillInStored(definition)
    await writeStatus(name, (current) => nextStatus(current, conflict, clock.now()))
    return 'done'
  }

  /** False when just this was registered already. */
  function register(definition: CustomResourceDefinition): boolean {
    const { name, uid = '', deletionTimestamp } = definition.metadata
    const isEnding = deletionTimestamp !== undefined
    const known = registered.get(name)
    if (known?.uid === uid && known.isEnding === isEnding && deepEqual(known.spec, definition.spec))
      return false
    const { group, names } = definition.spec
    registry.replace(
      group,
      names.plural,
      createResources(definition, createConverter(definition, options.client, options.random)),
    )
    registered.set(name, { uid, isEnding, spec: definition.spec, group, plural: names.plural })
    return true
  }

  /**
   * Writes defaults that the schema got since into the objects stored before. A real server fills them in whenever it
   * reads; here reads hand out what is stored, as it is.
   */
  async function fillInStored({ spec }: CustomResourceDefinition): Promise<void> {
    const storage = spec.versions.find((version) => version.storage)
    const schema = createStructuralSchema(storage?.schema?.openAPIV3Schema)
    if (!schema.hasDefaults) return
    const instances = `${spec.names.plural}.${spec.group}`
    for (const { key, object, revision } of store.listLatest(instances)) {
      if (object.apiVersion !== `${spec.group}/${storage?.name}`) continue
      const filled = deepCopy(object)
      applySchemaDefaults(filled, schema)
      if (!deepEqual(filled, object))
        await ignoringConflicts(
          store.write({ collection: instances, key, expected: revision, object: filled }),
        )
    }
  }

  function unregister(name: string): void {
    const known = registered.get(name)
    if (known === undefined) return
    registered.delete(name)
    registry.replace(known.group, known.plural, [])
  }

  async function writeStatus(
    name: string,
    change: (definition: CustomResourceDefinition) => CustomResourceDefinition['status'],
  ): Promise<void> {
    await objects.write<CustomResourceDefinition>(definitions, { namespace: '', name }, (current) => {
      if (current === undefined) return undefined
      const status = change(current)
      return status === undefined || deepEqual(status, current.status) ? undefined : { ...current, status }
    })
  }

  /** Deletes the instances, then the definition. */
  async function finish(definition: CustomResourceDefinition): Promise<'done' | 'again'> {
    const { name, finalizers } = definition.metadata
    if (finalizers?.includes(cleanupFinalizer)) {
      // Instances stay reachable while they go: whoever holds a finalizer on one must be able to take it off.
      if (hasCondition(definition, 'Established')) register(definition)
      const left = await deleteInstances(definition)
      if (left > 0) {
        await writeStatus(name, (current) =>
          withCondition(
            current.status,
            {
              type: 'Terminating',
              status: 'True',
              reason: 'InstanceDeletionInProgress',
              message: `CustomResource deletion is in progress; ${left} instances are left`,
            },
            clock.now(),
          ),
        )
        return 'again'
      }
    }
    await removeFinalizer(name)
    return 'done'
  }

  async function deleteInstances({ spec }: CustomResourceDefinition): Promise<number> {
    const instances = `${spec.names.plural}.${spec.group}`
    for (const { key, object, revision } of store.listLatest(instances)) {
      const { finalizers, deletionTimestamp } = object.metadata
      const isFree = (finalizers?.length ?? 0) === 0
      if (!isFree && deletionTimestamp !== undefined) continue
      let next: typeof object | undefined
      if (!isFree) {
        next = deepCopy(object)
        next.metadata.deletionTimestamp = formatTime(clock.now())
        next.metadata.deletionGracePeriodSeconds = 0
      }
      await ignoringConflicts(store.write({ collection: instances, key, expected: revision, object: next }))
    }
    return [...store.listLatest(instances)].length
  }

  async function removeFinalizer(name: string): Promise<void> {
    const key = { namespace: '', name }
    const entry = store.latest(collection, key)
    if (entry === undefined) return
    const left = (entry.object.metadata.finalizers ?? []).filter(
      (finalizer) => finalizer !== cleanupFinalizer,
    )
    if (left.length === 0) {
      unregister(name)
      await ignoringConflicts(store.write({ collection, key, expected: entry.revision, object: undefined }))
      return
    }
    await objects.write<CustomResourceDefinition>(definitions, key, (current) => {
      if (current === undefined) return undefined
      return {
        ...current,
        metadata: { ...current.metadata, finalizers: left },
        status: withCondition(
          current.status,
          {
            type: 'Terminating',
            status: 'False',
            reason: 'InstanceDeletionCompleted',
            message: 'removed all instances',
          },
          clock.now(),
        ),
      }
    })
  }

  async function reconcileSafely(name: string): Promise<'done' | 'again'> {
    try {
      return await reconcile(name)
    } catch (error) {
      logger.error('A definition could not be served', { definition: name, error: messageOf(error) })
      return 'again'
    }
  }

  return {
    name: 'custom-resources',
    async load() {
      const names = [...objects.list<CustomResourceDefinition>(definitions)].map(
        ({ metadata }) => metadata.name,
      )
      for (const name of names) await reconcileSafely(name)
    },
    run: (signal) => runQueue(store, clock, reconcileSafely, signal),
  }
}

/** Works through changed definitions one after the other until the signal aborts. */
async function runQueue(
  store: Store,
  clock: Clock,
  reconcile: (name: string) => Promise<'done' | 'again'>,
  signal: AbortSignal,
): Promise<void> {
  const waiting = new Set<string>()
  const timers = new Map<string, () => void>()
  let wake = () => {}
  const add = (name: string) => {
    waiting.add(name)
    wake()
  }
  const stopWatching = store.watch(collection, store.revision, ({ key }) => {
    // Names are free again when a definition goes, which may be what others of its group wait for.
    add(key.name)
    const group = key.name.slice(key.name.indexOf('.') + 1)
    for (const { key: other } of store.list(collection)) if (other.name.endsWith(`.${group}`)) add(other.name)
  })
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort, { once: true })
  // Whatever changed between loading and watching.
  for (const { key } of store.list(collection)) waiting.add(key.name)
  try {
    while (!signal.aborted) {
      const [name] = waiting
      if (name === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
          if (signal.aborted || waiting.size > 0) resolve()
        })
        continue
      }
      waiting.delete(name)
      timers.get(name)?.()
      timers.delete(name)
      if ((await reconcile(name)) === 'again')
        timers.set(
          name,
          clock.after(retryAfter, () => add(name)),
        )
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    stopWatching()
    for (const cancel of timers.values()) cancel()
  }
}

async function ignoringConflicts(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    // Somebody else was there first; the next look will tell.
    if (!(error instanceof WriteConflict)) throw error
  }
}

const hasCondition = (definition: CustomResourceDefinition, wanted: string): boolean =>
  definition.status?.conditions?.some(({ type, status }) => type === wanted && status === 'True') ?? false

interface NameConflict {
  readonly reason: string
  readonly message: string
}

/** Which of a definition's names another resource of its group has already. */
function nameConflict(
  definition: CustomResourceDefinition,
  objects: Objects,
  registry: ResourceRegistry,
): NameConflict | undefined {
  const { group, names } = definition.spec
  const taken = { resources: new Set<string>(), kinds: new Set<string>() }
  for (const other of objects.list<CustomResourceDefinition>(definitions)) {
    if (other.metadata.name === definition.metadata.name || other.spec.group !== group) continue
    const accepted = other.status?.acceptedNames
    for (const name of [accepted?.plural, accepted?.singular, ...(accepted?.shortNames ?? [])])
      if (name) taken.resources.add(name)
    for (const kind of [accepted?.kind, accepted?.listKind]) if (kind) taken.kinds.add(kind)
  }
  for (const resource of registry.all) {
    if (resource.group !== group || resource.isCustom) continue
    for (const name of [resource.plural, resource.singular, ...resource.shortNames]) taken.resources.add(name)
    for (const kind of [resource.kind, resource.listKind]) taken.kinds.add(kind)
  }
  const inUse = (name: string) => `${JSON.stringify(name)} is already in use`
  if (taken.resources.has(names.plural)) return { reason: 'PluralConflict', message: inUse(names.plural) }
  if (names.singular && taken.resources.has(names.singular))
    return { reason: 'SingularConflict', message: inUse(names.singular) }
  const shortName = names.shortNames?.find((name) => taken.resources.has(name))
  if (shortName !== undefined) return { reason: 'ShortNamesConflict', message: inUse(shortName) }
  if (taken.kinds.has(names.kind)) return { reason: 'KindConflict', message: inUse(names.kind) }
  if (names.listKind && taken.kinds.has(names.listKind))
    return { reason: 'ListKindConflict', message: inUse(names.listKind) }
  return undefined
}

/** The status of a definition that is in service, or waits for its names. */
function nextStatus(
  { spec, status }: CustomResourceDefinition,
  conflict: NameConflict | undefined,
  now: number,
): CustomResourceDefinition['status'] {
  if (conflict !== undefined) {
    const refused = withCondition(status, { type: 'NamesAccepted', status: 'False', ...conflict }, now)
    const isEstablished = refused.conditions?.some(
      ({ type, status: value }) => type === 'Established' && value === 'True',
    )
    return isEstablished === true
      ? refused
      : withCondition(
          refused,
          {
            type: 'Established',
            status: 'False',
            reason: 'NotAccepted',
            message: 'not all names are accepted',
          },
          now,
        )
  }
  const accepted = withCondition(
    status,
    { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' },
    now,
  )
  const established = withCondition(
    accepted,
    {
      type: 'Established',
      status: 'True',
      reason: 'InitialNamesAccepted',
      message: 'the initial names have been accepted',
    },
    now,
  )
  return { ...established, acceptedNames: copyNames(spec.names) }
}

const copyNames = (names: CustomResourceDefinitionNames): CustomResourceDefinitionNames => ({
  plural: names.plural,
  ...(names.singular === undefined ? {} : { singular: names.singular }),
  ...(names.shortNames === undefined ? {} : { shortNames: [...names.shortNames] }),
  kind: names.kind,
  ...(names.listKind === undefined ? {} : { listKind: names.listKind }),
  ...(names.categories === undefined ? {} : { categories: [...names.categories] }),
})
